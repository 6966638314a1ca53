"""What extractors minimise: plain PyTorch on scores and labels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from toolbox_klish.lse.extractors import LSE

C = 5000.0  # of the squared hinge: KLiSH's, in its comparison of LSE and SVM too


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(S)_y, mean over pixels.

    Args:
        scores: (N, parts, H, W).
        labels: (N, H, W) whole numbers below parts.
    """
    return F.cross_entropy(scores, labels.long())


def squared_hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """max(0, 1 - y_k S_k)^2, y_k = 1 for a pixel's own part, else -1; mean over pixels and parts (eq. 3).

    Arguments as of :func:`cross_entropy`.
    """
    own = F.one_hot(labels.long(), scores.shape[1]).movedim(-1, 1)
    return (1 - (2 * own - 1) * scores).clamp(min=0).square().mean()


def margin(extractor: LSE) -> Tensor:
    """1/2 sum_l mean_k |w_lk|^2, of every layer's planes; offsets are free."""
    weights: list[Tensor] = [convolution.weight for convolution in extractor.extractor]  # type: ignore[misc]
    squares = [weight.square().sum(dim=(1, 2, 3)).mean() for weight in weights]
    total: Tensor = sum(squares[1:], squares[0])
    return 0.5 * total


def svm(extractor: LSE, scores: Tensor, labels: Tensor, c: float = C) -> Tensor:
    """C times :func:`squared_hinge`, plus :func:`margin`: the SVM of table III."""
    return c * squared_hinge(scores, labels) + margin(extractor)
