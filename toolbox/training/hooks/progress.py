"""The progress bar."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from toolbox.interfaces.described import Described
from toolbox.ranges import check_positive
from toolbox.runs.terminal import progress_bar
from toolbox.training.hooks.common import game_of

_WARM_UP = 3  # iterations whose pace says little: kernels are chosen, caches filled
_MEASURED = 10
_LONG = 2.0  # hours; no quick run takes so long
_NO_LIMIT = 10000
_BAR = 58  # columns that tqdm needs beside title and numbers, with a bar of ten


class ProgressBar(Described, Hook):
    """A bar with pace, time left and losses, on the first process; single lines where there is no terminal.

    Losses are called by the initials of the network that they move (D, G, PD), several of one network by one
    name: ``G 0.91+1.32``. What does not fit beside the bar is left out; the whole names are in the report.

    Args:
        lines: seconds between two lines when the output is a file.
    """

    priority = "LOWEST"

    def __init__(self, lines: float = 20.0) -> None:
        check_positive(lines=lines)
        self.lines = lines
        self._bar: Any = None
        self._first = 0
        self._started = 0.0

    def before_train(self, runner: Any) -> None:
        """Open the bar where the run starts."""
        self._first = runner.iter
        title = Path(runner.work_dir).name
        self._bar = progress_bar(runner.max_iters, title, self.lines, initial=runner.iter, unit="it")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """One tick; losses when they were read."""
        if outputs:
            values = {name: float(value) for name, value in outputs.items()}
            shown = in_short(values, game_of(runner).networks)
            room = _room(self._bar.desc) if sys.stderr.isatty() else _NO_LIMIT
            self._bar.set_postfix_str(as_many_as_fit(shown, room), refresh=False)
        self._bar.update(1)
        self._warn_if_slow(runner, batch_idx)

    def _warn_if_slow(self, runner: Any, iteration: int) -> None:
        """On a CPU, a few iterations into a run that will take hours: say how long, and what to do."""
        done = iteration + 1 - self._first
        if done == _WARM_UP:
            self._started = time.monotonic()
        if done != _WARM_UP + _MEASURED or game_of(runner).device.type != "cpu":
            return
        pace = (time.monotonic() - self._started) / _MEASURED
        hours = pace * (runner.max_iters - iteration) / 3600
        if hours > _LONG:
            speed = f"pace on this CPU: {pace:.2f} s an iteration, {hours:,.0f} hours to go"
            self._bar.write(f"{speed}; --quick takes minutes")

    def after_train(self, runner: Any) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the bar, where one is open."""
        if self._bar is not None:
            self._bar.close()


def _room(title: str) -> int:
    """Columns for losses beside a living bar."""
    return shutil.get_terminal_size().columns - _BAR - len(title)


def in_short(losses: Mapping[str, float], networks: Iterable[str]) -> list[str]:
    """``['D 0.81', 'G 0.90+1.01']`` of losses by ``term/network``; what is no network's keeps its last word.

    Args:
        losses: of an iteration.
        networks: names; a discriminator's short name is D, a prompt_discriminator's PD.
    """
    known = set(networks)
    values: dict[str, list[str]] = {}
    for name, value in losses.items():
        last = name.rpartition("/")[2]
        short = "".join(word[:1] for word in last.split("_")).upper() if last in known else last
        values.setdefault(short, []).append(f"{value:.2f}")
    return [f"{short} {'+'.join(own)}" for short, own in values.items()]


def as_many_as_fit(texts: Sequence[str], room: int) -> str:
    """The first texts, joined by commas, that take at most ``room`` columns; the first one always."""
    kept = list(texts[:1])
    for text in texts[1:]:
        if len(", ".join([*kept, text])) > room:
            break
        kept.append(text)
    return ", ".join(kept)
