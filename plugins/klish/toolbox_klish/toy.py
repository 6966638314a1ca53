"""Made features with known clusters: curved, far from round, yet linearly separable (after Fig. 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def curved_clusters(
    rows: int, width: int, classes: int, seed: int = 0, spread: float = 6.0, noise: float = 0.3
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (rows, width) and their classes (rows,).

    Each class owns a direction that tells it from the others. Across it, its rows lie along an arc much
    longer than the distance between classes, so that k-means cuts classes in pieces before it tells them
    apart.

    Args:
        rows: N.
        width: D, at least two more than ``classes``.
        classes: number of clusters.
        seed: of all draws.
        spread: radius of the arcs; classes lie at distance 4.
        noise: standard deviation in every direction.

    Raises:
        ValueError: for a width that has no room for the arcs.
    """
    if width < classes + 2:
        raise ValueError(
            f"width={width} has no room for classes={classes} and two directions to curve in: at least "
            f"{classes + 2}"
        )
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((width, width)))[0]
    labels = rng.integers(classes, size=rows)
    angle = rng.uniform(0, np.pi, size=rows) + rng.uniform(0, 2 * np.pi, size=classes)[labels]
    # two directions that the classes do not own, of each class, for its arc to lie in
    across = [rng.choice(np.arange(classes, width), size=2, replace=False) for _ in range(classes)]
    planes = np.stack(across)[labels]  # (rows, 2)
    features = noise * rng.standard_normal((rows, width))
    features[np.arange(rows), labels] += 4.0
    features[np.arange(rows), planes[:, 0]] += spread * np.cos(angle)
    features[np.arange(rows), planes[:, 1]] += spread * np.sin(angle)
    return (features @ basis.T).astype(np.float32), labels


def three_sets(rows: int = 2400, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points (rows, 2) of three sets in the plane, and the set of each (rows,), after Fig. 2.

    The figure's own points are not published. A line parts each set from the rest, but each is put together
    from strips and blobs, so that its centre says little of it. The first is long and bent: it holds half of
    the points, and its end lies nearer to the second set than to its own beginning.
    """
    rng = np.random.default_rng(seed)
    twelfths = np.diff(np.round(np.linspace(0, rows, 13)).astype(int))  # all points are used
    counts = twelfths.reshape(6, 2).sum(axis=1)
    bent = [
        _strip(rng, (-8, -2), (-7, -8), 0.35, counts[0]),
        _strip(rng, (-7, -8), (-2.5, 0), 0.35, counts[1]),
        _blob(rng, (-2.2, 0.4), (0.55, 0.75), counts[2]),
    ]
    hook = [
        _blob(rng, (2.5, -1.6), (0.75, 0.65), counts[3]),
        _strip(rng, (3, -3), (5.5, -8), 0.4, counts[4] // 2),
    ]
    above = [
        _strip(rng, (-3.5, 6), (6, 4.6), 0.2, counts[4] - counts[4] // 2),
        _blob(rng, (2.5, 6.6), (1, 0.9), counts[5]),
    ]
    sets = [np.concatenate(parts) for parts in (bent, hook, above)]
    return np.concatenate(sets).astype(np.float32), np.repeat(np.arange(3), [len(points) for points in sets])


def _strip(
    rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float], width: float, number: int
) -> NDArray[np.float64]:
    """Points along a line, with normal noise of standard deviation ``width``."""
    along = rng.uniform(size=(number, 1))
    return np.asarray((1 - along) * start + along * end + width * rng.standard_normal((number, 2)))


def _blob(
    rng: np.random.Generator, centre: tuple[float, float], spread: tuple[float, float], number: int
) -> NDArray[np.float64]:
    """Points around a centre, with standard deviations ``spread`` along the axes."""
    return np.asarray(centre + rng.standard_normal((number, 2)) * spread)
