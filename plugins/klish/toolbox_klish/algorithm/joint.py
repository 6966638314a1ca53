"""The authors' way of training: all classes jointly, after every merge.

It is the reference that tests and the benchmark compare with, and ``solver='joint'`` of KLiSH.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toolbox_klish.algorithm.solvers import ignore
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.planes import Planes


@dataclass
class JointSolver:
    """All classes after every merge by L-BFGS without line search, as the authors' code does.

    It is here for comparison. Where the cap ends it before the minimum, the point that it stops at depends on
    the order of sums: IoU differs by some thousandths, and close choices fall otherwise than in the authors'
    run (``docs/klish_measured.md``, references).

    Args:
        C: weight of the hinge.
        calls: at most so many calls of 5 iterations.
        tolerance: it stops when no weight moves further than this in a call.
    """

    C: float
    calls: int = 20
    tolerance: float = 1e-4
    biased: bool = True
    passes: int = 0
    trained: Callable[[int], None] = ignore

    def stale(self, present: list[int], merged: int) -> list[int]:
        """Every class."""
        return present

    def start(self, kept: Planes, removed: Planes, share: float) -> Planes:
        """The mean, weighted by rows."""
        weight = share * removed.weight + (1 - share) * kept.weight
        bias = share * removed.bias + (1 - share) * kept.bias
        return Planes(weight, bias)

    def train(self, blocks: FeatureBlocks, labels: Tensor, classes: list[int], start: Planes) -> Planes:
        """L-BFGS with a history of its own for this partition."""
        weight = start.weight.to(blocks.dtype).clone()
        bias = start.bias.to(blocks.dtype).clone()
        parameters = [weight, bias] if self.biased else [weight]
        optimiser = torch.optim.LBFGS(parameters, lr=1, max_iter=5, history_size=100)

        def evaluate() -> Tensor:
            loss, weight.grad, bias.grad = joint_loss(blocks, labels, classes, Planes(weight, bias), self.C)
            self.passes += 1
            return loss

        for _ in range(self.calls):
            before = weight.clone()
            optimiser.step(evaluate)
            if float((weight - before).abs().max()) < self.tolerance:
                break
        self.trained(len(classes))
        return Planes(weight.double(), bias.double())


def joint_loss(
    blocks: FeatureBlocks, labels: Tensor, classes: list[int], planes: Planes, C: float
) -> tuple[Tensor, Tensor, Tensor]:
    """J(W, b) of all classes, the mean of each one's J_k (eq. 3), and its gradients by W and b."""
    wanted = torch.tensor(classes, device=blocks.device)
    K = len(classes)
    factor = 2 * C / (K * blocks.total)
    by_weight = torch.zeros(planes.weight.shape, dtype=torch.float64, device=blocks.device)  # (K, D)
    by_bias = by_weight.new_zeros(K)
    loss = by_weight.new_zeros(())
    for at, x in blocks:
        targets = torch.where(labels[at, None] == wanted, 1.0, -1.0).to(x)  # (n, K)
        scores = planes(x)
        errors = torch.where(targets * scores < 1, scores - targets, 0.0)
        loss += errors.square().sum()
        by_weight += errors.T @ x
        by_bias += errors.sum(dim=0)
    flat = blocks.sum(torch.cat([loss[None], by_bias, by_weight.flatten()]))  # over ranks, all at once
    loss = flat[0]
    by_bias = flat[1 : K + 1]
    by_weight = flat[K + 1 :].view_as(by_weight)
    penalty = 0.5 * planes.weight.double().square().sum() / K
    gradient = by_weight * factor + planes.weight / K
    return penalty + 0.5 * factor * loss, gradient.to(planes.weight), (by_bias * factor).to(planes.bias)
