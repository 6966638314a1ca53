"""Clusters inside every class: one clusterer a class, its state in buffers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolbox import ranks
from toolbox.interfaces import Clusterer
from toolbox.registry import build
from toolbox_lcp.layout import ClusterLayout

_PER_CLUSTER = 4  # labelled images that a cluster needs, see fit


class IntraClassClusters(nn.Module):
    """Features and labels to coefficients u_x over the clusters of the label's class.

    Any clusterer will do; those with ``partial_fit`` (soft k-means: eq. 1) follow the data while training
    goes on.

    Args:
        layout: classes and their numbers of clusters.
        clusterer: config of one clusterer; ``clusters`` and (where it takes one) ``seed`` are filled in for
            each class.

    Attributes:
        sizes: buffer (C,) int64, clusters in use: as asked for, or fewer where a class has few labelled
            images.
    """

    sizes: Tensor

    def __init__(self, layout: ClusterLayout, clusterer: Mapping[str, Any]) -> None:
        super().__init__()
        self.layout = layout
        self._config = dict(clusterer)
        self.register_buffer("sizes", torch.tensor(layout.sizes))
        self.states = nn.ModuleList(_State(self._clusterer(size)) for size in layout.sizes)

    def _clusterer(self, clusters: int) -> Clusterer:
        made: Clusterer = build(self._config, "clusterer", "conditioner.clusterer", clusters=clusters)
        return made

    @property
    def _each(self) -> list[_State]:
        """``states`` with their type, which a ModuleList forgets."""
        return [state for state in self.states if isinstance(state, _State)]

    @property
    def moving(self) -> bool:
        """Whether the clusters can follow the data."""
        return all(hasattr(state.clusterer, "partial_fit") for state in self._each)

    def fit(self, features: NDArray[Any], labels: NDArray[np.int64]) -> IntraClassClusters:
        """Cluster labelled features (N, D) class by class; k_y is at most a quarter of a class's images.

        Raises:
            ValueError: for a class without labelled images, or one that cannot be clustered.
        """
        for y, name in enumerate(self.layout.class_names):
            own = features[labels == y]
            if not len(own):
                raise ValueError(
                    f"class {name!r} has no labelled image: every class needs some, since unlabelled "
                    "images are taken to belong to the same classes (check the split)"
                )
            clusterer = self._clusterer(self._affordable(y, len(own)))
            try:
                # rank 0's on all: threads may have summed in another order elsewhere
                fitted = ranks.from_main(clusterer.fit(own))
            except ValueError as error:
                raise ValueError(f"class {name!r}: {error}") from error
            self.states[y] = _State(fitted)
            self._accept(y, fitted.n_clusters)
        return self

    def _affordable(self, y: int, images: int) -> int:
        """Number of clusters of class y, at least 1, with a warning where it is not the one asked for."""
        asked = self.layout.sizes[y]
        size = max(1, min(asked, images // _PER_CLUSTER))
        if size < asked:
            warnings.warn(
                f"class {self.layout.class_names[y]!r} has {images} labelled images: {size} clusters instead "
                f"of {asked} ({_PER_CLUSTER} images a cluster); the other rows stay unused",
                stacklevel=4,
            )
        return size

    def _accept(self, y: int, found: int) -> None:
        if found > self.layout.sizes[y]:
            raise ValueError(
                f"the clusterer found {found} clusters in class {self.layout.class_names[y]!r}, the "
                f"networks have rows for {self.layout.sizes[y]}: raise clusters, or make it stop there"
            )
        self.sizes[y] = found

    # eq. 1
    def update(self, features: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Let the clusters follow a batch (N, D), in order; classes that are not in it do not move."""
        for y in np.unique(labels[labels >= 0]):
            self._each[int(y)].partial_fit(features[labels == y])

    # eq. 2
    def membership(self, features: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N, K) coefficients u_x in each label's class, zero in padded places and for label -1."""
        u = np.zeros((len(features), self.layout.width), dtype=np.float32)
        for y in np.unique(labels[labels >= 0]):
            rows = labels == y
            clusterer = self._each[int(y)].clusterer
            u[rows, : clusterer.n_clusters] = clusterer.membership(features[rows])
        return u

    def assign(self, features: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) cluster inside the label's class with the largest coefficient; -1 for label -1."""
        return np.where(labels >= 0, self.membership(features, labels).argmax(axis=1), -1)

    def report(self, features: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, dict[str, float]]:
        """{class name: what its clusterer says of itself}; empty for clusterers without ``report``."""
        found = {}
        for y, name in enumerate(self.layout.class_names):
            clusterer = self._each[y].clusterer
            if hasattr(clusterer, "report"):
                found[name] = clusterer.report(features[labels == y])
        return found


class _State(nn.Module):
    """A clusterer whose arrays stand in buffers, so that they travel with the module's state_dict."""

    def __init__(self, clusterer: Clusterer) -> None:
        super().__init__()
        self.clusterer: Any = clusterer
        if any(name.endswith("_") for name in vars(clusterer)):  # fitted, by scikit-learn's convention
            self._store()

    def partial_fit(self, features: NDArray[Any]) -> None:
        """Let the clusterer move, and store where it is."""
        self.clusterer.partial_fit(features)
        self._store()

    def _store(self) -> None:
        for name, array in self.clusterer.state().items():
            if isinstance(array, Mapping) or np.asarray(array).dtype == object:
                kind = type(self.clusterer).__name__
                raise ValueError(
                    f"{kind}.state()[{name!r}] is a {type(array).__name__}, it must be a plain array: "
                    "a state is flat, {name: array}"
                )
            old = self._buffers.get(name)
            device = None if old is None else old.device
            self.register_buffer(name, torch.as_tensor(np.array(array), device=device))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the shapes of what was saved: an unfitted clusterer has none of its own."""
        own = [key for key in state_dict if key.startswith(prefix)]
        arrays = {key.removeprefix(prefix): state_dict[key] for key in own}
        missing = [name for name in self._buffers if name not in arrays]
        if arrays and not missing:
            for name, value in arrays.items():
                self.register_buffer(name, torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if arrays:
            self._restore(prefix, args[-1])  # torch passes its list of error messages last

    def _restore(self, prefix: str, errors: list[str]) -> None:
        """Load the buffers into the clusterer; another kind of clusterer lacks some array."""
        arrays = {name: buffer.cpu().numpy() for name, buffer in self.named_buffers()}
        try:
            self.clusterer.load_state(arrays)
        except KeyError as error:
            errors.append(
                f"{prefix}* holds {sorted(self._buffers)}, {type(self.clusterer).__name__} needs {error}: it "
                "was saved with another clusterer; set clusterer as it was then"
            )
