"""Agreement of clusters with a known partition, from the contingency matrix.

Sources: adjusted Rand index, Hubert and Arabie 1985; adjusted mutual information, Vinh et al. 2010, with the
arithmetic mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import Floats, Integers, as_labels

LARGEST_EXACT = 5_000_000  # above it the expected mutual information is computed on divided counts


def contingency_matrix(
    truth: ArrayLike, clusters: ArrayLike, shape: tuple[int, int] | None = None
) -> Integers:
    """Counts (R, K) of truth class i in cluster j, int64: matrices of parts add up.

    Args:
        truth, clusters: (n,) whole numbers from 0.
        shape: (R, K); default: just large enough.
    """
    rows, columns = as_labels(truth, "truth"), as_labels(clusters, "clusters")
    if len(rows) != len(columns):
        raise ValueError(f"truth has {len(rows)} labels and clusters has {len(columns)}: they must pair up")
    if shape is None:
        shape = (int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1)
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def adjusted_rand_index(contingency: ArrayLike) -> float:
    """Chance-corrected share of pairs on which two partitions agree; 1 = the same partition, 0 = chance.

    Computed in whole numbers without bound, since squares of pixel counts overflow 64 bits.
    """
    c = _checked(contingency)
    n = int(c.sum())
    squares = _sum_of_squares(c.ravel())
    rows = _sum_of_squares(c.sum(axis=1))
    columns = _sum_of_squares(c.sum(axis=0))
    tp = squares - n  # ordered pairs together in both partitions, in clusters alone, in truth alone, in none
    fp = columns - squares
    fn = rows - squares
    tn = n * n - rows - columns + squares
    if fp == fn == 0:
        return 1.0
    return 2 * (tp * tn - fn * fp) / ((tp + fn) * (fn + tn) + (tp + fp) * (fp + tn))


def adjusted_mutual_information(contingency: ArrayLike, count_divisor: int | None = None) -> float:
    """(MI - E[MI]) / ((H(truth) + H(clusters)) / 2 - E[MI]); 1 = the same partition, about 0 = chance.

    Args:
        contingency: (R, K) counts.
        count_divisor: counts are floor-divided by it first. None: 1 up to five million counts, 1000 above
            (there the exact expectation is out of reach; KLiSH's code does the same).
    """
    c = _checked(contingency)
    if count_divisor is None:
        count_divisor = 1 if c.sum() <= LARGEST_EXACT else 1000
    c = c // count_divisor
    c = c[c.sum(axis=1) > 0][:, c.sum(axis=0) > 0]
    filled = c > 0
    if (filled.sum(axis=0) == 1).all() and (filled.sum(axis=1) == 1).all():
        return 1.0  # one partition under two names; of single items, the fraction below would be 0 / 0
    rows, columns = c.sum(axis=1), c.sum(axis=0)
    expected = _expected_mutual_information(rows, columns)
    most = (_entropy(rows) + _entropy(columns)) / 2
    return float((_mutual_information(c) - expected) / (most - expected))


def purity(contingency: ArrayLike) -> float:
    """Share of items that belong to the most frequent truth class of their cluster, (0, 1]."""
    c = _checked(contingency)
    return float(c.max(axis=0).sum() / c.sum())


def agreement_per_class(clusters: ArrayLike, factor: ArrayLike, classes: ArrayLike) -> float:
    """Mean over classes of the adjusted mutual information of clusters and a known factor in the class.

    A class in which the factor does not vary tells nothing and is left out.

    Args:
        clusters, factor, classes: (n,) whole numbers, of each image.

    Raises:
        ValueError: when the factor varies in no class.
    """
    found = as_labels(clusters, "clusters")
    known = as_labels(factor, "factor")
    labels = as_labels(classes, "classes")
    agreements = []
    for label in np.unique(labels):
        inside = labels == label
        if len(np.unique(known[inside])) > 1:
            counts = contingency_matrix(known[inside], found[inside])
            agreements.append(adjusted_mutual_information(counts))
    if not agreements:
        raise ValueError("factor has one value in every class: there is nothing for clusters to agree with")
    return float(np.mean(agreements))


def _checked(contingency: ArrayLike) -> Integers:
    c = np.asarray(contingency)
    if c.ndim != 2 or not np.issubdtype(c.dtype, np.integer):
        raise ValueError(f"contingency has shape {c.shape} and type {c.dtype}: expected whole numbers (R, K)")
    if c.size == 0 or c.sum() == 0 or c.min() < 0:
        raise ValueError("contingency must hold counts >= 0, and not only zeros")
    return c.astype(np.int64)


def _sum_of_squares(counts: Integers) -> int:
    return sum(int(count) ** 2 for count in counts)


def _entropy(counts: Integers) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def _mutual_information(c: Integers) -> float:
    """sum_ij c/n log(n c / (a_i b_j)); logarithms apart, since the products overflow."""
    i, j = np.nonzero(c)
    counts, n = c[i, j].astype(np.float64), float(c.sum())
    logs = np.log(n) + np.log(counts) - np.log(c.sum(axis=1)[i]) - np.log(c.sum(axis=0)[j])
    return float((counts / n * logs).sum())


def _expected_mutual_information(rows: Integers, columns: Integers) -> float:
    """Mean of MI over random tables with these margins (Vinh et al. 2010, eq. 24a)."""
    n = int(rows.sum())
    return float(sum(_expected_cell(int(a), int(b), n) for a in rows for b in columns))


def _expected_cell(a: int, b: int, n: int) -> float:
    """One cell's share: its count is hypergeometric."""
    mean = a * b / n
    deviation = (a * b * (n - a) * (n - b) / (n * n * max(n - 1, 1))) ** 0.5
    near = 40 * deviation + 40  # further out, probabilities are below 1e-25 (Bernstein's inequality)
    counts = np.arange(max(1, a + b - n, int(mean - near)), min(a, b, int(mean + near)) + 1, dtype=np.float64)
    margins = _log_factorial(np.array([a, b, n - a, n - b, n], dtype=np.float64))
    # log of a! b! (n-a)! (n-b)! / (n! k! (a-k)! (b-k)! (n-a-b+k)!) for each count k
    log_p = (
        margins[:4].sum()
        - margins[4]
        - _log_factorial(counts)
        - _log_factorial(a - counts)
        - _log_factorial(b - counts)
        - _log_factorial(n - a - b + counts)
    )
    return float((counts / n * np.log(n * counts / (float(a) * b)) * np.exp(log_p)).sum())


def _log_factorial(values: Floats) -> Floats:
    from scipy.special import gammaln

    return np.asarray(gammaln(values + 1))
