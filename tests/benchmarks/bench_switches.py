"""What the speed switches bring on this machine: each against the plain game, in alternating pairs of one
run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.bench_training import runner_iteration

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
    """Median ratio of an iteration without and with the switch: above 1 it is faster."""
    plain = runner_iteration(name, tmp_path / "plain")
    switched = runner_iteration(name, tmp_path / "switched", **SWITCHES[switch])
    for _ in range(3):
        plain(), switched()
    ratios: list[float] = []
    benchmark.pedantic(lambda: ratios.append(_ratio(plain, switched, len(ratios) % 2 == 1)), rounds=10)
    ratio = statistics.median(ratios)
    benchmark.extra_info["times_faster"] = ratio
    with capsys.disabled():
        print(f"\n{name}, {switch}: {ratio:.2f} times as fast (median of {len(ratios)} pairs)")


def _ratio(plain: Callable[[], None], switched: Callable[[], None], reverse: bool) -> float:
    """Time without over time with; who comes first alternates."""
    order = [("b", switched), ("a", plain)] if reverse else [("a", plain), ("b", switched)]
    times = {}
    for key, iteration in order:
        start = time.perf_counter()
        iteration()
        times[key] = time.perf_counter() - start
    return times["a"] / times["b"]
