"""Twenty thousand iterations: memory, checkpoints and history stay as they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from toolbox.training.checkpoints import checkpoint_files
from toolbox.training.game.game import Game

Run = Callable[..., Path]


def resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
def test_memory_is_constant_over_20000_iterations(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Losses read in every iteration, a checkpoint every 500, a grid every 1,000, a measurement
    every 1,000.
    """
    step, memory = Game.train_step, {}

    def measured_step(game: Game, data: object, optim_wrapper: object) -> object:
        if int(game.iteration) % 2000 == 1999:
            memory[int(game.iteration) + 1] = resident()
        return step(game, data, optim_wrapper)  # type: ignore[arg-type]

    monkeypatch.setattr(Game, "train_step", measured_step)
    evaluation = dict(
        real=dict(type="EmbeddedFashion", split="test", image_size=8),
        n_fake=100,
        metrics=dict(fid=dict(type="FID")),
        extractor=dict(type="PooledPixels"),
        cache_dir=str(tmp_path / "statistics"),
    )
    folder = trained(
        options={
            "train_cfg.max_iters": 20_000,
            "evaluation": evaluation,
            "model.networks.generator.bounded": True,
            "hooks.evaluation": dict(type="Evaluation", interval=1000),
            "hooks.samples": dict(type="SampleGrid", interval=1000, columns=2),
            "hooks.checkpoints": dict(type="Checkpoints", interval=500, keep=0, best="fid"),
        }
    )
    sizes = [path.stat().st_size for path in checkpoint_files(folder)]
    with capsys.disabled():
        print(  # noqa: T201
            f"\nMB in memory by iteration: { {n: round(mb, 1) for n, mb in memory.items()} }; "
            f"checkpoints of {min(sizes):,} to {max(sizes):,} bytes"
        )
    assert memory[20_000] - memory[2000] < 16 and memory[20_000] - memory[8000] < 3, memory
    assert len(sizes) == 40 and max(sizes) - min(sizes) < 512, sizes
