"""The conformance check of clusterers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolbox.interfaces import Clusterer
from toolbox.registry import accepted
from toolbox.testing.common import require

Array = NDArray[Any]


def check_clusterer(clusterer: Clusterer, features: Array | None = None) -> None:
    """Check the contract of :class:`toolbox.interfaces.Clusterer`.

    - the constructor takes ``clusters``, by which those who use a clusterer ask for a number of clusters;
    - ``fit`` returns self, takes an array or an iterator of chunks, leaves ``labels_`` (n,) in [0,
      n_clusters) and the features as they were; two fits of equal objects agree;
    - ``scores`` (n, n_clusters) are finite, ``predict`` is their argmax, ``membership`` rows sum to 1; row i
      depends on row i;
    - ``state`` is a dict of plain arrays, from which an unfitted clusterer answers as the fitted one, also
      when they have been buffers of a module in between: so they travel in a checkpoint;
    - NaN, infinity, a single axis, and fewer rows than clusters are ValueErrors.

    Args:
        clusterer: not fitted; it is left as it was.
        features: (n, d) to cluster; default well-parted positive ones, 30 for each cluster.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(clusterer).__name__
    require(isinstance(clusterer, Clusterer), f"{name} does not inherit toolbox.interfaces.Clusterer")
    require(
        isinstance(clusterer.n_clusters, (int, np.integer)) and clusterer.n_clusters > 0,
        f"{name}.n_clusters before fit must be the number asked for, got {clusterer.n_clusters!r}",
    )
    require(
        "clusters" in (accepted(type(clusterer)) or {}),
        f"{name}'s constructor has no argument 'clusters', the number of clusters asked for",
    )
    features = _blobs(int(clusterer.n_clusters)) if features is None else features
    fitted = _check_fit(clusterer, features, name)
    _check_answers(fitted, features, name)
    _check_state(clusterer, fitted, features, name)
    _check_errors(clusterer, features, name)


def _blobs(clusters: int, each: int = 30, width: int = 8) -> Array:
    rng = np.random.default_rng(0)
    centres = 1 + 4 * np.abs(rng.standard_normal((clusters, width)))
    return np.repeat(centres, each, axis=0) + 0.1 * rng.standard_normal((clusters * each, width))


def _check_fit(clusterer: Clusterer, features: Array, name: str) -> Clusterer:
    untouched = features.copy()
    fitted: Any = copy.deepcopy(clusterer)
    require(fitted.fit(features) is fitted, f"{name}.fit must return self")
    require(np.array_equal(features, untouched), f"{name}.fit changes its features in place")
    _check_labels(fitted, len(features), name)
    again: Any = copy.deepcopy(clusterer).fit(features)
    require(np.array_equal(again.labels_, fitted.labels_), f"{name}.fit is not deterministic: give it a seed")
    try:
        streamed = copy.deepcopy(clusterer).fit(iter(np.array_split(features, 3)))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{name}.fit does not take an iterator of chunks: {error}") from error
    _check_labels(streamed, len(features), f"{name} (fitted on chunks)")
    return fitted


def _check_labels(fitted: Clusterer, n: int, name: str) -> None:
    labels = getattr(fitted, "labels_", None)
    require(labels is not None, f"{name}: fit leaves no labels_ behind")
    labels = np.asarray(labels)
    require(
        labels.shape == (n,) and np.issubdtype(labels.dtype, np.integer),
        f"{name}.labels_ is {labels.dtype} {labels.shape}, expected integers ({n},)",
    )
    require(
        labels.min() >= 0 and labels.max() < fitted.n_clusters,
        f"{name}.labels_ runs from {labels.min()} to {labels.max()}, n_clusters is {fitted.n_clusters}",
    )


def _check_answers(fitted: Clusterer, features: Array, name: str) -> None:
    scores = fitted.scores(features)
    found = fitted.predict(features)
    soft = fitted.membership(features)
    expected = (len(features), fitted.n_clusters)
    require(np.shape(scores) == expected, f"{name}.scores is {np.shape(scores)}, expected {expected}")
    require(np.isfinite(scores).all(), f"{name}.scores is not finite")
    require(np.array_equal(found, np.argmax(scores, axis=1)), f"{name}.predict is not the argmax of scores")
    require(np.shape(soft) == expected, f"{name}.membership is {np.shape(soft)}, expected {expected}")
    require(
        np.all(soft >= 0) and np.allclose(np.sum(soft, axis=1), 1, atol=1e-6),
        f"{name}.membership: rows must be >= 0 and sum to 1",
    )
    require(
        np.allclose(fitted.scores(features[:5]), scores[:5]),
        f"{name}.scores: a row depends on the other rows",
    )
    require(
        np.allclose(fitted.membership(features[:5]), soft[:5]),
        f"{name}.membership: a row depends on the other rows",
    )


def _check_state(clusterer: Clusterer, fitted: Clusterer, features: Array, name: str) -> None:
    state = fitted.state()
    for key, value in state.items():
        require(
            isinstance(value, np.ndarray) and value.dtype != object,
            f"{name}.state()[{key!r}] is {type(value).__name__}, expected a plain array",
        )
    copied = _through_buffers(state, name)
    restored = copy.deepcopy(clusterer)
    require(restored.load_state(copied) is restored, f"{name}.load_state must return self")
    require(restored.n_clusters == fitted.n_clusters, f"{name}.load_state does not restore n_clusters")
    require(
        np.allclose(restored.scores(features), fitted.scores(features)),
        f"{name}.load_state does not restore scores",
    )
    require(
        np.allclose(restored.membership(features), fitted.membership(features)),
        f"{name}.load_state does not restore membership",
    )


def _through_buffers(state: dict[str, Array], name: str) -> dict[str, Array]:
    """The state as a checkpoint gives it back."""
    holder = nn.Module()
    for key, value in state.items():
        try:
            holder.register_buffer(key, torch.from_numpy(value.copy()))
        except (KeyError, TypeError) as error:
            raise AssertionError(
                f"{name}.state()[{key!r}] cannot be a buffer of a module ({error}): rename it, or change "
                "its type"
            ) from error
    return {key: value.numpy() for key, value in holder.state_dict().items()}


def _check_errors(clusterer: Clusterer, features: Array, name: str) -> None:
    broken, endless = features.copy(), features.copy()
    broken[1, 0] = np.nan
    endless[1, 0] = np.inf
    faults = {"a NaN": broken, "an infinite value": endless, "a single axis": features[:, 0]}
    if clusterer.n_clusters > 1:
        faults["fewer rows than clusters"] = features[: clusterer.n_clusters - 1]
    for what, bad in faults.items():
        try:
            copy.deepcopy(clusterer).fit(bad)
        except ValueError as error:
            require(str(error), f"{name}.fit: the error for features with {what} says nothing")
            continue
        except Exception as error:
            raise AssertionError(
                f"{name}.fit raises {type(error).__name__} for {what}, expected ValueError: {error}"
            ) from error
        raise AssertionError(f"{name}.fit accepts features with {what}; it must raise ValueError")
