"""Frechet distance between Gaussians (FID), without ``scipy.linalg.sqrtm``.

Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash
equilibrium", eq. 6.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import Floats, as_features, same_width

logger = logging.getLogger(__name__)


def frechet_distance(
    mean1: ArrayLike, covariance1: ArrayLike, mean2: ArrayLike, covariance2: ArrayLike
) -> float:
    """|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)) of two Gaussians; >= 0, smaller is closer.

    Args:
        mean1, mean2: (D,).
        covariance1, covariance2: (D, D), symmetric.

    Raises:
        ValueError: when shapes do not fit or a value is not finite.

    >>> frechet_distance([0.0], [[1.0]], [3.0], [[4.0]])
    10.0
    """
    m1, c1 = _gaussian(mean1, covariance1, "1")
    m2, c2 = _gaussian(mean2, covariance2, "2")
    if len(m1) != len(m2):
        raise ValueError(
            f"mean1 has {len(m1)} features and mean2 has {len(m2)}: compute both with the same extractor"
        )
    return _assemble(m1 - m2, np.trace(c1), np.trace(c2), _trace_of_root(c1, c2))


def few_sample_distance(features1: ArrayLike, features2: ArrayLike, ddof: int = 1) -> float:
    """The Frechet distance from features, exact also when there are fewer images than features.

    With centred rows X = (x - mean) / sqrt(n - ddof), tr((C1 C2)^(1/2)) is the nuclear norm of X Y^T: no
    square root of a singular matrix is taken, where ``frechet_distance`` loses half the digits in the null
    space.

    Args:
        features1, features2: (n, D) and (m, D).
        ddof: 1 divides covariances by n - 1, 0 by n.
    """
    x, y = _pair(features1, features2)
    rows1, rows2 = _scaled_rows(x, ddof), _scaled_rows(y, ddof)
    nuclear_norm = float(np.linalg.svd(rows1 @ rows2.T, compute_uv=False).sum())
    return _assemble(x.mean(0) - y.mean(0), np.sum(rows1**2), np.sum(rows2**2), nuclear_norm)


def frechet_from_features(features1: ArrayLike, features2: ArrayLike, ddof: int = 1) -> float:
    """The Frechet distance from features (n, D) and (m, D), by whichever way is exact for their number.

    Args:
        ddof: 1 (all libraries but one) divides covariances by n - 1; 0 (StyleGAN's code) by n.
    """
    x, y = _pair(features1, features2)
    if min(len(x), len(y)) <= x.shape[1]:
        return few_sample_distance(x, y, ddof)
    c1, c2 = (np.atleast_2d(np.cov(f, rowvar=False, ddof=ddof)) for f in (x, y))
    return frechet_distance(x.mean(0), c1, y.mean(0), c2)


def _trace_of_root(c1: Floats, c2: Floats) -> float:
    """tr((A B)^(1/2)): A B is not symmetric, but A^(1/2) B A^(1/2) is, and has the same eigenvalues."""
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ c2 @ root
    return float(np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum())


def _assemble(difference: Floats, trace1: float, trace2: float, trace_of_root: float) -> float:
    distance = float(difference @ difference + trace1 + trace2 - 2 * trace_of_root)
    if distance < -1e-6 * (trace1 + trace2):
        logger.warning("Frechet distance %.6g below zero by more than rounding; 0 is returned", distance)
    return max(distance, 0.0)


def _gaussian(mean: ArrayLike, covariance: ArrayLike, which: str) -> tuple[Floats, Floats]:
    m, c = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if m.ndim != 1 or c.shape != (len(m), len(m)):
        raise ValueError(
            f"mean{which} has shape {m.shape} and covariance{which} {c.shape}: expected (D,) and (D, D)"
        )
    if not (np.isfinite(m).all() and np.isfinite(c).all()):
        raise ValueError(f"mean{which} or covariance{which} holds values that are not finite")
    return m, (c + c.T) / 2


def _pair(features1: ArrayLike, features2: ArrayLike) -> tuple[Floats, Floats]:
    x, y = as_features(features1, "features1"), as_features(features2, "features2")
    same_width(x, y, ("features1", "features2"))
    return x, y


def _scaled_rows(features: Floats, ddof: int) -> Floats:
    """Rows whose Gram matrix is the covariance; of more than D rows only the triangular factor is needed."""
    rows = (features - features.mean(0)) / np.sqrt(len(features) - ddof)
    return rows if len(rows) <= rows.shape[1] else np.asarray(np.linalg.qr(rows, mode="r"))
