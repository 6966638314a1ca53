"""The contract of a clusterer: scikit-learn's conventions, plus margins, soft membership and streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.interfaces.described import Described

Features = ArrayLike | Iterable[NDArray[np.floating]]


class Clusterer(Described, ABC):
    """Groups feature vectors (N, D). State is arrays only, so that a checkpoint can hold it.

    ``fit`` takes an array or an iterable of chunks (n_i, D) that need not fit in memory together, returns
    self and leaves ``labels_`` (N,) behind. Attributes that end in ``_`` exist after ``fit``.

    The constructor takes ``clusters``, the number asked for: whoever builds a clusterer from a config gives
    it that argument, and ``seed`` and ``device`` where it has them.
    """

    @property
    @abstractmethod
    def n_clusters(self) -> int:
        """Number of clusters: asked for before ``fit``, found after it."""

    @abstractmethod
    def fit(self, features: Features, y: Any = None) -> Clusterer:
        """Find the clusters of features (N, D). ``y`` is ignored (scikit-learn's convention).

        Raises:
            ValueError: for NaN or infinite values, for fewer rows than clusters, for a wrong number of axes.
        """

    @abstractmethod
    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, n_clusters) margins: higher = more of that cluster."""

    def predict(self, features: ArrayLike) -> NDArray[np.integer]:
        """(N,) index of the cluster with the highest score."""
        return np.asarray(self.scores(features).argmax(axis=1))

    def membership(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, n_clusters) soft membership, rows sum to 1. Default: hard, from :meth:`predict`."""
        return np.eye(self.n_clusters)[self.predict(features)]

    def fit_predict(self, features: Features, y: Any = None) -> NDArray[np.integer]:
        """``fit(features).labels_``."""
        return np.asarray(self.fit(features, y).labels_)  # type: ignore[attr-defined]

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Everything learnt, as named arrays."""

    @abstractmethod
    def load_state(self, state: dict[str, NDArray[Any]]) -> Clusterer:
        """Take over :meth:`state`'s arrays; after it ``predict`` answers as the saved clusterer did."""
