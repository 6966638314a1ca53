"""Kernel Inception Distance. Source: Binkowski et al. 2018, "Demystifying MMD GANs", section 4.2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.metrics.functional.checks import Floats, Integers, as_single_or_double, same_width

MANY_TERMS = 2**27  # n m D of a subset from which products are float32: over so many, rounding averages out
BLOCK = 1024  # rows whose kernel is held at a time
SLICE = 64  # rows of a block that stay in the cache while the kernel is made of their products


def kernel_distance(real: ArrayLike, fake: ArrayLike, degree: int = 3) -> float:
    """Unbiased squared MMD of all rows, under the kernel (x.y / D + 1)^degree; may be slightly below zero.

    sum_{i != j} k(x_i, x_j) / (n (n-1)) + sum_{i != j} k(y_i, y_j) / (m (m-1)) - 2 mean_ij k(x_i, y_j)

    Args:
        real, fake: (n, D) and (m, D); n and m may differ.
        degree: of the polynomial kernel.
    """
    return float(subset_kernel_distances(real, fake, [(slice(None), slice(None))], degree)[0])


def subset_indices(
    n_real: int, n_fake: int, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> list[tuple[Integers, Integers]]:
    """Row numbers (real, fake) of each subset, drawn without replacement.

    The draw is torch-fidelity's (of each subset the fakes first), so that with its seed 2020 the values are
    its own.

    Raises:
        ValueError: when a set is smaller than a subset.
    """
    if size > min(n_real, n_fake):
        raise ValueError(
            f"subset size {size} is more than there are images ({n_real} real, {n_fake} generated); "
            f"feed more, or set subset_size to at most {min(n_real, n_fake)} (another protocol)"
        )
    rng = np.random.RandomState(seed)
    drawn = []
    for _ in range(subsets):
        fake = rng.choice(n_fake, size, replace=False)
        real = rng.choice(n_real, size, replace=False)
        drawn.append((real, fake))
    return drawn


def subset_kernel_distances(
    real: ArrayLike, fake: ArrayLike, indices: Iterable[tuple[Any, Any]], degree: int = 3
) -> Floats:
    """Unbiased squared MMD of each subset: KID is their mean, its spread their standard deviation (ddof 0).

    Products of large subsets (of 1000 images, from 135 features on) are float32, all else is float64: with
    features of about 1 the values agree with float64 to 1e-9. Subsets that together have more pairs than the
    sets share one pass over all pairs.

    Args:
        real, fake: (n, D) and (m, D).
        indices: pairs (rows of real, rows of fake), as :func:`subset_indices` draws them.
    """
    x, y = as_single_or_double(real, "real"), as_single_or_double(fake, "fake")
    same_width(x, y, ("real", "fake"))
    rows = [(np.arange(len(x))[i], np.arange(len(y))[j]) for i, j in indices]
    many = x.shape[1] * min((len(i) * len(j) for i, j in rows), default=0) >= MANY_TERMS
    centre = (x.sum(axis=0, dtype=np.float64) + y.sum(axis=0, dtype=np.float64)) / (len(x) + len(y))
    reals, fakes = (_Rows.of(features, centre, np.float32 if many else np.float64) for features in (x, y))
    if sum((len(i) + len(j)) ** 2 for i, j in rows) > (len(x) + len(y)) ** 2:
        return _distances(
            reals, fakes, _counts([i for i, _ in rows], x), _counts([j for _, j in rows], y), degree
        )
    once = [(reals.take(i), fakes.take(j), np.ones((1, len(i))), np.ones((1, len(j)))) for i, j in rows]
    return np.array([_distances(*each, degree)[0] for each in once])


@dataclass(frozen=True)
class _Rows:
    """Features less a centre, x' = x - c: x.y = x'.y' + s(x) + s(y) with the shift s(x) = x.c - c.c/2.

    The large common part of all products is thus in float64, and the rounding of x' has no common direction.
    """

    centred: NDArray[Any]
    shift: Floats

    @staticmethod
    def of(features: NDArray[Any], centre: Floats, dtype: type) -> _Rows:
        centred: NDArray[Any] = np.empty(features.shape, dtype)
        for start in range(0, len(features), BLOCK):
            centred[start : start + BLOCK] = features[start : start + BLOCK] - centre
        return _Rows(centred, features @ centre - centre @ centre / 2)

    def take(self, rows: Any) -> _Rows:
        return _Rows(self.centred[rows], self.shift[rows])


def _counts(rows: list[Integers], features: NDArray[Any]) -> Floats:
    """(S, n): how often each subset holds each row."""
    return np.stack([np.bincount(part, minlength=len(features)) for part in rows]).astype(np.float64)


def _distances(x: _Rows, y: _Rows, x_counts: Floats, y_counts: Floats, degree: int) -> Floats:
    """Of each of the S subsets that the counts (S, n) and (S, m) tell."""
    n, m = x_counts.sum(axis=1), y_counts.sum(axis=1)
    within = _sums_within(x, x_counts, degree) / (n * (n - 1)) + _sums_within(y, y_counts, degree) / (
        m * (m - 1)
    )
    return within - 2 * _sums(x, y, x_counts, y_counts, degree) / (n * m)


def _sums(x: _Rows, y: _Rows, x_counts: Floats, y_counts: Floats, degree: int) -> Floats:
    """sum_ij k(x_i, y_j) over each subset's rows, (S,)."""
    total = np.zeros(len(x_counts))
    for rows in _blocks(len(x.shift)):
        for columns in _blocks(len(y.shift)):
            kernel = _kernel(x.take(rows), y.take(columns), degree)
            total += ((x_counts[:, rows] @ kernel) * y_counts[:, columns]).sum(axis=1)
    return total


def _sums_within(x: _Rows, counts: Floats, degree: int) -> Floats:
    """sum_{i != j} k(x_i, x_j) over each subset's rows, (S,); half of the pairs are computed."""
    total = np.zeros(len(counts))
    for rows in _blocks(len(x.shift)):
        kernel = _kernel(x.take(rows), x.take(rows), degree)
        total += ((counts[:, rows] @ kernel) * counts[:, rows]).sum(axis=1) - counts[:, rows] @ np.diag(
            kernel
        )
        after = slice(rows.stop, None)
        total += 2 * _sums(x.take(rows), x.take(after), counts[:, rows], counts[:, after], degree)
    return total


def _kernel(x: _Rows, y: _Rows, degree: int) -> Floats:
    products = x.centred @ y.centred.T
    kernel = np.empty(products.shape)
    for start in range(0, len(kernel), SLICE):
        rows = slice(start, start + SLICE)
        base = kernel[rows]
        np.add(products[rows], y.shift, out=base)
        base += x.shift[rows, None]
        base /= x.centred.shape[1]
        base += 1
        if degree == 3:
            base *= base * base  # five times as fast as a power
        else:
            base **= degree
    return kernel


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))
