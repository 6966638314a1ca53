"""Colours of clusters: as different as possible, and the same cluster in the same colour at every K."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox_klish.algorithm.klish import KLiSH

Colours = NDArray[np.uint8]  # (K, 3) RGB

_FIRST = (
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (188, 189, 34),
    (23, 190, 207),
)  # matplotlib's tab10 without its grey
_LEVELS = 18  # candidates a channel
_LIGHTNESS = (0.32, 0.92)  # of the candidates, in OKLab: on white, neither black nor pale
_CHROMA = (0.06, 0.21)  # likewise: grey is kept for what is not lit, and neon hurts
# sRGB to OKLab (Ottosson 2020): linear RGB to cones, cube roots of them to lightness and two opponent axes.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@cache
def distinct_colours(n: int) -> Colours:
    """(n, 3) RGB: nine chosen ones, then always the one furthest from all before it in OKLab.

    Fewer colours are the beginning of more.
    """
    grid = np.linspace(0, 255, _LEVELS).round()
    candidates = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
    lab = oklab(candidates)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    light = (lab[:, 0] > _LIGHTNESS[0]) & (lab[:, 0] < _LIGHTNESS[1])
    usable = light & (chroma > _CHROMA[0]) & (chroma < _CHROMA[1])
    candidates = candidates[usable]
    lab = lab[usable]
    chosen = [np.array(colour, dtype=np.float64) for colour in _FIRST]
    away = ((lab[:, None] - oklab(chosen)) ** 2).sum(axis=2).min(axis=1)
    while len(chosen) < n:
        best = int(away.argmax())
        chosen.append(candidates[best])
        away = np.minimum(away, ((lab - lab[best]) ** 2).sum(axis=1))
    return np.stack(chosen[:n]).astype(np.uint8)


def oklab(colours: ArrayLike) -> NDArray[np.float64]:
    """(n, 3) OKLab coordinates of sRGB colours in 0..255: equal distances look about equally different."""
    share = np.asarray(colours, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T)


def tree_colours(model: KLiSH, k: int) -> Colours:
    """(k, 3) colours of the clusters that a merge tree has at ``k``.

    Read from the end: one cluster has the first colour; where one falls apart in two, the larger keeps its
    colour and the other takes the next. So the first k colours are those at k, and a cluster changes its
    colour only by being merged.

    Raises:
        ValueError: when there is no record of ``k``.
    """
    smallest = model.clusters_ - len(model.merges_)
    if not smallest <= k <= model.clusters_:
        raise ValueError(f"k={k!r}: the tree has {smallest} to {model.clusters_} clusters")
    numbers = list(range(smallest))
    for step in range(len(model.merges_) - 1, model.clusters_ - k - 1, -1):
        numbers = _split(numbers, model.merges_[step], model.sizes_[step])
    return distinct_colours(k)[numbers]


def _split(numbers: list[int], merge: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[int]:
    """Colour numbers before a merge, from those after it."""
    many, kept, removed = merge.tolist()
    before = list(numbers)
    before.insert(removed, many - 1)
    if sizes[removed] > sizes[kept]:
        before[kept], before[removed] = before[removed], before[kept]
    return before


def matched_colours(
    labels: NDArray[np.integer], k: int, reference: NDArray[np.integer], colours: Colours
) -> Colours:
    """(k, 3) colours for another clustering of the same pixels, by the pixels that clusters share.

    Pairs are chosen for the largest number of shared pixels in all; clusters without a partner get colours
    that nobody has.

    Args:
        labels: clusters 0..k-1 of pixels.
        k: number of clusters.
        reference: those of the same pixels by the clustering whose ``colours`` are known.
        colours: (K, 3) of the latter.
    """
    from scipy.optimize import linear_sum_assignment

    shared = np.zeros((k, len(colours)), dtype=np.int64)
    np.add.at(shared, (labels.ravel(), reference.ravel()), 1)
    ours, theirs = linear_sum_assignment(-shared)
    found = dict(zip(ours.tolist(), theirs.tolist(), strict=True))
    taken = {tuple(colours[number]) for number in found.values()}
    spare = iter([colour for colour in distinct_colours(k + len(colours)) if tuple(colour) not in taken])
    own = [colours[found[place]] if place in found else next(spare) for place in range(k)]
    return np.stack(own)
