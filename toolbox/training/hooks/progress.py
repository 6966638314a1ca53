"""The progress bar."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.ranges import check_positive
from toolbox.training.hooks.common import game_of


class ProgressBar(Hook):
    """A bar with pace and remaining time, on the first process; single lines where there is no terminal.

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
        from tqdm import tqdm

        self._first = runner.iter
        self._started = time.monotonic()
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=runner.max_iters,
            initial=runner.iter,
            desc=Path(runner.work_dir).name,
            unit="it",
            disable=not ranks.is_main(),
            dynamic_ncols=on_terminal,
            mininterval=0.5 if on_terminal else self.lines,
            maxinterval=max(self.lines, 10.0),
            miniters=None if on_terminal else 1,
            smoothing=0.1,
        )

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """One tick; losses when they were read."""
        if outputs:
            shown = [f"{name} {float(value):.2f}" for name, value in outputs.items()][:4]
            self._bar.set_postfix_str(", ".join(shown), refresh=False)
        self._bar.update(1)
        self._warn_if_slow(runner, batch_idx)

    def _warn_if_slow(self, runner: Any, iteration: int) -> None:
        """On a CPU, a few iterations into a run that will take hours: say how long, and what to do."""
        if iteration != self._first + 4 or game_of(runner).device.type != "cpu":
            return
        pace = (time.monotonic() - self._started) / 5
        hours = pace * (runner.max_iters - iteration) / 3600
        if hours > 1:
            speed = f"pace on this CPU: {pace:.2f} s an iteration, {hours:,.0f} hours to go"
            self._bar.write(f"{speed}; --quick takes minutes")

    def after_train(self, runner: Any) -> None:
        """Close it."""
        self._bar.close()
