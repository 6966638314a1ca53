"""Contrast of image and text codes guided by labels: SCL, its two-view terms, NT-Xent, UniCL, cross-entropy.

Codes come raw and are scaled to unit length here. All sums are made in float32, also under autocast. What is
positive for what is said by ``positives``:

* (N,) int64: label of each item; items of equal label are positives of each other;
* (N, N) bool or float >= 0: which item is a positive of which, or by how much;
* (V N, V N): the same for each vector by itself, V views one after the other.

With the first two, all views of an item are positives of each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def supervised_contrast(
    views: Sequence[Tensor], positives: Tensor, temperature: float, ignored: Tensor | None = None
) -> Tensor:
    """Mean over all vectors of their supervised contrastive loss (SupCon's outer sum; E3 to E6).

        l_a = -sum_p w_ap log [exp(u_a.u_p / tau) / sum_{k != a} exp(u_a.u_k / tau)] / sum_p w_ap

    p runs over all other vectors, w is ``positives``. The joint loss of SCL takes four views: images and
    texts of both branches. Two views are a pairwise term; where besides all labels differ, NT-Xent.

    Args:
        views: V codes (N, D) of the same N items, in the same order.
        positives: see the head of this file.
        temperature: tau.
        ignored: (N, N) or (V N, V N) bool: pairs that are left out of the sum over k, unless they are
            positives.

    Returns:
        Scalar float32: log(V N - 1) for equal codes.

    Raises:
        ValueError: for views of different shapes, or ``positives`` of another.
    """
    n = _same_shape(views)
    codes = _unit(torch.cat(list(views)))  # (V N, D)
    weights = _spread(positives, n, len(views)).float()
    with torch.autocast(codes.device.type, enabled=False):
        others = ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        weights = weights * others
        counted = others if ignored is None else others & (~_spread(ignored, n, len(views)) | (weights > 0))
        return _soft_cross_entropy(codes @ codes.t() / temperature, weights, counted).mean()


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Contrast of two views (N, D) without labels (SimCLR): an item's only positive is its other view."""
    return supervised_contrast([first, second], torch.arange(len(first), device=first.device), temperature)


def unified_contrast(
    images: Tensor, texts: Tensor, positives: Tensor, temperature: float, form: str = "mean"
) -> Tensor:
    """Contrast of images with texts alone, captions of equal labels being positives (UniCL, CVPR 2022).

        L_i2t = -mean_i sum_k w_ik log softmax_k(u_i.v_k / tau) / sum_k w_ik

    and L_t2i with the roles exchanged. A pair is a positive of itself.

    Args:
        images, texts: (N, D); text i belongs to image i.
        positives: (N,) labels, or (N, N).
        temperature: tau.
        form: 'mean': (L_i2t + L_t2i) / 2; 'sum': L_i2t + L_t2i, positives summed and not averaged.

    Raises:
        ValueError: for codes of different shapes.
    """
    n = _same_shape([images, texts])
    weights = _spread(positives, n, 1).float()
    with torch.autocast(images.device.type, enabled=False):
        scores = _unit(images) @ _unit(texts).t() / temperature
        everyone = torch.ones_like(weights, dtype=torch.bool)
        mean = form == "mean"
        both = [
            _soft_cross_entropy(scores, weights, everyone, mean).mean(),
            _soft_cross_entropy(scores.t(), weights.t(), everyone, mean).mean(),
        ]
        return torch.stack(both).mean() if mean else torch.stack(both).sum()


def label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Classification loss (N,) of logits (N, C), float32; 0 for items without a label.

    Args:
        logits: of any precision.
        labels: (N,) int64, -1 = none; or (N, C) bool, a set of labels each: the mean over C of binary
            cross-entropies then.
    """
    logits = logits.float()
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none").mean(dim=1)


def _soft_cross_entropy(scores: Tensor, weights: Tensor, counted: Tensor, mean: bool = True) -> Tensor:
    """(M,) -sum_p w_ap (s_ap - log sum_{counted k} exp s_ak), over sum_p w_ap if ``mean``."""
    normaliser = scores.masked_fill(~counted, -torch.inf).logsumexp(dim=1, keepdim=True)
    losses = (weights * (normaliser - scores)).sum(dim=1)
    return losses / weights.sum(dim=1).clamp(min=torch.finfo(torch.float32).tiny) if mean else losses


def _unit(codes: Tensor) -> Tensor:
    """Rows of unit length, float32 (E3)."""
    return F.normalize(codes.float(), dim=1, eps=1e-12)


def _spread(pairs: Tensor, n: int, views: int) -> Tensor:
    """(V N, V N) of what is said of labels (N,), of items (N, N), or of each vector."""
    if pairs.shape == (n,):
        pairs = pairs[:, None] == pairs[None, :]
    if pairs.shape == (n, n):
        return pairs.repeat(views, views)
    if pairs.shape != (views * n, views * n):
        allowed = f"({n},), ({n}, {n}) or ({views * n}, {views * n})"
        raise ValueError(f"positives have shape {tuple(pairs.shape)}: expected {allowed} for {n} items")
    return pairs


def _same_shape(views: Sequence[Tensor]) -> int:
    """How many items the views have."""
    shapes = [tuple(view.shape) for view in views]
    if len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise ValueError(f"codes have shapes {shapes}: expected (N, D), the same for images and texts")
    return shapes[0][0]
