"""Averages of networks with spectral normalisation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import spectral_norm

from toolbox.training.average import Average


def test_singular_vectors_follow_the_averaged_weights() -> None:
    """sigma of the average is the largest singular value of the averaged weight, though the network's vectors turn."""
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
