"""Precision, recall (Kynkaanniemi et al. 2019, eq. 1-3), density, coverage (Naeem et al. 2020, eq. 4-5)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.metrics.functional.checks import Floats, as_single_or_double, same_width
from toolbox.metrics.functional.neighbours import COLUMNS, Points, blocks, inside, neighbour_distances


def precision_recall(real: ArrayLike, fake: ArrayLike, k: int = 3, block: int = 1024) -> dict[str, float]:
    """How much of the generated set lies in the real one, and the other way round.

    The ball of an image reaches to its k-th nearest neighbour in its own set, itself left out.

    Args:
        real, fake: features (n, D) and (m, D).
        k: neighbours.
        block: rows of the distance matrix held at a time; changes memory, not the value.

    Comparisons are those of float64 distances, though nearly all are decided in float32.

    Returns:
        'precision': share of fakes inside a real ball, [0, 1]; 'recall': share of reals inside a fake ball,
        [0, 1]; 'density': real balls around a fake, over k, [0, inf); 'coverage': share of real balls that
        hold a fake, [0, 1].

    Raises:
        ValueError: when a set has not more than k images.
    """
    x, y = as_single_or_double(real, "real"), as_single_or_double(fake, "fake")
    same_width(x, y, ("real", "fake"))
    real_radii, fake_radii = _squared_radii(x, k, block), _squared_radii(y, k, block)
    inside_real = np.zeros(len(y), dtype=np.int64)  # in how many real balls each fake lies
    inside_fake = np.zeros(len(x), dtype=bool)  # whether each real lies in a fake ball
    covered = np.zeros(len(x), dtype=bool)  # whether each real's ball holds a fake
    reals, fakes = Points.of(x, y)
    for rows in blocks(0, len(x), block):
        for columns in blocks(0, len(y), max(block, COLUMNS)):
            radii = real_radii[rows, None], fake_radii[None, columns]
            in_real_ball, in_fake_ball = inside(reals, rows, fakes, columns, *radii)
            inside_real[columns] += in_real_ball.sum(axis=0)
            covered[rows] |= in_real_ball.any(axis=1)
            inside_fake[rows] |= in_fake_ball.any(axis=1)
    return {
        "precision": float((inside_real > 0).mean()),
        "recall": float(inside_fake.mean()),
        "density": float(inside_real.sum() / (k * len(y))),
        "coverage": float(covered.mean()),
    }


def neighbour_radii(features: ArrayLike, k: int = 3, block: int = 1024) -> Floats:
    """Distance (n,) of each row of ``features`` (n, D) to its k-th nearest other row."""
    return np.sqrt(_squared_radii(as_single_or_double(features, "features"), k, block))


def _squared_radii(x: NDArray[Any], k: int, block: int) -> Floats:
    if not 1 <= k < len(x):
        raise ValueError(
            f"k={k}: allowed are 1 to {len(x) - 1}, one less than the number of images ({len(x)})"
        )
    return neighbour_distances(Points.of(x)[0], k, block)
