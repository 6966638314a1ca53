"""The formulas of the metrics, on numpy arrays: usable on their own, float64 inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.metrics.functional.frechet import frechet_from_features

Floats = NDArray[np.float64]


def structural_consistency(source: ArrayLike, fake: ArrayLike, quantise: bool = False) -> Floats:
    """SCS_i = 2 sum_p a_p b_p / sum_p (a_p^2 + b_p^2) of edge maps a, b (N, H, W) in [0, 1]; (N,).

    A pair without any edge on either side has 1. Source: RSSA (Xiao et al. 2022).

    Args:
        source, fake: the maps.
        quantise: cut the maps to 8 bits first, as RSSA's code does by way of PNG files.

    >>> structural_consistency([[[0.0, 1.0]]], [[[1.0, 1.0]]]).round(4).tolist()
    [0.6667]
    """
    a, b = (np.asarray(maps, dtype=np.float64).clip(0, 1) for maps in (source, fake))
    if a.ndim < 2 or a.shape != b.shape:
        raise ValueError(f"edge maps have shapes {a.shape} and {b.shape}: expected (N, H, W), twice the same")
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    if quantise:
        a, b = np.floor(a * 255) / 255, np.floor(b * 255) / 255
    shared, total = 2 * (a * b).sum(1), (a * a + b * b).sum(1)
    return np.divide(shared, total, out=np.ones(len(a)), where=total > 0)


def single_image_distance(first: ArrayLike, second: ArrayLike) -> float:
    """SIFID: Frechet distance of two feature maps (C, h, w), whose positions are the samples (SinGAN).

    >>> maps = np.arange(12.0).reshape(1, 3, 4)
    >>> round(single_image_distance(maps, maps + 2), 6)
    4.0
    """
    a, b = (np.asarray(maps, dtype=np.float64) for maps in (first, second))
    if a.ndim != 3 or b.ndim != 3:
        raise ValueError(f"feature maps have shapes {a.shape} and {b.shape}: expected (C, h, w)")
    return frechet_from_features(a.reshape(len(a), -1).T, b.reshape(len(b), -1).T)


def cluster_members(to_centres: ArrayLike, most: int = 50, seed: int = 0) -> list[NDArray[np.int64]]:
    """Members of each cluster of two images at least, in ascending order (Ojha et al. 2021).

    An image belongs to the nearest of k centres.

    Args:
        to_centres: distances (N, k).
        most: of a larger cluster so many members are drawn.
        seed: of the draws.

    >>> [members.tolist() for members in cluster_members([[0.1, 0.9], [0.2, 0.7], [0.8, 0.3]])]
    [[0, 1]]
    """
    nearest = np.asarray(to_centres, dtype=np.float64).argmin(1)
    found = []
    for cluster in range(np.shape(to_centres)[1]):
        members = np.flatnonzero(nearest == cluster)
        if len(members) > most:
            members = np.sort(np.random.default_rng((seed, cluster)).choice(members, most, replace=False))
        if len(members) > 1:
            found.append(members)
    return found


def mean_distance(between: ArrayLike) -> float:
    """Mean over all pairs of different images of distances (N, N), N at least 2.

    >>> mean_distance([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    2.0
    """
    distances = np.asarray(between, dtype=np.float64)
    return float(distances[np.triu_indices(len(distances), 1)].mean())


def mean_cosine(directions: ArrayLike) -> float:
    """Mean cosine over all pairs of different rows (N, D), N at least 2.

    With unit rows u: (|sum u|^2 - N) / (N (N - 1)).

    >>> mean_cosine([[1.0, 0.0], [0.0, 2.0]])
    0.0
    """
    rows = np.asarray(directions, dtype=np.float64)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    n = len(unit)
    return float((np.square(unit.sum(0)).sum() - np.square(unit).sum()) / (n * (n - 1)))
