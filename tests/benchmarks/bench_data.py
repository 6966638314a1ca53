"""Reading captions: plain pickles against the machine that rebuilds arrays, in alternating pairs."""

from __future__ import annotations

import io
import pickle
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from toolbox.weights.limits import Meter
from toolbox.weights.pickles import read_pickle, table
from toolbox.weights.plain_pickles import read_plain


@pytest.mark.parametrize("protocol", [0, 2])
def test_plain_pickles(benchmark: Any, capsys: pytest.CaptureFixture[str], protocol: int) -> None:
    """20,000 captions of 8 to 13 words."""
    rng = np.random.default_rng(0)
    data = pickle.dumps([rng.integers(1, 27297, n).tolist() for n in rng.integers(8, 14, 20_000)], protocol)
    ratios: list[float] = []

    def pair() -> None:
        slow = seconds(lambda: read_pickle(io.BytesIO(data), table({}), meter=Meter(10**7)))
        ratios.append(slow / seconds(lambda: read_plain(data)))

    benchmark.pedantic(pair, rounds=5)
    benchmark.extra_info["times_faster"] = ratio = statistics.median(ratios)
    with capsys.disabled():
        print(f"\nprotocol {protocol}: {ratio:.1f} times as fast (median of {len(ratios)} pairs)")
    assert ratio > 4


def seconds(work: Callable[[], object]) -> float:
    """Of the processor: other work on the machine must not decide."""
    started = time.process_time()
    work()
    return time.process_time() - started
