"""What the speed switches bring on this machine: each against the plain game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.iterations import runner_iteration
from tests.benchmarks.pairs import measure

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
    plain = runner_iteration(name, tmp_path / "plain")
    switched = runner_iteration(name, tmp_path / "switched", **SWITCHES[switch])
    for _ in range(3):
        plain(), switched()
    title = f"{Path(name).stem} with {switch}; plain float32"
    measure(title, switched, plain, benchmark, capsys, repeats=10)
