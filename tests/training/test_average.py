"""Averages of networks with spectral normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm

from toolbox.training.game.average import Average


def test_singular_vectors_follow_the_averaged_weights() -> None:
    """sigma of the average is the largest singular value of the averaged weight, though the network's vectors
    turn.
    """
    torch.manual_seed(0)
    network = nn.Sequential(spectral_norm(nn.Linear(6, 5)))
    average = Average(network, decay=0.9)
    for step in range(200):
        with torch.no_grad():  # the top direction changes sides all the time
            network[0].weight_orig.add_(torch.randn(5, 6) * 0.05)
            network[0].weight_u.mul_(-1)
            network[0].weight_v.mul_(-1)
        average.update(network, step, 0.0, 1)
    layer = average.module[0]
    expected = layer.weight_orig / torch.linalg.matrix_norm(layer.weight_orig, 2)
    average.module(torch.zeros(1, 6))
    assert torch.allclose(layer.weight, expected, rtol=0.02, atol=1e-3)
    assert torch.allclose(layer.weight_u.norm(), torch.ones(()), atol=1e-4)


@pytest.mark.parametrize(
    "arguments", [dict(decay=1.0), dict(half_life_kimg=-1.0), dict(half_life_kimg=1.0, rampup=-0.05)]
)
def test_errors(arguments: dict[str, float]) -> None:
    name, value = list(arguments.items())[-1]
    with pytest.raises(ValueError, match=f"^{name}={value} must be"):
        Average(nn.Linear(1, 1), **arguments)


def test_a_half_life_ramps_up() -> None:
    """ADA's rule: half of what was, every 5% of the images so far, at most every half_life_kimg; the first
    step copies.
    """
    average = Average(nn.Linear(1, 1), half_life_kimg=10.0, rampup=0.05)
    assert average.decay_at(0, 0.0, 32) == 0.0
    assert average.decay_at(1, 20.0, 1000) == pytest.approx(0.5)
    assert average.decay_at(1, 20_000.0, 10_000) == pytest.approx(0.5)
