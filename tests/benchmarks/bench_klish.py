"""KLiSH's merge loop, after the initial training: one machine a merge against all of them jointly.

    python -m pytest tests/benchmarks/bench_klish.py -o python_files="bench_*.py" --benchmark-only -s -k small

'full' is N = 32,768, D = 256, K0 = 100; its joint side takes many minutes on a CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from toolbox.registry import build
from toolbox_klish.toy import curved_clusters

SIZES = {
    "small": dict(rows=8192, width=64, classes=12, clusters=30, least=5),
    "full": dict(rows=32_768, width=256, classes=30, clusters=100, least=25),
}


def loop_seconds(model: Any) -> float:
    """From the end of the first training to the end of the last one."""
    return float(model.seconds_[-1] - model.seconds_[0])


@pytest.mark.parametrize("size", SIZES)
def test_one_machine_a_merge_against_all_jointly(benchmark: BenchmarkFixture, size: str) -> None:
    """The ratio of the two loops' times, and whether they merge the same pairs."""
    settings = dict(SIZES[size])
    least = settings.pop("least")  # the ratio asked for
    clusters = settings.pop("clusters")
    X, _ = curved_clusters(**settings)
    initial = build(dict(type="LloydKMeans", clusters=clusters)).fit(X).labels_
    assert len(np.unique(initial)) == clusters

    def fit(solver: str) -> Any:
        model = build(dict(type="KLiSH", clusters=clusters, filter_sigma=None, solver=solver))
        return model.fit(X, initial=initial)

    ours = benchmark.pedantic(fit, args=("newton",), rounds=1)
    theirs = fit("joint")
    newton = loop_seconds(ours)
    joint = loop_seconds(theirs)
    ratio = joint / newton
    equal = int((ours.merges_ == theirs.merges_).all(axis=1).sum())
    benchmark.extra_info.update(ratio=ratio, newton=newton, joint=joint, equal_merges=equal)
    print(
        f"\n{size}: {newton:.2f} s against {joint:.1f} s: {ratio:.1f}x; "
        f"{equal} of {len(ours.merges_)} merges equal"
    )
    assert ratio > least
