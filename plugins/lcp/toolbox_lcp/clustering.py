"""Soft k-means with cosine similarity inside one class (LCP-GAN, eq. 1 and 2), and hard k-means beside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.interfaces import Clusterer, Features

Array = NDArray[np.float64]
_TINY = 1e-8  # keeps the cosine of a vanished prototype defined


class CollapseWarning(UserWarning):
    """A temperature above the critical one: all prototypes of a class will end in the same place."""


# the equations


def cosines(prototypes: Array, features: Array) -> Array:
    """(N, K) cosine of each feature (N, D) with each prototype (K, D)."""
    lengths = np.linalg.norm(features, axis=1)[:, None] * np.linalg.norm(prototypes, axis=1)[None]
    return np.asarray(features @ prototypes.T / np.maximum(lengths, _TINY))


def coefficients(prototypes: Array, features: Array, delta: float) -> Array:
    """(N, K) u_x, the degree of each feature in each cluster; rows sum to 1 (eq. 2).

    u_x^(i) = exp(cos(rho_i, f(x)) / delta) / sum_j exp(cos(rho_j, f(x)) / delta). The slide prints the
    division inside the cosine of the numerator, where it would cancel: a misplaced bracket.
    """
    logits = cosines(prototypes, features) / delta
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def update(prototypes: Array, feature: Array, u: Array, mu: float) -> Array:
    """Prototypes (K, D) after one sample: rho_i <- (1 - mu) rho_i + mu u_x^(i) f(x) (eq. 1)."""
    return (1 - mu) * prototypes + mu * u[:, None] * feature[None]


def critical_temperature(features: Array) -> float:
    """The temperature above which soft k-means with cosines has one stable state only: all prototypes at the
    mean.

    delta_crit = lambda_max(Cov_perp) / |m|, with m the mean of the unit features and Cov_perp their
    covariance without the part along m. One step of eq. 1 and 2 multiplies small differences between
    prototypes by Cov_perp / (delta |m|).
    """
    unit = _unit(features)
    mean = unit.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < _TINY:
        return float("inf")
    across = unit - np.outer(unit @ mean, mean) / length**2
    across = across - across.mean(axis=0)
    return _largest_singular_value(across) ** 2 / len(unit) / length


def _largest_singular_value(matrix: Array) -> float:
    if min(matrix.shape) < 64:
        return float(np.linalg.norm(matrix, ord=2))
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(0).standard_normal(min(matrix.shape))
    return float(svds(matrix, k=1, v0=start, return_singular_vectors=False)[0])


def perplexity(u: Array) -> float:
    """Mean of exp(entropy) of coefficient rows (N, K): 1 = hard, K = uniform."""
    entropy = -(u * np.log(np.maximum(u, 1e-300))).sum(axis=1)
    return float(np.exp(entropy).mean())


def _unit(features: Array) -> Array:
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _TINY))


class SoftKMeans(Clusterer):
    """Soft k-means of one feature set under the cosine: k-means++ start, Lloyd steps, then passes of eq. 1.

    Args:
        clusters: number of clusters K. Unknown in the paper.
        delta: temperature of eq. 2, or 'auto' = ``delta_share`` times the critical temperature of the
            features. A round number such as 0.1 silently merges all clusters on un-centred ReLU features.
            Unknown in the paper.
        delta_share: factor of 'auto', below 1. Unknown in the paper.
        mu: rate of eq. 1; averages over about 1/mu samples. Unknown in the paper.
        hard: coefficients are one-hot (the limit delta -> 0).
        passes: passes of eq. 1 over the features in ``fit``. Unknown in the paper.
        restarts: seeded k-means++ starts, of which the best is kept. Unknown in the paper.
        lloyd_steps: at most so many spherical Lloyd steps a start.
        reseed_share: a prototype whose mean coefficient falls below ``reseed_share / K`` is put on the
            worst-fitted sample. Unknown in the paper.
        seed: of starts and pass orders.

    Attributes:
        prototypes_: (K, D), of length about |f| / K, which is where eq. 1 settles.
        delta_: temperature in use.
        critical_delta_: critical temperature of the features (``critical_temperature``).
        labels_: (N,) cluster of each fitted row.
    """

    def __init__(
        self,
        clusters: int = 5,
        delta: float | str = "auto",
        delta_share: float = 0.7,
        mu: float = 0.01,
        hard: bool = False,
        passes: int = 20,
        restarts: int = 5,
        lloyd_steps: int = 20,
        reseed_share: float = 0.01,
        seed: int = 0,
    ) -> None:
        _positive("clusters", clusters)
        _positive("restarts", restarts)
        if delta != "auto" and not (isinstance(delta, (int, float)) and delta > 0):
            raise ValueError(f"delta={delta!r} must be a positive number or 'auto'")
        if not 0 < mu < 1:
            raise ValueError(f"mu={mu!r} must lie between 0 and 1")
        self.clusters, self.delta, self.delta_share, self.mu, self.hard = (
            clusters,
            delta,
            delta_share,
            mu,
            hard,
        )
        self.passes, self.restarts, self.lloyd_steps = passes, restarts, lloyd_steps
        self.reseed_share, self.seed = reseed_share, seed

    @property
    def n_clusters(self) -> int:
        return self.clusters

    def fit(self, features: Features, y: Any = None) -> SoftKMeans:
        features = checked_features(features, self.clusters)
        rng = np.random.default_rng(self.seed)
        self._choose_delta(features)
        scale = np.linalg.norm(features, axis=1).mean() / self.clusters
        self.prototypes_ = scale * spherical_kmeans(
            features, self.clusters, self.restarts, self.lloyd_steps, rng
        )
        for _ in range(self.passes):
            self.partial_fit(features[rng.permutation(len(features))])
            self._reseed(features)
        self.labels_ = self.predict(features)
        return self

    def partial_fit(self, features: ArrayLike, y: Any = None) -> SoftKMeans:
        """One sequence of eq. 1 over features (N, D), in order; coefficients are renewed before
        each update.
        """
        for feature in self._check(features):
            u = self._coefficients(feature[None])[0]
            self.prototypes_ = update(self.prototypes_, feature, u, self.mu)
        return self

    def scores(self, features: ArrayLike) -> Array:
        """(N, K) cosines with the prototypes."""
        features = self._check(features)
        return cosines(self.prototypes_, features)

    def membership(self, features: ArrayLike) -> Array:
        """(N, K) coefficients u_x (eq. 2); one-hot if ``hard``."""
        return self._coefficients(self._check(features))

    def state(self) -> dict[str, NDArray[Any]]:
        return {"prototypes": self.prototypes_, "delta": np.array([self.delta_, self.critical_delta_])}

    def load_state(self, state: dict[str, NDArray[Any]]) -> SoftKMeans:
        prototypes = np.asarray(state["prototypes"], dtype=np.float64)
        self.clusters, self.prototypes_ = len(prototypes), prototypes
        self.delta_, self.critical_delta_ = (float(value) for value in state["delta"])
        return self

    def report(self, features: ArrayLike) -> dict[str, float]:
        """What to watch: temperatures, perplexity of u, smallest share, largest cosine between two
        prototypes.
        """
        u = self.membership(features)
        between = cosines(self.prototypes_, self.prototypes_) - 2 * np.eye(self.clusters)
        return {
            "delta": self.delta_,
            "critical_delta": self.critical_delta_,
            "perplexity": perplexity(u),
            "smallest_share": float(u.mean(axis=0).min()),
            "largest_cosine": float(between.max()) if self.clusters > 1 else 0.0,
        }

    def _coefficients(self, features: Array) -> Array:
        if self.hard:
            return np.eye(self.clusters)[cosines(self.prototypes_, features).argmax(axis=1)]
        return coefficients(self.prototypes_, features, self.delta_)

    def _choose_delta(self, features: Array) -> None:
        self.critical_delta_ = critical_temperature(features)
        if self.delta == "auto":
            finite = np.isfinite(self.critical_delta_)
            self.delta_ = max(self.delta_share * self.critical_delta_, _TINY) if finite else 1.0
            return
        self.delta_ = float(self.delta)
        if self.clusters > 1 and not self.hard and self.delta_ > self.critical_delta_:
            warnings.warn(
                f"delta={self.delta_:.4g} is above the critical temperature {self.critical_delta_:.4g} of "
                f"these features: all {self.clusters} prototypes will end at the mean and carry no "
                "information. Use delta='auto' or a value below "
                f"{self.critical_delta_:.4g}.",
                CollapseWarning,
                stacklevel=3,
            )

    def _reseed(self, features: Array) -> None:
        share = self._coefficients(features).mean(axis=0)
        starved = np.flatnonzero(share < self.reseed_share / self.clusters)
        if len(starved):
            worst = np.argsort(cosines(self.prototypes_, features).max(axis=1))[: len(starved)]
            self.prototypes_[starved] = features[worst] / self.clusters

    def _check(self, features: ArrayLike) -> Array:
        if not hasattr(self, "prototypes_"):
            raise ValueError(
                "SoftKMeans has no prototypes yet: call fit(features) or load_state(state) first"
            )
        features = checked_features(features)
        if features.shape[1] != self.prototypes_.shape[1]:
            raise ValueError(
                f"features have {features.shape[1]} numbers each, the prototypes {self.prototypes_.shape[1]}"
            )
        return features


class HardKMeans(Clusterer):
    """scikit-learn's k-means on unit features, under the same contract: memberships are one-hot.

    Args:
        clusters: number of clusters.
        restarts: seeded k-means++ starts.
        seed: of the starts.
    """

    def __init__(self, clusters: int = 5, restarts: int = 5, seed: int = 0) -> None:
        _positive("clusters", clusters)
        self.clusters, self.restarts, self.seed = clusters, restarts, seed

    @property
    def n_clusters(self) -> int:
        return self.clusters

    def fit(self, features: Features, y: Any = None) -> HardKMeans:
        from sklearn.cluster import KMeans

        features = checked_features(features, self.clusters)
        model = KMeans(self.clusters, n_init=self.restarts, random_state=self.seed).fit(_unit(features))
        self.centres_ = np.asarray(model.cluster_centers_, dtype=np.float64)
        self.labels_ = self.predict(features)
        return self

    def scores(self, features: ArrayLike) -> Array:
        """(N, K) minus squared distance of the unit feature to each centre."""
        unit = _unit(checked_features(features))
        return np.asarray(-((unit[:, None] - self.centres_[None]) ** 2).sum(axis=2))

    def state(self) -> dict[str, NDArray[Any]]:
        return {"centres": self.centres_}

    def load_state(self, state: dict[str, NDArray[Any]]) -> HardKMeans:
        self.centres_ = np.asarray(state["centres"], dtype=np.float64)
        self.clusters = len(self.centres_)
        return self


def spherical_kmeans(
    features: Array, clusters: int, restarts: int, steps: int, rng: np.random.Generator
) -> Array:
    """(K, D) unit centres: k-means++ and Lloyd steps under the cosine, best of ``restarts``."""
    from sklearn.cluster import kmeans_plusplus

    unit = _unit(features)
    best, best_fit = unit[:clusters], -np.inf
    for _ in range(restarts):
        centres, _ = kmeans_plusplus(unit, clusters, random_state=int(rng.integers(2**31)))
        for _ in range(steps):
            centres, before = _lloyd_step(unit, centres), centres
            if np.array_equal(before, centres):
                break
        fit = float((unit @ centres.T).max(axis=1).sum())
        if fit > best_fit:
            best, best_fit = centres, fit
    return best


def _lloyd_step(unit: Array, centres: Array) -> Array:
    """Mean direction of the samples nearest to each centre; a centre without samples stays."""
    nearest = np.eye(len(centres))[(unit @ centres.T).argmax(axis=1)]
    sums = nearest.T @ unit
    return np.where(nearest.any(axis=0)[:, None], _unit(sums), centres)


def checked_features(features: Features, at_least: int = 0) -> Array:
    """Features, an array or an iterable of chunks, as a finite float64 array (N, D) with ``at_least`` rows.

    Raises:
        ValueError: for a wrong number of axes, NaN or infinite values, too few rows.
    """
    whole = hasattr(features, "__array__") or isinstance(features, (list, tuple))
    chunked = isinstance(features, Iterable) and not whole
    array = np.concatenate(list(features)) if chunked else np.asarray(features)  # type: ignore[arg-type]
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"features must be (N, D), got shape {array.shape}")
    if not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise ValueError(f"features hold NaN or infinite values in {len(rows)} rows (first: row {rows[0]})")
    if len(array) < at_least:
        raise ValueError(
            f"{len(array)} rows of features cannot make {at_least} clusters: ask for at most {len(array)}"
        )
    return array


def _positive(name: str, value: int) -> None:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1")
