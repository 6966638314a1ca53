"""Functions run in several processes: results in order, faults told with their reason."""

from __future__ import annotations

import os
import time

import pytest
import torch

from toolbox import ranks
from toolbox.testing.processes import run_ranks


def add(value: torch.Tensor) -> tuple[int, int, torch.Tensor]:
    return ranks.rank(), ranks.world(), ranks.sum_over_ranks(value * (ranks.rank() + 1))


def fail_on_rank_1() -> None:
    if ranks.rank() == 1:
        raise ValueError("rank 1 does not like this")
    ranks.wait_for_all()


def die_on_rank_1() -> None:
    if ranks.rank() == 1:
        os._exit(3)
    ranks.wait_for_all()


def sleep() -> None:
    time.sleep(60)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_results_come_in_the_order_of_the_ranks(world: int) -> None:
    results = run_ranks(add, torch.ones(2), world=world)
    assert [result[:2] for result in results] == [(rank, world) for rank in range(world)]
    assert all(torch.equal(result[2], torch.full((2,), world * (world + 1) / 2.0)) for result in results)


def test_faults_are_told_with_their_reason() -> None:
    with pytest.raises(RuntimeError, match="rank 1 does not like this"):
        run_ranks(fail_on_rank_1)
    with pytest.raises(RuntimeError, match="rank 1: died without an answer"):
        run_ranks(die_on_rank_1)
    with pytest.raises(RuntimeError, match="no answer in time"):
        run_ranks(sleep, timeout=1.0)
