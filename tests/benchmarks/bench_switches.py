"""What the speed switches bring on this machine: each against the plain game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.iterations import runner_iteration
from tests.benchmarks.pairs import measure

BATCH = 16  # half precision takes ten times as long where a CPU has no instructions for it
SWITCHES = {
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "channels-last": {"channels_last": True},
    "compiled": {"compile": True},
}


@pytest.mark.parametrize("name", ["biggan_cifar.py", "lcp_cifar.py"])
@pytest.mark.parametrize("switch", SWITCHES)
def test_switch(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, switch: str
) -> None:
    """An iteration with the switch against one without."""
    size = {"train_dataloader.batch_size": BATCH}
    plain = runner_iteration(name, tmp_path / "plain", **size)
    switched = runner_iteration(name, tmp_path / "switched", **size, **SWITCHES[switch])
    for _ in range(2):
        plain(), switched()
    title = f"{Path(name).stem} with {switch}, batch {BATCH}; plain float32"
    measure(title, switched, plain, benchmark, capsys, repeats=4)
