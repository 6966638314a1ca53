"""Iterations of a config through mmengine's Runner, one by one: what is timed and profiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from toolbox.config import load_config
from toolbox.training.hooks.common import game_of
from toolbox.training.run.prepare import prepare
from toolbox.training.run.runner import build_runner

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True)
class Iteration:
    """Call it to play one.

    Attributes:
        play: plays one.
        batch: real images of it.
    """

    play: Callable[[], None]
    batch: int

    def __call__(self) -> None:
        self.play()


def runner_iteration(
    name: str, folder: Path, quick: bool = True, stage: str | None = None, **options: Any
) -> Iteration:
    """Loader, hooks and game, without earlier stages: what one would train is random.

    Args:
        name: file of the config.
        folder: of the run.
        quick: of :func:`toolbox.load_config`.
        stage: one that comes before the run's own game, in its place.
        **options: overrides by dotted key.
    """
    config = load_config(CONFIGS / name, quick=quick, options=options, tell=lambda line: None)
    config.work_dir, config.threads = str(folder), torch.get_num_threads()
    config.stages = [] if stage is None else [stage]
    for network in config.model.networks.values():
        if network and "stage" in (network.get("weights") or {}):
            network.pop("weights")
    config.hooks.progress = config.hooks.samples = None
    runner = build_runner(prepare(config)[0])
    runner._train_loop = loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if runner.param_schedulers:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    runner.call_hook("before_run")
    runner.optim_wrapper.initialize_count_status(runner.model, 0, loop.max_iters)
    game_of(runner).prepare(loop.dataloader.dataset)
    runner.call_hook("before_train")
    runner.call_hook("before_train_epoch")
    runner.model.train()
    batches = loop._stream()
    return Iteration(lambda: loop._iterate(next(batches)), int(config.train_dataloader.batch_size))
