"""The clusterers that KLiSH is compared with (sec. 4.1): k-means, KASP and agglomerative clustering."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from toolbox.interfaces import Clusterer, Features
from toolbox.ranges import check_not_negative, check_positive, check_whole
from toolbox.ranks import on_main
from toolbox_klish.algorithm.kmeans import METRICS, centre_planes, kmeans, nearest
from toolbox_klish.checks import check_choice
from toolbox_klish.softmax import train_softmax
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.planes import LinearClassifier, Planes

LINKAGES = ("ward", "arccos")


class LinearClusterer(Clusterer):
    """A clusterer that ends as a linear classifier, whose scores may belong to parts of clusters.

    Attributes:
        labels_: (N,).
        one_fit: whether one fit answers :meth:`cut` for every k, and ``state`` for ``clusters`` set to it.
    """

    one_fit = False

    def __init__(self, clusters: int) -> None:
        check_whole(1, clusters=clusters)
        self.clusters = clusters

    @property
    def n_clusters(self) -> int:
        return self.clusters

    def fit(self, features: Features, y: Any = None) -> LinearClusterer:
        blocks = FeatureBlocks(features)
        blocks.need(self.clusters)
        self._fit(blocks)
        self.labels_ = self.cut(self.clusters).labels_
        return self

    @abstractmethod
    def _fit(self, blocks: FeatureBlocks) -> None:
        """Find whatever :meth:`cut` answers from."""

    @abstractmethod
    def cut(self, k: int) -> LinearClassifier:
        """The classifier of ``k`` classes: ``labels_``, ``predict``, ``scores``."""

    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, n_clusters) scores; higher = more of that cluster."""
        return self.cut(self.clusters).scores(features)

    def _fitted(self, attribute: str) -> Any:
        if not hasattr(self, attribute):
            raise ValueError(
                f"{type(self).__name__} has found no clusters yet: "
                "call fit(features) or load_state(state) first"
            )
        return getattr(self, attribute)


class LloydKMeans(LinearClusterer):
    """k-means as KLiSH starts from it: greedy k-means++ and Lloyd's steps; features need not fit in memory.

    Args:
        clusters: K.
        metric: 'euclidean', or 'arccos': the angle between features.
        steps, tolerance, restarts, sample, seed: see :func:`toolbox_klish.algorithm.kmeans.kmeans`.
    """

    def __init__(
        self,
        clusters: int = 20,
        metric: str = "euclidean",
        steps: int = 20,
        tolerance: float = 1e-3,
        restarts: int = 1,
        sample: int = 65_536,
        seed: int = 0,
    ) -> None:
        super().__init__(clusters)
        check_choice("metric", metric, METRICS)
        check_whole(0, steps=steps, seed=seed)
        check_whole(1, restarts=restarts, sample=sample)
        check_not_negative(tolerance=tolerance)
        self.metric = metric
        self.steps = steps
        self.tolerance = tolerance
        self.restarts = restarts
        self.sample = sample
        self.seed = seed

    def _fit(self, blocks: FeatureBlocks) -> None:
        centres = kmeans(
            blocks,
            self.clusters,
            self.seed,
            self.metric,
            self.steps,
            self.tolerance,
            self.restarts,
            self.sample,
        )
        self._nearest = nearest(blocks, centres, self.metric).cpu().numpy()
        self.centres_ = centres.cpu().numpy()

    def cut(self, k: int) -> LinearClassifier:
        """The classifier of the nearest centre; ``k`` can only be ``clusters``: there is no hierarchy."""
        planes = centre_planes(torch.from_numpy(self._fitted("centres_")), self.metric)
        if k != self.clusters:
            raise ValueError(
                f"cut(k={k!r}): k-means was fitted with clusters={self.clusters} and knows no other number; "
                "fit again"
            )
        return LinearClassifier(planes.weight.numpy(), planes.bias.numpy(), getattr(self, "_nearest", None))

    def state(self) -> dict[str, NDArray[Any]]:
        return {"centres": self._fitted("centres_")}

    def load_state(self, state: dict[str, NDArray[Any]]) -> LloydKMeans:
        self.centres_ = np.asarray(state["centres"])
        self.clusters = len(self.centres_)
        return self


class GroupedClassifier(LinearClassifier):
    """A classifier of groups of planes: a group scores as its best plane does."""

    def __init__(
        self, planes: Planes, groups: NDArray[np.integer], labels: NDArray[np.integer] | None
    ) -> None:
        super().__init__(planes.weight.numpy(), planes.bias.numpy(), labels)
        self.groups = groups

    @property
    def n_clusters(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, K) best score of each group."""
        each = super().scores(features)
        best = [each[:, self.groups == group].max(axis=1) for group in range(self.n_clusters)]
        return np.stack(best, axis=1)


class KASP(LinearClusterer):
    """Spectral clustering of k-means centres; a row belongs to the group of its nearest centre.

    Args:
        clusters: number of groups, fewer than ``centres``.
        centres: number of k-means centres: those that KLiSH starts from.
        neighbours: of each centre in the affinity graph: 3 in the script behind the paper's table.
        seed: of k-means and of the spectral embedding. steps, sample: of k-means.
    """

    one_fit = True

    def __init__(
        self,
        clusters: int = 20,
        centres: int = 100,
        neighbours: int = 3,
        seed: int = 0,
        steps: int = 20,
        sample: int = 65_536,
    ) -> None:
        super().__init__(clusters)
        check_whole(1, centres=centres, neighbours=neighbours, sample=sample)
        check_whole(0, steps=steps, seed=seed)
        if clusters >= centres:
            raise ValueError(
                f"clusters={clusters} must be below centres={centres}: groups are made of centres; raise "
                "centres"
            )
        if not 1 <= neighbours < centres:
            raise ValueError(
                f"neighbours={neighbours!r} must lie in 1..{centres - 1}, one below centres={centres}"
            )
        self.centres = centres
        self.neighbours = neighbours
        self.seed = seed
        self.steps = steps
        self.sample = sample
        self._groups: dict[int, NDArray[np.int64]] = {}

    def _fit(self, blocks: FeatureBlocks) -> None:
        blocks.need(self.centres, "centres")
        centres = kmeans(blocks, self.centres, self.seed, steps=self.steps, sample=self.sample)
        self._nearest = nearest(blocks, centres).cpu().numpy()
        self.centres_ = centres.cpu().numpy()
        self._groups = {}

    def cut(self, k: int) -> LinearClassifier:
        """The classifier of ``k`` groups, from a spectral clustering of its own.

        Groups of different ``k`` need not be nested.
        """
        centres = self._fitted("centres_")
        if k not in self._groups:
            self._groups[k] = on_main(lambda: self._spectral(centres, k))
        groups = self._groups[k]
        first = getattr(self, "_nearest", None)  # (N) centre of each fitted row; none after load_state
        labels = None if first is None else groups[first]
        return GroupedClassifier(centre_planes(torch.from_numpy(centres)), groups, labels)

    def _spectral(self, centres: NDArray[np.float64], k: int) -> NDArray[np.int64]:
        """(centres) group of each, numbered without gaps: the discretisation may leave one empty."""
        import warnings

        from sklearn.cluster import SpectralClustering

        if not 1 <= k < len(centres):
            raise ValueError(f"cut(k={k!r}): {len(centres)} centres make 1 to {len(centres) - 1} groups")
        with warnings.catch_warnings():
            # three neighbours seldom connect it; the other is said of any square input
            warnings.filterwarnings("ignore", message="Graph is not fully connected")
            warnings.filterwarnings("ignore", message="The spectral clustering API has changed")
            model = SpectralClustering(
                k,
                affinity="nearest_neighbors",
                n_neighbors=self.neighbours,
                assign_labels="discretize",
                random_state=self.seed,
            ).fit(centres)
        return _without_empty(np.asarray(model.labels_, dtype=np.int64), centres, k)

    def state(self) -> dict[str, NDArray[Any]]:
        return {"centres": self._fitted("centres_"), "groups": self._groups[self.clusters]}

    def load_state(self, state: dict[str, NDArray[Any]]) -> KASP:
        self.centres_ = np.asarray(state["centres"])
        groups = np.asarray(state["groups"])
        self.centres = len(self.centres_)
        self.clusters = int(groups.max()) + 1
        self._groups = {self.clusters: groups}
        return self


class AHC(LinearClusterer):
    """Agglomerative clustering of a sample, and a linear classifier of its clusters for all other rows.

    Memory grows with the square of ``rows``: half of their distances are held at 8 bytes each.

    Args:
        clusters: number of clusters.
        linkage: 'ward' on features as they are, or 'arccos': average linkage of cosine distances.
        rows: at most so many random rows are clustered. The paper has 16 images, the authors' code 32 of 64 x
            64.
        classifier_steps: at most so many full steps of the classifier (1000 in the authors' code).
        learning_rate: of its Adam.
        seed: of the sample.
    """

    one_fit = True

    def __init__(
        self,
        clusters: int = 20,
        linkage: str = "ward",
        rows: int = 16_384,
        classifier_steps: int = 1000,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(clusters)
        check_choice("linkage", linkage, LINKAGES)
        check_whole(1, rows=rows)
        check_whole(0, classifier_steps=classifier_steps, seed=seed)
        check_positive(learning_rate=learning_rate)
        if rows < clusters:
            raise ValueError(f"rows={rows!r} cannot make clusters={clusters}: raise rows")
        self.linkage = linkage
        self.rows = rows
        self.seed = seed
        self.classifier_steps = classifier_steps
        self.learning_rate = learning_rate
        self._cuts: dict[int, LinearClassifier] = {}

    def _fit(self, blocks: FeatureBlocks) -> None:
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(blocks.total, size=min(self.rows, blocks.total), replace=False)
        check_memory(len(chosen))
        self._sample = blocks.take(np.sort(chosen))
        self.children_ = on_main(lambda: self._tree(self._sample))
        self._blocks = blocks
        self._cuts = {}

    def _tree(self, sample: NDArray[np.floating]) -> NDArray[np.int64]:
        """(rows - 1, 2) the two nodes that each merge joins."""
        from sklearn.cluster import AgglomerativeClustering

        ways = dict(linkage="ward") if self.linkage == "ward" else dict(linkage="average", metric="cosine")
        model = AgglomerativeClustering(n_clusters=1, compute_full_tree=True, **ways)
        return np.asarray(model.fit(sample).children_, dtype=np.int64)

    def cut(self, k: int) -> LinearClassifier:
        """The classifier of the ``k`` clusters before the last k - 1 merges; ``labels_``: its predictions."""
        children = self._fitted("children_")
        if not 1 <= k <= len(children) + 1:
            raise ValueError(
                f"cut(k={k!r}): a tree over {len(children) + 1} rows has 1 to {len(children) + 1} clusters"
            )
        if k not in self._cuts:
            if not hasattr(self, "_sample"):
                raise ValueError(
                    f"cut(k={k!r}): after load_state only k={sorted(self._cuts)} is known; "
                    "fit again for others"
                )
            self._cuts[k] = self._classifier(cut_tree(children, k))
        return self._cuts[k]

    def _classifier(self, labels: NDArray[np.int64]) -> LinearClassifier:
        planes = train_softmax(
            torch.from_numpy(self._sample),
            torch.from_numpy(labels),
            self.linkage == "ward",
            self.classifier_steps,
            self.learning_rate,
        )
        found = torch.cat([planes(x.cpu()).argmax(dim=1) for _, x in self._blocks])
        return LinearClassifier(planes.weight.numpy(), planes.bias.numpy(), found.numpy())

    def state(self) -> dict[str, NDArray[Any]]:
        at = self.cut(self.clusters)
        return {"weight": at.weight_, "bias": at.bias_, "tree": self.children_}

    def load_state(self, state: dict[str, NDArray[Any]]) -> AHC:
        self.children_ = np.asarray(state["tree"])
        self.clusters = len(state["bias"])
        self._cuts = {self.clusters: LinearClassifier(state["weight"], state["bias"])}
        return self


def cut_tree(children: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """(rows) cluster of each row, numbered by first row, when the last k - 1 merges of a tree are undone.

    Args:
        children: (rows - 1, 2) nodes that each merge joins: rows first, then merges in order.
    """
    rows = len(children) + 1
    parent = np.arange(2 * rows - 1)
    for merge, (one, other) in enumerate(children[: rows - k]):
        parent[one] = parent[other] = rows + merge
    # from the last node made downwards: what a parent points to is its root by then
    for node in range(rows + (rows - k) - 1, -1, -1):
        parent[node] = parent[parent[node]]
    _, first, labels = np.unique(parent[:rows], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels]


def _without_empty(groups: NDArray[np.int64], centres: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """(centres) groups 0..k-1, each with a centre.

    An empty one takes the centre furthest from the mean of the largest group.
    """
    groups = groups.copy()
    for group in range(k):
        if not (groups == group).any():
            members = np.flatnonzero(groups == np.bincount(groups).argmax())
            away = ((centres[members] - centres[members].mean(axis=0)) ** 2).sum(axis=1)
            groups[members[away.argmax()]] = group
    return groups


def check_memory(rows: int) -> None:
    """Raise a ValueError if the distances between so many rows do not fit into this machine's memory."""
    needed = 4 * rows * rows  # half of all pairs, 8 bytes each
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else needed
    if needed > has:
        raise ValueError(
            f"rows={rows} need {needed / 2**30:.0f} GiB for their distances, this machine has "
            f"{has / 2**30:.0f}: set rows to {int((has / 8) ** 0.5)} or fewer"
        )
