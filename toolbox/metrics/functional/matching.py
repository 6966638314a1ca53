"""Maximum-matching mIoU: how well clusters segment once each is given to the best class (KLiSH, eq. 6, 7).

    MIoU = max_u 1/n sum_i |C_i n D(u, i)| / |C_i u D(u, i)|
    D(u, i) = union of the clusters j with u_j = i

with C_i the pixels of truth class i. The assignment u is found greedily (algorithm 2). Only equal numbers of
clusters compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import Floats, Integers


@dataclass(frozen=True)
class Matching:
    """Clusters given to classes.

    Attributes:
        assignment: (K) class of each cluster, -1 = none.
        iou: (R) of each class with its clusters; 0 for a class that never occurs.
        miou: mean of ``iou`` over all R classes, [0, 1].
        trace: (class, cluster, miou after it) of each step.
    """

    assignment: Integers
    iou: Floats
    miou: float
    trace: tuple[tuple[int, int, float], ...]


def matched_iou(contingency: ArrayLike, allow_unmatched: bool = True) -> Matching:
    """Greedy matching on pixels pooled over all images, as eq. 6 is written.

    Args:
        contingency: (R, K) counts of truth class i in cluster j, or (I, R, K) of I images, which are summed.
        allow_unmatched: stop when no assignment raises the mean; False: go on until every cluster belongs to
            a class.

    Raises:
        ValueError: for anything but counts.
    """
    counts = _checked(contingency)
    return _match(counts.sum(axis=0, keepdims=True), allow_unmatched)


def matched_iou_per_image(contingency: ArrayLike, allow_unmatched: bool = False) -> Matching:
    """Greedy matching on the IoU averaged over images where a class or its clusters occur.

    This is the authors' evaluator, the only one that compares with the published table. It gives every
    cluster to a class, even where that lowers the score.

    Args:
        contingency: (I, R, K) counts of truth class i in cluster j in each image.
        allow_unmatched: True: stop when no assignment raises the mean.

    Raises:
        ValueError: for anything but counts of images.
    """
    counts = _checked(contingency)
    if np.ndim(contingency) != 3:
        raise ValueError(
            f"contingency has shape {np.shape(contingency)}: expected (I, R, K), one table for each image"
        )
    return _match(counts, allow_unmatched)


def _checked(contingency: ArrayLike) -> Integers:
    counts = np.asarray(contingency)
    if counts.ndim not in (2, 3) or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(
            f"contingency has shape {counts.shape} and type {counts.dtype}: "
            "expected whole numbers (R, K) or (I, R, K)"
        )
    if counts.size == 0 or counts.min() < 0:
        raise ValueError("contingency must hold counts >= 0, of at least one class and one cluster")
    return counts.astype(np.int64).reshape(-1, *counts.shape[-2:])


def _match(counts: Integers, allow_unmatched: bool) -> Matching:
    """Give one cluster at a time to a class: the pair after which the mean is highest (ties: the first pair).

    Intersection and union with a class's clusters are kept, so that a step tries each pair with two additions
    an image.
    """
    images, classes, clusters = counts.shape
    sizes = counts.sum(axis=1)  # (I, K) pixels of each cluster
    inside = np.zeros((images, classes), dtype=np.int64)  # (I, R) pixels of class and its clusters
    union = counts.sum(axis=2)  # (I, R)
    iou = _class_iou(inside, union)  # (R,)
    assignment = np.full(clusters, -1)
    left = list(range(clusters))
    trace = []
    while left:
        shared = counts[..., left]  # (I, R, L)
        outside = sizes[:, None, left] - shared
        tried = _class_iou(inside[..., None] + shared, union[..., None] + outside)  # (R, L)
        means = (iou.sum() - iou[:, None] + tried) / classes
        i, place = np.unravel_index(int(np.argmax(means)), means.shape)
        if allow_unmatched and means[i, place] <= iou.mean():
            break
        j = left.pop(int(place))
        inside[:, i] += counts[:, i, j]
        union[:, i] += sizes[:, j] - counts[:, i, j]
        iou[i], assignment[j] = tried[i, place], i
        trace.append((int(i), j, float(iou.mean())))
    return Matching(assignment, iou, float(iou.mean()), tuple(trace))


def _class_iou(inside: Integers, union: Integers) -> Floats:
    """Mean over images (first axis) of inside / union where the union is not empty; 0 where it always is."""
    each = np.where(union > 0, inside / np.maximum(union, 1), 0.0)
    return np.asarray(each.sum(axis=0) / np.maximum((union > 0).sum(axis=0), 1))
