"""What reaches the person at the terminal: all of it goes through here, and is cleaned."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")

_LINES = 20.0  # seconds between two lines where the output is a file
_SILENCE = 5.0  # seconds after which work that was thought to be short shows a bar, and between its lines

# Control characters but for line ends and tabs, line and direction marks of Unicode, and half characters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    r"""Text without what a terminal obeys: an escape sequence in a class's name is shown, as \x1b."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: object) -> str:
    """The same in one line."""
    return " ".join(line.strip() for line in plain(text).split("\n") if line.strip())


def say(text: str) -> None:
    """One line for the person at the terminal (on the first process); also in the run's log."""
    from mmengine.dist import is_main_process
    from tqdm import tqdm

    if is_main_process():
        tqdm.write(plain(text))


def progress_bar(total: int, what: str, lines: float = _LINES, **arguments: Any) -> tqdm[Any]:
    """A bar with pace and time left, on the first process; single lines where there is no terminal.

    Args:
        total: steps.
        what: two or three words; long ones are cut.
        lines: seconds between two lines.
        **arguments: tqdm's.
    """
    from tqdm import tqdm

    from toolbox import ranks

    on_terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=_short(one_line(what)),
        file=sys.stderr if on_terminal else _Lines(sys.stderr),
        disable=not ranks.is_main(),
        dynamic_ncols=on_terminal,
        mininterval=0.5 if on_terminal else lines,
        maxinterval=max(lines, 10.0),
        miniters=None if on_terminal else 1,
        smoothing=0.1,
        **arguments,
    )


def _short(title: str) -> str:
    return title if len(title) <= 20 else title[:19] + "…"


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The items, with a bar that is gone at the end and never comes where they take but a few seconds.

    Args:
        items: to go through.
        total: how many there are.
        what: is done with them.
    """
    with progress_bar(total, what, lines=_SILENCE, delay=_SILENCE, leave=False) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def plain_warnings() -> Iterator[None]:
    """A block whose warnings are lines for people: without file, line and source."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *where, **more: f"warning: {one_line(message)}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


class _Lines:
    """A stream on which each state of a bar is a line; on a terminal a bar overwrites itself."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        shown = text.strip("\r\n ")
        if shown:
            self.stream.write(shown + "\n")

    def flush(self) -> None:
        self.stream.flush()


def show(text: object) -> None:
    """A command's answer, on stdout."""
    print(plain(text))


def complain(text: object) -> None:
    """An error or a fault in one line, on stderr."""
    print(one_line(text), file=sys.stderr)
