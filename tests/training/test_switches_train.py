"""The speed switches on a quick config: each trains it to the losses of plain float32."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

CONFIG = Path(__file__).parents[2] / "configs" / "biggan_cifar.py"
SWITCHES: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "channels-last": {"channels_last": True},
    "compiled": {"compile": True},
}
ITERATIONS, LAST = 80, 40  # losses are compared over the last so many
SMALL = {
    "train_cfg.max_iters": ITERATIONS,
    "train_dataloader.batch_size": 16,
    "model.log_every": 1,
    "threads": 1,
    "model.networks.generator.channels": 8,
    "model.networks.discriminator.channels": 8,
}


def late_losses(folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Means of each loss over the last iterations."""
    from toolbox.pipeline import train

    train(CONFIG, work_dir=folder, quick=True, options={**SMALL, **options}, evaluate=False, report=False)
    lines = [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()][-LAST:]
    return {name: sum(line[name] for line in lines) / len(lines) for name in lines[0] if "/" in name}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return late_losses(tmp_path_factory.mktemp("plain"), {})


@pytest.fixture(scope="module")
def another_seed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return late_losses(tmp_path_factory.mktemp("seed"), {"seed": 1})


@pytest.mark.slow
@pytest.mark.parametrize("switch", SWITCHES)
def test_losses_are_those_of_float32(
    tmp_path: Path,
    switch: str,
    plain: dict[str, float],
    another_seed: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No further from them than float32 with another seed is."""
    found = late_losses(tmp_path, SWITCHES[switch])
    for name, value in plain.items():
        bound = max(0.1, abs(another_seed[name] - value))
        said = (
            f"{switch}, {name}: {found[name]:.4f}, float32 {value:.4f}, another seed {another_seed[name]:.4f}"
        )
        with capsys.disabled():
            sys.stdout.write(f"\n{said}")
        assert abs(found[name] - value) < bound
