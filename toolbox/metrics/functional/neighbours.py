"""Comparisons of distances as exact as in float64, nearly all of them decided in float32.

Squared distances are bounded from products in float32. Where the bounds leave a comparison open it is made
in float64, with the difference of the two rows: so equal distances are equal, whatever the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.metrics.functional.checks import Floats, Integers

COLUMNS = 2048  # of a tile of distances
FEW = 64  # rows or pairs at a time that stay in the cache
COPIES = 2**14  # open comparisons at a time among which copies of one row are likely
GROUP = 8  # columns that stand together for their least
SPARE = 6  # neighbours kept beyond k, for those whose order float32 cannot tell
MANY_OPEN = 1e-3  # share of open comparisons above which products in float64 come before differences
TINY = 1e-30  # of features scaled to 1: products below it may vanish in float32


@dataclass(frozen=True)
class Points:
    """Rows of features (n, D); scaled ones are less a centre, times a power of two that makes them < 1."""

    features: NDArray[Any]
    centre: Floats
    scale: float

    @staticmethod
    def of(*sets: NDArray[Any]) -> tuple[Points, ...]:
        """The sets about their common mean: a large common offset would drown distances in rounding."""
        centre = sum(x.sum(axis=0, dtype=np.float64) for x in sets) / sum(map(len, sets))
        largest = 2 * max(max(float(x.max()), -float(x.min())) for x in sets)
        scale = 2.0 ** np.clip(-np.ceil(np.log2(largest)), -500, 500) if largest > 0 else 1.0
        return tuple(Points(x, centre, scale) for x in sets)

    def __len__(self) -> int:
        return len(self.features)

    def scaled(self, rows: Any, dtype: type) -> tuple[NDArray[Any], Floats]:
        """Some rows, centred and scaled, and their squared norms."""
        if dtype is np.float32:
            return self._single[rows], self._single_norms[rows]
        double = (self.features[rows] - self.centre) * self.scale
        return double, _squared_norms(double)

    def widths(self, norms: Floats, dtype: type) -> Floats:
        """How far |a|^2 + |b|^2 - 2 a.b may be off, in any order of sums: by widths(a) + widths(b)."""
        terms = self.features.shape[1] + 32  # the others: of centring, of norms, and of adding them
        return terms * float(np.finfo(dtype).eps) / 2 * norms + TINY

    @cached_property
    def same_as(self) -> Integers:
        """(n,): the first row that is equal to each."""
        _, first, which = np.unique(self.features, axis=0, return_index=True, return_inverse=True)
        return np.asarray(first[which.reshape(-1)])

    @cached_property
    def _single(self) -> NDArray[np.float32]:
        single = np.empty(self.features.shape, np.float32)
        for rows in blocks(0, len(self), FEW):
            single[rows] = (self.features[rows] - self.centre) * self.scale
        return single

    @cached_property
    def _single_norms(self) -> Floats:
        return _squared_norms(self._single)


@dataclass(frozen=True)
class Bounds:
    """Squared distances of scaled rows lie in [lower, lower + row_width + column_width], (b, m)."""

    lower: NDArray[Any]
    row_width: NDArray[Any]
    column_width: NDArray[Any]

    @staticmethod
    def of(x: Points, rows: Any, y: Points, columns: Any, dtype: type) -> Bounds:
        (a, a_norms), (b, b_norms) = x.scaled(rows, dtype), y.scaled(columns, dtype)
        a_width, b_width = x.widths(a_norms, dtype), y.widths(b_norms, dtype)
        lower = a @ b.T
        lower *= -2
        lower += (b_norms - b_width).astype(dtype)
        lower += (a_norms - a_width).astype(dtype)[:, None]
        return Bounds(lower, (2 * a_width).astype(dtype), (2 * b_width).astype(dtype))

    @property
    def upper(self) -> NDArray[Any]:
        upper = self.lower + self.row_width[:, None]
        upper += self.column_width
        return upper


def neighbour_distances(x: Points, k: int, block: int) -> Floats:
    """Squared distance (n,) of each row to its k-th nearest other row."""
    lower, index = _nearest(x, k + SPARE, block)
    widths = 2 * x.widths(x.scaled(slice(None), np.float32)[1], np.float32)
    upper = lower + (widths[:, None] + widths[index])
    found = _kth_of(x, np.arange(len(x)), lower, upper, index, k)
    limit = np.partition(upper, k - 1, axis=1)[:, k - 1]
    whole = index.shape[1] >= len(x) - 1
    unsure = np.flatnonzero((lower.max(axis=1) <= limit) & (not whole))
    for part in blocks(0, len(unsure), block):
        found[unsure[part]] = _kth_in_double(x, unsure[part], k)
    return found


def _nearest(x: Points, keep: int, block: int) -> tuple[NDArray[np.float32], Integers]:
    """The ``keep`` smallest lower bounds of each row's distances, (n, keep), and whose they are."""
    keep = min(keep, len(x) - 1)
    lower, index = np.full((len(x), keep), np.inf, np.float32), np.zeros((len(x), keep), np.int64)

    def take(rows: slice, tile: NDArray[np.float32], first: int) -> None:
        near = _smallest(tile, keep)
        values = np.concatenate([lower[rows], np.take_along_axis(tile, near, axis=1)], axis=1)
        indices = np.concatenate([index[rows], near + first], axis=1)
        best = np.argpartition(values, keep - 1, axis=1)[:, :keep]
        lower[rows], index[rows] = (np.take_along_axis(part, best, axis=1) for part in (values, indices))

    for rows in blocks(0, len(x), block):
        tile = Bounds.of(x, rows, x, rows, np.float32).lower
        np.fill_diagonal(tile, np.inf)
        take(rows, tile, rows.start)
        for columns in blocks(rows.stop, len(x), max(block, COLUMNS)):  # each pair serves both of its rows
            tile = Bounds.of(x, rows, x, columns, np.float32).lower
            take(rows, tile, columns.start)
            take(columns, tile.T, rows.start)
    return lower, index


def _smallest(tile: NDArray[Any], keep: int) -> Integers:
    """Where each row holds its ``keep`` smallest; of a wide tile they lie in the groups of smallest least."""
    if keep >= tile.shape[1]:
        return _all_of(tile)
    count = tile.shape[1] // GROUP
    if keep >= count:
        return np.argpartition(tile, keep, axis=1)[:, :keep]
    least = tile[:, : GROUP * count].reshape(len(tile), GROUP, count).min(axis=1)
    groups = np.argpartition(least, keep, axis=1)[:, :keep]
    members = [groups + count * member for member in range(GROUP)]
    rest = np.broadcast_to(
        np.arange(GROUP * count, tile.shape[1]), (len(tile), tile.shape[1] - GROUP * count)
    )
    near = np.concatenate([*members, rest], axis=1)
    best = np.argpartition(np.take_along_axis(tile, near, axis=1), keep, axis=1)[:, :keep]
    return np.take_along_axis(near, best, axis=1)


def _all_of(tile: NDArray[Any]) -> Integers:
    return np.broadcast_to(np.arange(tile.shape[1]), tile.shape)


def _kth_of(
    x: Points, rows: Integers, lower: NDArray[Any], upper: NDArray[Any], index: Integers, k: int
) -> Floats:
    """The k-th smallest distance of each row to the rows of ``index``, between whose bounds it lies."""
    least, most = (np.partition(bound, k - 1, axis=1)[:, k - 1 : k] for bound in (lower, upper))
    exact = np.where(upper < least, -np.inf, np.inf)  # surely nearer than the k-th, or surely farther
    i, j = np.nonzero((lower <= most) & (upper >= least))
    exact[i, j] = exact_distances(x, rows[i], x, index[i, j])
    return np.asarray(np.partition(exact, k - 1, axis=1)[:, k - 1])


def _kth_in_double(x: Points, rows: Integers, k: int) -> Floats:
    """For rows that have more near neighbours than are kept: crowded, or copies of each other."""
    bounds = Bounds.of(x, rows, x, slice(None), np.float64)
    bounds.lower[np.arange(len(rows)), rows] = np.inf
    return _kth_of(x, rows, bounds.lower, bounds.upper, _all_of(bounds.lower), k)


def inside(x: Points, rows: slice, y: Points, columns: slice, *radii: Floats) -> list[NDArray[np.bool_]]:
    """For each array of squared radii, (b, 1) or (1, m): which distances are at most that."""
    return _inside(x, rows, y, columns, radii, np.float32)


def _inside(
    x: Points, rows: slice, y: Points, columns: slice, radii: tuple[Floats, ...], dtype: type
) -> list[NDArray[np.bool_]]:
    bounds = Bounds.of(x, rows, y, columns, dtype)
    upper, answers, margin = bounds.upper, [], 8 * float(np.finfo(dtype).eps)
    for squared in radii:
        scaled = squared * x.scale**2
        sure = upper <= (scaled * (1 - margin)).astype(dtype)
        i, j = np.nonzero((bounds.lower <= (scaled * (1 + margin) + TINY).astype(dtype)) ^ sure)
        if dtype is np.float32 and len(i) > max(MANY_OPEN * sure.size, COPIES / 8):
            return _inside(x, rows, y, columns, radii, np.float64)
        exact = exact_distances(x, rows.start + i, y, columns.start + j)
        sure[i, j] = exact <= np.broadcast_to(squared, sure.shape)[i, j]
        answers.append(sure)
    return answers


def exact_distances(x: Points, i: Integers, y: Points, j: Integers) -> Floats:
    """Squared distances (p,) of rows i of x and rows j of y, by their difference in float64."""
    if len(i) > COPIES:  # copies of one row are likely: each pair once
        pairs, which = np.unique(x.same_as[i] * len(y) + y.same_as[j], return_inverse=True)
        if len(pairs) < len(i):
            return exact_distances(x, pairs // len(y), y, pairs % len(y))[which.reshape(-1)]
    squared = np.empty(len(i))
    for part in blocks(0, len(i), FEW):
        difference = x.features[i[part]].astype(np.float64) - y.features[j[part]]
        difference *= difference
        squared[part] = difference.sum(axis=1)
    return squared


def blocks(start: int, stop: int, size: int) -> Iterator[slice]:
    """``start`` to ``stop`` in slices of at most ``size``."""
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))


def _squared_norms(rows: NDArray[Any]) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
