"""Made features with known clusters: curved, far from round, yet linearly separable (after Fig. 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def curved_clusters(rows: int, width: int, classes: int, seed: int = 0, spread: float = 6.0,
                    noise: float = 0.3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (rows, width) and their classes (rows,).

    Each class owns a direction that tells it from the others. Across it, its rows lie along an arc much longer than the distance
    between classes, so that k-means cuts classes in pieces before it tells them apart.

    Args:
        rows: N. width: D, more than ``classes``. classes: number of clusters.
        seed: of all draws. spread: radius of the arcs; classes lie at distance 4. noise: standard deviation in every direction.

    Raises:
        ValueError: for a width that has no room for the arcs.
    """
    if width < classes + 2:
        raise ValueError(f"width={width} has no room for classes={classes} and two directions to curve in: at least {classes + 2}")
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((width, width)))[0]
    labels = rng.integers(classes, size=rows)
    angle = rng.uniform(0, np.pi, size=rows) + rng.uniform(0, 2 * np.pi, size=classes)[labels]
    planes = np.stack([rng.choice(np.arange(classes, width), size=2, replace=False) for _ in range(classes)])[labels]
    features = noise * rng.standard_normal((rows, width))
    features[np.arange(rows), labels] += 4.0
    features[np.arange(rows), planes[:, 0]] += spread * np.cos(angle)
    features[np.arange(rows), planes[:, 1]] += spread * np.sin(angle)
    return (features @ basis.T).astype(np.float32), labels
