"""The partition that merging starts from: numbered by size, filtered by separability (KLiSH, sec. 3.2)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toolbox_klish.algorithm.kmeans import centre_planes, lloyd, nearest
from toolbox_klish.algorithm.measures import Separability, count_labels
from toolbox_klish.algorithm.solvers import Solver
from toolbox_klish.svm.blocks import FeatureBlocks

_TINY = 1e-9  # keeps the logits of IoU 0 and 1 finite, at -20.7 and 20.7


def given_labels(initial: ArrayLike, blocks: FeatureBlocks, clusters: int) -> Tensor:
    """(N) a partition from outside, checked: labels from 0, as many non-empty clusters as asked for.

    Raises:
        ValueError: naming what does not fit.
    """
    labels = np.asarray(initial)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"initial has shape {labels.shape} and type {labels.dtype}: expected whole numbers (N,)"
        )
    if len(labels) != blocks.rows:
        raise ValueError(
            f"initial has {len(labels)} labels, the features {blocks.rows} rows: they must pair up"
        )
    if labels.min() < 0 or labels.max() >= clusters:
        raise ValueError(
            f"initial has labels from {labels.min()} to {labels.max()}: with clusters={clusters} they must "
            f"lie in 0..{clusters - 1}; set clusters={labels.max() + 1}, or renumber them"
        )
    found = torch.from_numpy(labels.astype(np.int64)).to(blocks.device)
    empty = (count_labels(blocks, found, clusters) == 0).nonzero()[:, 0].tolist()
    if empty:
        raise ValueError(
            f"initial has no row in cluster {empty[0]} ({len(empty)} of clusters={clusters} are empty): "
            f"renumber the labels without gaps and set clusters={clusters - len(empty)}"
        )
    return found


def by_size(blocks: FeatureBlocks, labels: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    """(N) labels numbered by size, largest first, ties by number; and (K) which old cluster each new one was.

    Clusters without rows are dropped, with a warning.
    """
    sizes = count_labels(blocks, labels, clusters).cpu()
    filled = int((sizes > 0).sum())
    order = torch.sort(sizes, descending=True, stable=True).indices[:filled]
    new = torch.zeros(clusters, dtype=torch.int64)
    new[order] = torch.arange(len(order))
    if len(order) < clusters:
        warnings.warn(
            f"{clusters - len(order)} of {clusters} clusters have no row and are left out", stacklevel=3
        )
    return new.to(labels.device)[labels], order


def separable(iou: NDArray[np.floating], sigma: float) -> NDArray[np.bool_]:
    """(K) whether a cluster's logit of IoU is above the mean less ``sigma`` standard deviations.

    The logit of an IoU a is ln(a / (1 - a)); the paper's ``sigma`` is 1 (sec. 3.2). A cluster of IoU 0 or 1
    has logit -20.7 or 20.7 and weighs heavily in both.
    """
    logits = np.log(np.maximum(iou / np.maximum(1 - iou, _TINY), _TINY))
    if len(logits) < 2 or np.ptp(logits) == 0:
        return np.ones(len(logits), dtype=bool)
    return np.asarray(logits > logits.mean() - sigma * logits.std(ddof=1))


def filtered(
    blocks: FeatureBlocks, labels: Tensor, centres: Tensor, solver: Solver, sigma: float, metric: str
) -> dict[str, Any]:
    """K-means again from the centres of the separable clusters (sec. 3.2, "Filter initial clusters").

    Args:
        labels: clusters by size.
        centres: (K, D) of those clusters, in the same order.
        solver: trains their support vector machines.
        sigma: see :func:`separable`.
        metric: of the second k-means.

    Returns:
        dict(iou, kept: masks over the clusters given; centres: those of the second k-means; labels: nearest
        ones, not sorted)
    """
    classes = list(range(len(centres)))
    planes = solver.train(blocks, labels, classes, centre_planes(centres, metric))
    measured = Separability(blocks, labels, len(centres))
    measured.renew(labels, [(classes, planes)])
    iou = measured.iou(classes).cpu().numpy()
    kept = separable(iou, sigma)
    left = centres[torch.from_numpy(kept).to(centres.device)]
    again = lloyd(blocks, left, metric, steps=2000, tolerance=1e-3)
    return dict(iou=iou, kept=kept, centres=again, labels=nearest(blocks, again, metric))
