"""Pace after 200,000 logged iterations over that of the first: a history that grows would show. ``make
bench`` prints it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.benchmarks.pairs import measure
from toolbox.config import load_config
from toolbox.training.hooks.common import game_of
from toolbox.training.run.prepare import prepare
from toolbox.training.run.runner import build_runner

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import tiny_run

LOGGED = 200_000
BLOCK, PAIRS = 25, 200


class LongRun:
    """A run of the toy game, its losses read in every iteration, driven iteration by iteration."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        options = {"train_cfg.max_iters": 10 * LOGGED, "hooks.checkpoints": None, "model.log_every": 1}
        config = load_config(tiny_run.write_config(folder / "tiny.py"), options=options)
        config.work_dir = str(folder)
        self.runner = build_runner(prepare(config)[-1])
        self.runner._train_loop = self.loop = self.runner.build_train_loop(self.runner._train_loop)
        self.runner.optim_wrapper = self.runner.build_optim_wrapper(self.runner.optim_wrapper)
        self.runner.param_schedulers = self.runner.build_param_scheduler(self.runner.param_schedulers)
        self.runner.call_hook("before_run")
        self.runner.optim_wrapper.initialize_count_status(self.runner.model, 0, self.loop.max_iters)
        game_of(self.runner).prepare(self.loop.dataloader.dataset)
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        self.batches = self.loop._stream()

    def iterate(self, times: int) -> None:
        """Play so many iterations."""
        for _ in range(times):
            self.loop._iterate(next(self.batches))

    def log(self, times: int) -> None:
        """What the hooks do around so many iterations, without the iterations."""
        outputs = {f"loss{number}": torch.tensor(float(number)) for number in range(3)}
        for _ in range(times):
            self.runner.call_hook("before_train_iter", batch_idx=self.loop.iter, data_batch=None)
            self.runner.call_hook(
                "after_train_iter", batch_idx=self.loop.iter, data_batch=None, outputs=outputs
            )
            self.loop._iter += 1

    @property
    def history(self) -> int:
        """Entries of the longest history in memory."""
        return max(len(buffer.data[0]) for buffer in self.runner.message_hub.log_scalars.values())


def test_pace_after_200000_logged_iterations(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks of an old and a young run in turn."""
    young, old = LongRun(tmp_path / "young"), LongRun(tmp_path / "old")
    old.log(LOGGED)
    title = "an iteration after 200,000 logged ones; the first ones"
    ratio = measure(
        title, lambda: old.iterate(BLOCK), lambda: young.iterate(BLOCK), benchmark, capsys, repeats=PAIRS
    )
    assert ratio.median < 1.02
    assert old.history <= 201
