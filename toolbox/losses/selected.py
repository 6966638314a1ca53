"""Means over some images of a batch."""

from __future__ import annotations

from torch import Tensor

from toolbox import ranks


def mean_over_selected(values: Tensor, selected: Tensor) -> Tensor:
    """Mean of ``values`` (N,) where ``selected`` (N,) is true; 0 where none is.

    In a run of several ranks (collective) the sum is divided by the mean number selected on a rank: the
    average of the ranks' results, and of their gradients, is then the mean over all selected images, as one
    process would take it, and not a mean of means.
    """
    number = ranks.sum_over_ranks(selected.sum()).clamp(min=1)
    return (values * selected).sum() * ranks.world() / number
