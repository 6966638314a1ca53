"""Where a pixel lies, in its features: the directions that say it best, and features without them.

Zero padding tells a convolutional generator where a pixel lies, and its maps carry that on. Where a part is
large and plain, place may be most of what its rows differ by. Planes part such a part by place as well as
they part others by kind: see docs/klish_measured.md. This is no step of KLiSH's paper.

Within clusters, rows x of pixels at places u are explained by a map linear in a code z of place, of which
only the columns that it lies in are used:

    x_n - mean_k(n) x = B^T (z(u_n) - mean_k(n) z) + rest,    B by least squares over all rows
    x'_n = x_n - V V^T x_n,    V (D, r): the leading eigenvectors of the covariance of B^T z

Differences between clusters do not enter, so that a part is not lost because it is always in one place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from toolbox_klish.svm.blocks import FeatureBlocks

WAVES = 3  # half waves across the image, over both axes together
EDGE = 0.2  # of half of the image: how far padding is taken to reach
DIRECTIONS = (WAVES + 1) * (WAVES + 2) // 2 - 1 + 4  # numbers of a code: no more directions can be found


def given_places(places: ArrayLike | None, rows: int) -> Tensor:
    """(N, 2) places in [-1, 1], float64.

    Raises:
        ValueError: for none, another shape, or places outside.
    """
    if places is None:
        raise ValueError(
            "drop_place needs the place of each row: fit(features, places=stream.places()), (N, 2) in [-1, 1]"
        )
    found = torch.as_tensor(np.asarray(places, dtype=np.float64))
    if found.shape != (rows, 2):
        raise ValueError(
            f"places have shape {tuple(found.shape)}: expected ({rows}, 2), a place for each row"
        )
    if not bool((found.abs() <= 1).all()):
        raise ValueError(
            "places must lie in [-1, 1]: -1 and 1 are the first and last row or column of pixels"
        )
    return found


def place_code(places: Tensor) -> Tensor:
    """(N, DIRECTIONS) of places (N, 2): products of cosines over both axes, and how near each edge is."""
    angle = (places + 1) * (torch.pi / 2)  # 0 to pi
    waves = [
        (i * angle[:, 0]).cos() * (j * angle[:, 1]).cos()
        for i in range(WAVES + 1)
        for j in range(WAVES + 1 - i)
        if i + j
    ]
    edges = [((side * places[:, axis] - 1 + EDGE) / EDGE).clamp_min(0) for side in (1, -1) for axis in (0, 1)]
    return torch.stack([*waves, *edges], dim=1)


def place_directions(
    blocks: FeatureBlocks, places: Tensor, labels: Tensor, clusters: int, directions: int
) -> Tensor:
    """(D, r) orthonormal columns, those that say most of place within clusters first, float64.

    Args:
        blocks: features of this rank.
        places: (N of this rank, 2).
        labels: (N of this rank) clusters.
        clusters: how many.
        directions: r, at most DIRECTIONS.
    """
    code = place_code(places.to(blocks.device))
    width = code.shape[1]
    # of the rows [z x 1]: products with z over all rows, and sums of each cluster
    products = torch.zeros(width, width + blocks.width, dtype=torch.float64, device=blocks.device)
    sums = torch.zeros(clusters, width + blocks.width + 1, dtype=torch.float64, device=blocks.device)
    for at, x in blocks:
        z = code[at]
        row = torch.cat([z, x.double(), torch.ones_like(z[:, :1])], dim=1)
        products += z.T @ row[:, :-1]
        sums.index_add_(0, labels[at], row)
    products, sums = blocks.sum(products), blocks.sum(sums)
    means = sums[:, :-1] / sums[:, -1:].clamp_min(1)
    within = products - sums[:, :width].T @ means
    inner, cross = within[:, :width], within[:, width:]  # (Z, Z), (Z, D)
    explained = cross.T @ torch.linalg.pinv(inner, hermitian=True) @ cross  # (D, D), lowest first
    return torch.linalg.eigh(explained).eigenvectors.flip(1)[:, :directions]


class WithoutPlace:
    """Chunks of the rows of some blocks without their part in some directions, made anew at each pass."""

    def __init__(self, blocks: FeatureBlocks, directions: Tensor) -> None:
        self._blocks = blocks
        self._directions = directions.to(blocks.device, blocks.dtype)  # (D, r)

    def __iter__(self) -> Iterator[Tensor]:
        for _, x in self._blocks:
            yield x - (x @ self._directions) @ self._directions.T
