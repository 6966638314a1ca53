"""What clusters one class: soft k-means with cosine similarity (LCP-GAN, eq. 1 and 2), and hard k-means."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.interfaces import Clusterer, Features
from toolbox.ranges import check_in, check_positive, check_whole
from toolbox_lcp.equations import (
    TINY,
    Array,
    coefficients,
    cosines,
    critical_temperature,
    perplexity,
    unit_length,
    update,
)


class CollapseWarning(UserWarning):
    """A temperature above the critical one: all prototypes of a class will end in the same place."""


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
        check_whole(1, clusters=clusters, restarts=restarts)
        check_whole(0, passes=passes, lloyd_steps=lloyd_steps, seed=seed)
        if isinstance(delta, str) and delta != "auto":
            raise ValueError(f"delta={delta!r} must be a positive number or 'auto'")
        if delta != "auto":
            check_positive(delta=delta)
        check_in("(0, 1)", mu=mu)
        check_positive(delta_share=delta_share)
        check_in("[0, 1]", reseed_share=reseed_share)
        self.clusters = clusters
        self.delta = delta
        self.delta_share = delta_share
        self.mu = mu
        self.hard = hard
        self.passes = passes
        self.restarts = restarts
        self.lloyd_steps = lloyd_steps
        self.reseed_share = reseed_share
        self.seed = seed

    @property
    def n_clusters(self) -> int:
        return self.clusters

    def fit(self, features: Features, y: Any = None) -> SoftKMeans:
        features = checked_features(features, self.clusters)  # (N, D)
        rng = np.random.default_rng(self.seed)
        self._choose_delta(features)
        centres = spherical_kmeans(features, self.clusters, self.restarts, self.lloyd_steps, rng)  # (K, D)
        # eq. 1 weighs each feature by u_x, on average 1 / K: prototypes end at that share of its length
        scale = np.linalg.norm(features, axis=1).mean() / self.clusters
        self.prototypes_ = scale * centres
        for _ in range(self.passes):
            self.partial_fit(features[rng.permutation(len(features))])
            self._reseed(features)
        self.labels_ = self.predict(features)
        return self

    def partial_fit(self, features: ArrayLike, y: Any = None) -> SoftKMeans:
        """Eq. 1 for each of features (N, D), in order, with the coefficients of that moment."""
        for feature in self._check(features):
            u = self._coefficients(feature[None])[0]  # (K,)
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
        self.prototypes_ = np.asarray(state["prototypes"], dtype=np.float64)
        self.clusters = len(self.prototypes_)
        self.delta_, self.critical_delta_ = (float(value) for value in state["delta"])
        return self

    def report(self, features: ArrayLike) -> dict[str, float]:
        """Temperatures, perplexity of u, smallest share, largest cosine between two prototypes."""
        u = self.membership(features)
        # minus 2: a prototype's cosine with itself is never the largest
        between = cosines(self.prototypes_, self.prototypes_) - 2 * np.eye(self.clusters)  # (K, K)
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
            self.delta_ = max(self.delta_share * self.critical_delta_, TINY) if finite else 1.0
            return
        self.delta_ = float(self.delta)
        if self.clusters > 1 and not self.hard and self.delta_ > self.critical_delta_:
            warnings.warn(
                f"delta={self.delta_:.4g} is above the critical temperature {self.critical_delta_:.4g} of "
                f"these features: all {self.clusters} prototypes will end at the mean and carry no "
                f"information. Use delta='auto' or a value below {self.critical_delta_:.4g}.",
                CollapseWarning,
                stacklevel=3,
            )

    def _reseed(self, features: Array) -> None:
        share = self._coefficients(features).mean(axis=0)  # (K,)
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
        check_whole(1, clusters=clusters, restarts=restarts)
        check_whole(0, seed=seed)
        self.clusters = clusters
        self.restarts = restarts
        self.seed = seed

    @property
    def n_clusters(self) -> int:
        return self.clusters

    def fit(self, features: Features, y: Any = None) -> HardKMeans:
        from sklearn.cluster import KMeans

        features = checked_features(features, self.clusters)
        model = KMeans(self.clusters, n_init=self.restarts, random_state=self.seed)
        model.fit(unit_length(features))
        self.centres_ = np.asarray(model.cluster_centers_, dtype=np.float64)  # (K, D)
        self.labels_ = self.predict(features)
        return self

    def scores(self, features: ArrayLike) -> Array:
        """(N, K) minus squared distance of the unit feature to each centre."""
        unit = unit_length(checked_features(features))
        differences = unit[:, None] - self.centres_[None]  # (N, K, D)
        return np.asarray(-(differences**2).sum(axis=2))

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

    unit = unit_length(features)
    best = unit[:clusters]
    best_fit = -np.inf
    for _ in range(restarts):
        start, _ = kmeans_plusplus(unit, clusters, random_state=int(rng.integers(2**31)))
        centres = _lloyd(unit, start, steps)
        fit = float((unit @ centres.T).max(axis=1).sum())
        if fit > best_fit:
            best = centres
            best_fit = fit
    return best


def _lloyd(unit: Array, centres: Array, steps: int) -> Array:
    """Centres (K, D) after at most ``steps`` steps; fewer when they stand still."""
    for _ in range(steps):
        before = centres
        centres = _lloyd_step(unit, before)
        if np.array_equal(before, centres):
            break
    return centres


def _lloyd_step(unit: Array, centres: Array) -> Array:
    """Mean direction of the samples nearest to each centre; a centre without samples stays."""
    nearest = np.eye(len(centres))[(unit @ centres.T).argmax(axis=1)]  # (N, K) one-hot
    sums = nearest.T @ unit  # (K, D)
    return np.where(nearest.any(axis=0)[:, None], unit_length(sums), centres)


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
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise ValueError(f"features hold NaN or infinite values in {len(bad)} rows (first: row {bad[0]})")
    if len(array) < at_least:
        raise ValueError(
            f"{len(array)} rows of features cannot make {at_least} clusters: ask for at most {len(array)}"
        )
    return array
