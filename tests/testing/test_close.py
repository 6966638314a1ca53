"""What the conformance checks call equal."""

from __future__ import annotations

import pytest
import torch

from toolbox.testing.common import close

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0001], True),
        ([1.0, 2.0], [1.0, 2.001], False),
        ([1e6, 0.0], [1e6, 50.0], True),  # relative to the largest
        ([0.0, -INF], [0.0, -INF], True),  # a causal mask
        ([0.0, -INF], [0.1, -INF], False),
        ([0.0, -INF], [0.0, INF], False),
        ([0.0, 5.0], [0.0, INF], False),
        ([0.0, INF], [0.0, 5.0], False),
        ([NAN], [NAN], False),
        ([], [], True),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_close(one: list[float], other: list[float], same: bool) -> None:
    assert close(torch.tensor(one), torch.tensor(other)) is same
