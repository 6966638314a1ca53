"""Precision, recall (Kynkaanniemi et al. 2019, eq. 1-3), density, coverage (Naeem et al. 2020, eq. 4-5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import Floats, as_features, same_width


def precision_recall(real: ArrayLike, fake: ArrayLike, k: int = 3, block: int = 2048) -> dict[str, float]:
    """How much of the generated set lies in the real one, and the other way round.

    The ball of an image reaches to its k-th nearest neighbour in its own set, itself left out.

    Args:
        real, fake: features (n, D) and (m, D).
        k: neighbours.
        block: rows of the distance matrix held at a time; changes memory, not the value.

    Returns:
        'precision': share of fakes inside a real ball, [0, 1]; 'recall': share of reals inside a fake ball,
        [0, 1]; 'density': real balls around a fake, over k, [0, inf); 'coverage': share of real balls that
        hold a fake, [0, 1].

    Raises:
        ValueError: when a set has not more than k images.
    """
    x, y = _centred(real, fake)
    real_radii, fake_radii = neighbour_radii(x, k, block), neighbour_radii(y, k, block)
    inside_real = np.zeros(len(y), dtype=np.int64)  # in how many real balls each fake lies
    inside_fake = np.zeros(len(x), dtype=bool)  # whether each real lies in a fake ball
    covered = np.zeros(len(x), dtype=bool)  # whether each real's ball holds a fake
    for rows, distances in _distance_blocks(x, y, block):
        in_real_ball = distances <= real_radii[rows, None]
        inside_real += in_real_ball.sum(axis=0)
        covered[rows] = in_real_ball.any(axis=1)
        inside_fake[rows] = (distances <= fake_radii[None]).any(axis=1)
    return {
        "precision": float((inside_real > 0).mean()),
        "recall": float(inside_fake.mean()),
        "density": float(inside_real.sum() / (k * len(y))),
        "coverage": float(covered.mean()),
    }


def neighbour_radii(features: ArrayLike, k: int = 3, block: int = 2048) -> Floats:
    """Distance (n,) of each row of ``features`` (n, D) to its k-th nearest other row."""
    x = as_features(features, "features")
    if not 1 <= k < len(x):
        raise ValueError(
            f"k={k}: allowed are 1 to {len(x) - 1}, one less than the number of images ({len(x)})"
        )
    x = x - x.mean(axis=0)
    radii = np.empty(len(x))
    for rows, distances in _distance_blocks(x, x, block):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def _centred(real: ArrayLike, fake: ArrayLike) -> tuple[Floats, Floats]:
    """A large common offset would drown the distances in rounding; they do not depend on it."""
    x, y = as_features(real, "real"), as_features(fake, "fake")
    same_width(x, y, ("real", "fake"))
    centre = np.concatenate([x, y]).mean(axis=0)
    return x - centre, y - centre


def _distance_blocks(x: Floats, y: Floats, block: int) -> Iterator[tuple[slice, Floats]]:
    """Euclidean distances of some rows of x to all of y, block by block."""
    norms = (y**2).sum(axis=1)
    for start in range(0, len(x), block):
        rows = slice(start, min(start + block, len(x)))
        squared = (x[rows] ** 2).sum(axis=1)[:, None] + norms - 2 * x[rows] @ y.T
        yield rows, np.sqrt(squared.clip(0))
