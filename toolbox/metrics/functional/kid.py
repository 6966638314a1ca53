"""Kernel Inception Distance. Source: Binkowski et al. 2018, "Demystifying MMD GANs", section 4.2."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import Floats, Integers, as_features, same_width


def kernel_distance(real: ArrayLike, fake: ArrayLike, degree: int = 3) -> float:
    """Unbiased squared MMD of all rows, under the kernel (x.y / D + 1)^degree; may be slightly below zero.

    sum_{i != j} k(x_i, x_j) / (n (n-1)) + sum_{i != j} k(y_i, y_j) / (m (m-1)) - 2 mean_ij k(x_i, y_j)

    Args:
        real, fake: (n, D) and (m, D); n and m may differ.
        degree: of the polynomial kernel.
    """
    x, y = as_features(real, "real"), as_features(fake, "fake")
    same_width(x, y, ("real", "fake"))
    within = _mean_off_diagonal(x, degree) + _mean_off_diagonal(y, degree)
    return within - 2 * float(_kernel(x, y, degree).mean())


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
    real: ArrayLike, fake: ArrayLike, indices: Iterable[tuple[ArrayLike, ArrayLike]], degree: int = 3
) -> Floats:
    """Unbiased squared MMD of each subset: KID is their mean, its spread their standard deviation (ddof 0).

    Args:
        real, fake: (n, D) and (m, D).
        indices: pairs (rows of real, rows of fake), as :func:`subset_indices` draws them.
    """
    x, y = as_features(real, "real"), as_features(fake, "fake")
    return np.array([kernel_distance(x[np.asarray(i)], y[np.asarray(j)], degree) for i, j in indices])


def _kernel(x: Floats, y: Floats, degree: int) -> Floats:
    return (x @ y.T / x.shape[1] + 1.0) ** degree


def _mean_off_diagonal(x: Floats, degree: int) -> float:
    kernel = _kernel(x, x, degree)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
