"""What whoever waits is told: what is being done, for how long, and about how long it will take still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

EVERY = 9.0  # seconds between two lines

#: Of what is being done, the parts of the work that are done, and all there are.
Report = Callable[[str, int, int], None]


class Heartbeat:
    """Says now and then how far a piece of work has come; a context manager, and a Report.

    Args:
        what: name of the work.
        every: seconds between two lines; None = EVERY.
    """

    def __init__(self, what: str, every: float | None = None) -> None:
        self.what = what
        self.every = EVERY if every is None else every
        self._began = time.monotonic()
        self._now: tuple[str, int, int] = ("", 0, 0)
        self._counted: tuple[float, int] | None = None  # when the first count came, and what it was
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        """The work has come to ``stage``, with ``done`` of ``total`` parts behind it."""
        if self._counted is None and total:
            self._counted = (time.monotonic(), done)
        self._now = (stage, done, total)

    def line(self) -> str:
        """'klish-0: merging, 43 clusters left; 1 min 20 s so far, about 50 s left'."""
        stage, done, total = self._now
        now = time.monotonic()
        text = f"{self.what}{': ' + stage if stage else ''}; {in_words(now - self._began)} so far"
        if self._counted is None or done <= self._counted[1]:
            return text
        since, before = self._counted
        left = (total - done) * (now - since) / (done - before)
        return f"{text}, about {in_words(left)} left"

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _speak(self) -> None:
        from toolbox.runs.terminal import say

        while not self._over.wait(self.every):
            say(self.line())


class Trainings:
    """How many trainings of a class a KLiSH fit has behind it, and ahead.

    Args:
        report: told after each.
        every_class: whether all classes are trained after a merge, or the merged one alone.
        smallest: K at which merging ends.
    """

    def __init__(self, report: Report, every_class: bool, smallest: int) -> None:
        self._report = report
        self._every_class = every_class
        self._smallest = max(smallest, 2)  # one cluster needs no training
        self._stage = ""
        self._done = 0
        self._total = 0

    def begin(self, stage: str, ahead: int = 0) -> None:
        """What follows is ``stage``, with so many trainings ahead if the number is known."""
        self._stage = stage
        self._total = self._done + ahead if ahead else self._total
        self._report(stage, self._done, self._total)

    def add(self, classes: int) -> None:
        """So many classes were trained."""
        self._done += classes
        self._report(self._stage, self._done, self._total)

    def of_merges(self, clusters: int) -> int:
        """Trainings from ``clusters`` classes, which are trained already, down to the last."""
        numbers = range(self._smallest, clusters)
        return sum(numbers) if self._every_class else len(numbers)


def silent(stage: str, done: int, total: int) -> None:
    """A Report to nobody."""


def in_words(seconds: float) -> str:
    """'48 s', '3 min 5 s', '2 h 4 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
