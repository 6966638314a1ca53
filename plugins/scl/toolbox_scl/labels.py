"""Which items are positives of which, from their labels or their sets of labels (section 2 of the README)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RULES = {
    "equal": "one label each, equal ones",
    "any": "sets of labels with one in common",
    "jaccard": "sets of labels, by the share that they have in common",
}


class Positives(NamedTuple):
    """What is positive for what among M items.

    Attributes:
        weights: (M, M) bool or float >= 0.
        ignored: (M, M) bool pairs that are neither positive nor negative; None = none.
    """

    weights: Tensor
    ignored: Tensor | None = None


def equal_labels(labels: Tensor) -> Tensor:
    """(M, M) bool of labels (M,) int64: equal ones; a hidden one (below 0) equals itself alone."""
    same = (labels[:, None] == labels[None, :]) & (labels >= 0)
    return same | torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def shared_labels(sets: Tensor) -> Tensor:
    """(M, M) bool of sets (M, C) bool: which share a label."""
    return _overlap(sets) > 0


def jaccard(sets: Tensor) -> Tensor:
    """(M, M) float in [0, 1] of sets (M, C) bool: |A and B| / |A or B|; 0 for two empty ones."""
    both = _overlap(sets)
    sizes = sets.float().sum(dim=1)
    return both / (sizes[:, None] + sizes[None, :] - both).clamp(min=1)


def positives_by(rule: str, labels: Tensor | None, sets: Tensor | None, ignore_overlap: bool) -> Positives:
    """Positives among M items by a rule of :data:`RULES`.

    Args:
        rule: 'equal' takes the labels, the others the sets.
        labels: (M,) int64, -1 = hidden.
        sets: (M, C) bool.
        ignore_overlap: leave out pairs of unequal labels whose sets overlap.
    """
    if rule == "equal":
        assert labels is not None
        same = equal_labels(labels)
        if not ignore_overlap:
            return Positives(same)
        assert sets is not None
        return Positives(same, shared_labels(sets) & ~same)
    assert sets is not None
    return Positives(shared_labels(sets) if rule == "any" else jaccard(sets))


def with_own_views(positives: Positives, branches: int) -> Positives:
    """The same, an item's own views (M / branches rows apart) being positives whatever the labels say."""
    weights, ignored = positives
    n = len(weights) // branches
    own = torch.eye(n, dtype=torch.bool, device=weights.device).repeat(branches, branches)
    return Positives(weights.where(~own | (weights > 0), own.to(weights.dtype)), ignored)


def _overlap(sets: Tensor) -> Tensor:
    """(M, M) how many labels two sets share."""
    members = sets.float()
    return members @ members.t()
