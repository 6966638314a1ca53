"""The linear classifier that extends agglomerative clusters to new rows (sec. 4.1; the authors' code)."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox_klish.svm.planes import Planes

_DECAY = 1e-3  # of the mean square weight
_STILL = 1e-4  # largest change of a weight at which training stops


@torch.enable_grad()  # a game prepares its conditioner without gradients
def train_softmax(
    features: Tensor, labels: Tensor, biased: bool, steps: int = 1000, learning_rate: float = 1e-3
) -> Planes:
    """Softmax cross-entropy over all rows at once, by Adam, from planes through the class means.

    Args:
        features: (N, D).
        labels: (N,) from 0, every class with a row.
        biased: whether planes have a bias.
        steps: at most so many.
        learning_rate: of Adam.
    """
    features = features.detach().float()
    weight, bias = mean_planes(features, labels)
    bias = bias if biased else torch.zeros_like(bias)
    parameters = [weight, bias] if biased else [weight]
    for parameter in parameters:
        parameter.requires_grad_()
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    for _ in range(steps):
        before = weight.detach().clone()
        optimiser.zero_grad()
        scores = features @ weight.T + bias  # (N, K)
        loss = torch.nn.functional.cross_entropy(scores, labels) + _DECAY * weight.square().mean()
        loss.backward()
        optimiser.step()
        if float((weight.detach() - before).abs().max()) < _STILL:
            break
    return Planes(weight.detach(), bias.detach())


def mean_planes(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(K, D) unit class means, and (K) biases (-|m|^2 / 2 - mean over classes of that) / |m|."""
    members = torch.nn.functional.one_hot(labels).to(features)
    means = members.T @ features / members.sum(dim=0)[:, None]
    lengths = means.norm(dim=1).clamp_min(1e-12)
    half = -lengths.square() / 2
    return means / lengths[:, None], (half - half.mean()) / lengths
