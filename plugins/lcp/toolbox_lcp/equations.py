"""The equations of soft k-means under the cosine (LCP-GAN, eq. 1 and 2), and what tells whether they work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TINY = 1e-8  # keeps the cosine of a vanished prototype defined
_MANY = 64  # rows and columns from which one singular value is cheaper by an iterative method


def unit_length(features: Array) -> Array:
    """Features (N, D) scaled to length 1; zero rows stay zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)  # (N, 1)
    return np.asarray(features / np.maximum(lengths, TINY))


def cosines(prototypes: Array, features: Array) -> Array:
    """(N, K) cosine of each feature (N, D) with each prototype (K, D)."""
    feature_lengths = np.linalg.norm(features, axis=1)  # (N,)
    prototype_lengths = np.linalg.norm(prototypes, axis=1)  # (K,)
    lengths = feature_lengths[:, None] * prototype_lengths[None]  # (N, K)
    return np.asarray(features @ prototypes.T / np.maximum(lengths, TINY))


# eq. 1: rho_i <- (1 - mu) rho_i + mu u_x^(i) f(x)
def update(prototypes: Array, feature: Array, u: Array, mu: float) -> Array:
    """Prototypes (K, D) after one sample (D,) that has coefficients u (K,)."""
    return (1 - mu) * prototypes + mu * u[:, None] * feature[None]


# eq. 2: u_x^(i) = exp(cos(rho_i, f(x)) / delta) / sum_j exp(cos(rho_j, f(x)) / delta)
def coefficients(prototypes: Array, features: Array, delta: float) -> Array:
    """(N, K) u_x, the degree of each feature in each cluster; rows sum to 1.

    The slide prints the division inside the cosine of the numerator, where it would cancel: a misplaced
    bracket.
    """
    logits = cosines(prototypes, features) / delta  # (N, K)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))  # without the maximum they overflow
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def critical_temperature(features: Array) -> float:
    """The temperature above which eq. 1 and 2 have one stable state only: all prototypes at the mean.

    delta_crit = lambda_max(Cov_perp) / |m|, with m the mean of the unit features (N, D) and Cov_perp their
    covariance without the part along m. One step of eq. 1 and 2 multiplies small differences between
    prototypes by Cov_perp / (delta |m|). Infinite where the mean vanishes. Not in the paper.
    """
    unit = unit_length(features)
    mean = unit.mean(axis=0)  # (D,)
    length = float(np.linalg.norm(mean))
    if length < TINY:
        return float("inf")
    across = unit - np.outer(unit @ mean, mean) / length**2  # (N, D), orthogonal to the mean
    across = across - across.mean(axis=0)
    # the largest eigenvalue of a covariance is the squared singular value of the data over N
    return _largest_singular_value(across) ** 2 / len(unit) / length


def _largest_singular_value(matrix: Array) -> float:
    if min(matrix.shape) < _MANY:
        return float(np.linalg.norm(matrix, ord=2))
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(0).standard_normal(min(matrix.shape))  # its own start is random
    return float(svds(matrix, k=1, v0=start, return_singular_vectors=False)[0])


def perplexity(u: Array) -> float:
    """Mean of exp(entropy) of coefficient rows (N, K): 1 = hard, K = uniform."""
    entropy = -(u * np.log(np.maximum(u, 1e-300))).sum(axis=1)  # (N,), with 0 log 0 = 0
    return float(np.exp(entropy).mean())
