"""The journal of scalars: ``scalars.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.interfaces.described import Described
from toolbox.ranges import check_whole
from toolbox.training.hooks.common import game_of
from toolbox.training.run.resume import drop_after


class Journal(Described, Hook):
    """Appends the losses to ``scalars.jsonl`` and keeps mmengine's in-memory history short.

    Args:
        keep: entries of history a scalar, at least what mmengine's log averages over; a history is copied at
            each entry.
    """

    priority = "LOW"

    def __init__(self, keep: int = 100) -> None:
        check_whole(1, keep=keep)
        self.keep = keep

    def before_train(self, runner: Any) -> None:
        """On resume, drop what was written after the checkpoint."""
        drop_after(runner.iter, Path(runner.work_dir) / "scalars.jsonl")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """One line for each reading of the losses."""
        if not outputs:
            return
        game = game_of(runner)
        record = dict(
            iteration=batch_idx + 1,
            kimg=round(game.kimg, 3),
            **{name: round(float(value), 6) for name, value in outputs.items()},
        )
        if ranks.is_main():
            with open(Path(runner.work_dir) / "scalars.jsonl", "a") as file:
                file.write(json.dumps(record) + "\n")
        self._trim(runner)

    def _trim(self, runner: Any) -> None:
        for buffer in runner.message_hub.log_scalars.values():
            if len(buffer._log_history) > 2 * self.keep:
                buffer._log_history = buffer._log_history[-self.keep :]
                buffer._count_history = buffer._count_history[-self.keep :]
