"""Two ways of the same work, timed in turn: the ratio of their processor times, which a busy machine hardly
moves.

    def test_kid(benchmark, capsys):
        measure("KID against torch-fidelity", ours, theirs, benchmark, capsys)
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

Work = Callable[[], Any]


@dataclass(frozen=True)
class Ratio:
    """Processor times of pairs, and the ratio ours / theirs of each: below 1 ours is faster."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def each(self) -> list[float]:
        """One ratio a pair."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def median(self) -> float:
        return statistics.median(self.each)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third; of a single pair both are its ratio."""
        if len(self.ours) == 1:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.each, n=4, method="inclusive")
        return low, high

    def __str__(self) -> str:
        low, high = self.quartiles
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        return (
            f"{self.median:.2f} (quartiles {low:.2f} to {high:.2f}; {_duration(ours)} against "
            f"{_duration(theirs)} of processor time; {len(self.ours)} pairs)"
        )


def measure(
    title: str, ours: Work, theirs: Work, benchmark: Any, capsys: pytest.CaptureFixture[str], repeats: int = 9
) -> Ratio:
    """The pair's ratio, printed and kept in ``extra_info``; pytest-benchmark's own table times all pairs."""
    ratio: Ratio = benchmark.pedantic(pair, args=(ours, theirs, repeats), rounds=1)
    benchmark.extra_info.update(title=title, ratio=ratio.median, quartiles=list(ratio.quartiles))
    benchmark.extra_info.update(ours=statistics.median(ratio.ours), theirs=statistics.median(ratio.theirs))
    with capsys.disabled():
        print(f"\n{title}: {ratio}")
    return ratio


def pair(ours: Work, theirs: Work, repeats: int = 9, warmups: int = 1) -> Ratio:
    """Time both in turn, whoever comes first changing each time, after ``warmups`` calls of each.

    Args:
        ours, theirs: the work, without arguments; what they return is thrown away.
        repeats: pairs that are timed.
        warmups: calls of each before that.
    """
    if repeats < 1:
        raise ValueError(f"repeats={repeats}: at least one pair is needed")
    for _ in range(warmups):
        ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            times[side].append(processor_time((ours, theirs)[side]))
    return Ratio(tuple(times[0]), tuple(times[1]))


def processor_time(work: Work) -> float:
    """Seconds of processor time of one call, of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
