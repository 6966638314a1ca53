"""KLiSH: K-means with the linear separability heuristic, as a clusterer."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toolbox.interfaces import Clusterer, Features
from toolbox.ranges import check_in, check_not_negative, check_positive, check_whole, given
from toolbox.ranks import from_main, world
from toolbox_klish.algorithm.checkpoints import Checkpoint, FitState
from toolbox_klish.algorithm.initial import by_size, filtered, given_labels
from toolbox_klish.algorithm.joint import JointSolver
from toolbox_klish.algorithm.kmeans import METRICS, centre_planes, class_means, kmeans, nearest
from toolbox_klish.algorithm.merge import MergeLoop, MergeTree, Stop, union_places
from toolbox_klish.algorithm.place import DIRECTIONS, WithoutPlace, given_places, place_directions
from toolbox_klish.algorithm.solvers import NewtonSolver, Solver
from toolbox_klish.checks import check_choice, usable_device
from toolbox_klish.progress import Report, Trainings, silent
from toolbox_klish.svm.blocks import DTYPES, FeatureBlocks
from toolbox_klish.svm.planes import LinearClassifier, Planes, join

SOLVERS = ("newton", "joint")
HESSIANS = ("same", "tf32")
IN_MEMORY = 2 * 2**30  # bytes of features without place that are kept, not made anew at every pass


class KLiSH(Clusterer):
    """Many k-means clusters, merged a pair at a time: the least separable into its most confused one.

    The merges are those of algorithm 1 (:mod:`toolbox_klish.algorithm.merge`), the machines those of eq. 3
    (:mod:`toolbox_klish.svm.newton`). ``fit`` records a classifier for every number of clusters from K0 down
    to 2, or to where it is told to stop (``first`` or ``stop_iou``); :meth:`cut` takes one out. ``labels_``,
    ``predict`` and ``scores`` answer at the number where the loop was told to stop, and at K0 if it was not:
    which of the recorded numbers is right, the method leaves to the eye.

    Two kinds of labels belong to each K. ``labels_`` are unions of the first clusters; ``predict`` is the
    highest score, and may say otherwise near a border.

    Args:
        clusters: K0, the number of first clusters (the figures of the paper show 100); with ``first``, the
            number to stop at.
        C: weight of the hinge in eq. 3, a mean over rows. The text has lost its value; 5000 is that of the
        authors' code.
        filter_sigma: clusters whose logit of IoU lies so many standard deviations below the mean are dropped
            before merging, and k-means goes on without them (sec. 3.2: 1). None = no filter, as in the
            authors' scripts.
        first: K0, where merging is to stop at ``clusters``. None = start from ``clusters``, and go on to the
            end.
        stop_iou: stop at the first K where every IoU reaches it. The paper names no value.
        solver: 'newton' trains the merged class alone, exactly; 'joint' trains all classes with the authors'
            capped L-BFGS, for comparison. It repeats the authors' merges only as far as they do not hang on
            where the cap stops it.
        metric: 'euclidean' or 'arccos', of k-means.
        bias: whether planes have a bias.
        kmeans_steps, kmeans_tolerance, kmeans_restarts: of Lloyd's steps (see
            :func:`toolbox_klish.algorithm.kmeans.kmeans`). The first two are those of the authors' code.
        kmeans_sample: rows that centres are seeded from. Unknown in the paper.
        precision: 'float32' (sums in double), or 'float64' throughout.
        hessian: 'tf32' lets the products of Hessians round float32 to 10 bits, which a GPU's tensor cores do
            several times as fast; the result is the same, as gradients are not rounded. 'same' = as
            precision. None = 'tf32' on a GPU.
        device: 'cpu', 'cuda', ...; None = a GPU if there is one.
        tolerance, max_passes: of Newton's method (see :func:`toolbox_klish.svm.working_set.train`).
        joint_calls: cap of 'joint'.
        seed: of k-means.
        drop_place: so many directions of the features are not looked at: those that say best where a pixel
            lies within k-means' clusters (:mod:`toolbox_klish.algorithm.place`; 12 was measured). For
            generators whose large, plain parts fall into pieces by place; where every part has a place of its
            own, parts go with it. ``fit`` needs ``places`` then. None = the paper's algorithm, on features as
            they are.

    Attributes:
        merges_: (merges, 3) rows (K, kept, removed): places in the list of clusters present, which is sorted
            by size at the start, largest first; places after the removed one move up.
        iou_: (steps, K0) IoU of each class, NaN beyond K.
        ecos_: (merges, K0) of the removed class with each, 0 with itself, NaN beyond K.
        sizes_: (steps, K0) rows of each class, 0 beyond K.
        nodes_: (merges, 3) kept, removed and new node of the tree.
        labels_: (N,).
        clusters_: K0 after the filter.
        passes_: evaluations of all rows.
        filter_: dict(iou, kept) of the clusters before the filter, where there is one.
        seconds_: (steps,) when each step was recorded, since the first training began.

    On several ranks each fits on its own rows, and all end with the same tree.
    """

    loop: ClassVar[type[MergeLoop]] = MergeLoop  # a subclass may choose in another order

    def __init__(
        self,
        clusters: int = 100,
        C: float = 5000.0,
        filter_sigma: float | None = 1.0,
        first: int | None = None,
        stop_iou: float | None = None,
        solver: str = "newton",
        metric: str = "euclidean",
        bias: bool = True,
        kmeans_steps: int = 20,
        kmeans_tolerance: float = 1e-3,
        kmeans_restarts: int = 1,
        kmeans_sample: int = 65_536,
        precision: str = "float32",
        hessian: str | None = None,
        device: str | None = None,
        tolerance: float | None = None,
        max_passes: int = 100,
        joint_calls: int = 20,
        seed: int = 0,
        drop_place: int | None = None,
    ) -> None:
        check_whole(1, clusters=clusters, max_passes=max_passes, joint_calls=joint_calls)
        check_whole(1, kmeans_restarts=kmeans_restarts, kmeans_sample=kmeans_sample)
        check_whole(0, kmeans_steps=kmeans_steps, seed=seed)
        check_not_negative(kmeans_tolerance=kmeans_tolerance, **given(tolerance=tolerance))
        check_choice("solver", solver, SOLVERS)
        check_choice("metric", metric, METRICS)
        check_choice("precision", precision, DTYPES)
        check_choice("hessian", hessian or "same", HESSIANS)
        check_positive(C=C)
        _check_stop(clusters, first, stop_iou)
        check_not_negative(**given(filter_sigma=filter_sigma))  # None for no filter
        check_whole(1, **given(drop_place=drop_place))
        check_in(f"[1, {DIRECTIONS}]", **given(drop_place=drop_place))
        self.clusters = clusters
        self.C = C
        self.filter_sigma = filter_sigma
        self.first = first
        self.stop_iou = stop_iou
        self.solver = solver
        self.metric = metric
        self.bias = bias
        self.kmeans_steps = kmeans_steps
        self.kmeans_tolerance = kmeans_tolerance
        self.kmeans_restarts = kmeans_restarts
        self.kmeans_sample = kmeans_sample
        self.precision = precision
        self.hessian = hessian
        self.device = device
        self.tolerance = tolerance
        self.max_passes = max_passes
        self.joint_calls = joint_calls
        self.seed = seed
        self.drop_place = drop_place
        self._first: NDArray[np.integer] | None = None  # (N,) first cluster of each fitted row

    @property
    def n_clusters(self) -> int:
        if hasattr(self, "chosen_"):
            return self.chosen_
        return self.clusters

    def fit(
        self,
        features: Features,
        y: Any = None,
        initial: ArrayLike | None = None,
        checkpoint: str | Path | None = None,
        every: float = 60.0,
        progress: Report = silent,
        places: ArrayLike | None = None,
    ) -> KLiSH:
        """Find the tree of clusters.

        Args:
            features: (N, D), a memory map, or chunks (n_i, D); see
                :class:`toolbox_klish.svm.blocks.FeatureBlocks`.
            y: ignored.
            initial: (N,) a partition into K0 parts to merge, in place of k-means.
            checkpoint: a file to write the state of the fit to. Where it exists, the fit goes on from it, and
                ends with the tree of one that was never interrupted (to the bit, with as many threads on the
                same kind of machine).
            every: seconds between two writes of it; it is also written after k-means, and at the end.
            progress: told what is being done, and how many trainings of a class are done, of how many.
            places: (N, 2) in [-1, 1], where each row's pixel lies in its image (of a stream: its
                ``places()``); used with ``drop_place`` alone.

        Raises:
            ValueError: for fewer rows than clusters, NaN or constant features, an ``initial`` or ``places``
                that do not fit, a ``checkpoint`` of other features or settings, a ``device`` that is not
                there.
        """
        device = torch.device(usable_device(self.device))
        rounded = self.hessian == "tf32" or (self.hessian is None and device.type == "cuda")
        blocks = FeatureBlocks(features, self.precision, device, rounded)
        blocks.need(self._many)
        self._trainings = self._counted(progress)
        if self.drop_place is not None:
            blocks = self._without_place(blocks, places)
        file = Checkpoint(checkpoint, self._identity(blocks, initial), every)
        state = file.load() or self._begin(blocks, initial)
        file.save(state, now=True)
        self._merge(blocks, state, file)
        file.save(state, now=True)
        self._keep(state)
        self._trainings = self._counted(silent)  # whoever was told is no part of a fitted model
        return self

    def cut(self, k: int) -> LinearClassifier:
        """The classifier of ``k`` classes; its ``labels_`` are unions of the first clusters.

        Raises:
            ValueError: when there is no record of ``k``.
        """
        self._check_fitted()
        smallest = self.clusters_ - len(self._members) + 1
        labels = None
        if self._first is not None:
            labels = union_places(self.merges_, self.clusters_, k)[self._first]
        if k == 1 and smallest == 2:  # everything is one class: the minimum of eq. 3 is w = 0, b = 1
            return LinearClassifier(np.zeros_like(self._weight[:1]), np.ones_like(self._bias[:1]), labels)
        if not smallest <= k <= self.clusters_:
            raise ValueError(
                f"cut(k={k!r}): there is a classifier for each k from {smallest} to {self.clusters_}"
            )
        chosen = self._members[self.clusters_ - k][:k]
        return LinearClassifier(self._weight[chosen], self._bias[chosen], labels)

    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, n_clusters) scores of the support vector machines: positive = inside."""
        return self.cut(self.n_clusters).scores(features)

    def gaps(self) -> NDArray[np.float64]:
        """(merges, 2) how far ahead each choice was, in IoU and in ECoS.

        That is second lowest less lowest IoU, and highest less second highest ECoS. Where either is near 0,
        another seed may well merge otherwise.
        """
        found = []
        for step, (k, _, removed) in enumerate(self.merges_):
            iou = np.sort(self.iou_[step, :k])
            ecos = np.sort(np.delete(self.ecos_[step, :k], removed))
            gap = ecos[-1] - ecos[-2] if k > 2 else np.inf
            found.append((iou[1] - iou[0], gap))
        return np.array(found).reshape(-1, 2)

    def state(self) -> dict[str, NDArray[Any]]:
        self._check_fitted()
        return {
            "weight": self._weight,
            "bias": self._bias,
            "members": self._members,
            "merges": self.merges_,
            "nodes": self.nodes_,
            "iou": self.iou_,
            "ecos": self.ecos_,
            "sizes": self.sizes_,
            "chosen": np.array(self.chosen_),
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> KLiSH:
        self._weight = np.asarray(state["weight"])
        self._bias = np.asarray(state["bias"])
        self._members = np.asarray(state["members"])
        self.merges_ = np.asarray(state["merges"])
        self.nodes_ = np.asarray(state["nodes"])
        self.iou_ = np.asarray(state["iou"])
        self.ecos_ = np.asarray(state["ecos"])
        self.sizes_ = np.asarray(state["sizes"])
        self.clusters_ = self._members.shape[1]
        self.chosen_ = int(state["chosen"])
        self._first = None
        return self

    def _identity(self, blocks: FeatureBlocks, initial: ArrayLike | None) -> dict[str, Any]:
        """What makes a fit this one; all that a checkpoint must agree in."""
        names = [name for name in inspect.signature(KLiSH).parameters if name != "device"]
        given = None
        if initial is not None:
            given = hashlib.sha256(np.asarray(initial).astype(np.int64).tobytes()).hexdigest()
        return {
            **{name: getattr(self, name) for name in names},
            "rows of features": blocks.rows,
            "width of features": blocks.width,
            "features": blocks.fingerprint,
            "initial": given,
            "ranks": world(),
        }

    def _begin(self, blocks: FeatureBlocks, initial: ArrayLike | None) -> FitState:
        """Before the first training."""
        labels, start = self._partition(blocks, initial)
        found = self.filter_ if self.filter_sigma is not None and hasattr(self, "filter_") else {}
        return FitState(labels.cpu(), start, found, MergeTree(len(start)))

    def _partition(self, blocks: FeatureBlocks, initial: ArrayLike | None) -> tuple[Tensor, Planes]:
        """(N) labels by size, and the planes that training starts from."""
        if initial is None:
            self._trainings.begin("k-means")
            centres = self._kmeans(blocks)
            labels = nearest(blocks, centres, self.metric)
        else:
            labels = given_labels(initial, blocks, self._many)
            centres = class_means(blocks, labels, self._many)
        labels, order = by_size(blocks, labels, self._many)
        centres = centres[order.to(centres.device)]  # (K0, D)
        if self.filter_sigma is not None and len(centres) > 1:
            ahead = self._trainings.of_merges(len(centres)) + 2 * len(centres)
            self._trainings.begin("training of the clusters to be filtered", ahead)
            found = filtered(blocks, labels, centres, self._solver(), self.filter_sigma, self.metric)
            self.filter_ = dict(iou=found["iou"], kept=found["kept"])
            labels, order = by_size(blocks, found["labels"], len(found["centres"]))
            centres = found["centres"][order.to(centres.device)]
        return labels, centre_planes(centres, self.metric)

    def _without_place(self, blocks: FeatureBlocks, places: ArrayLike | None) -> FeatureBlocks:
        """The features without the directions that say most of place within clusters of k-means.

        Planes trained on them lie in what is left, so that they score features as they are alike.
        """
        known = given_places(places, blocks.rows)
        self._trainings.begin("where pixels lie")
        labels = nearest(blocks, self._kmeans(blocks), self.metric)
        directions = place_directions(blocks, known, labels, self._many, int(self.drop_place or 0))
        left: Any = WithoutPlace(blocks, directions)
        if blocks.rows * blocks.width * blocks.dtype.itemsize <= IN_MEMORY:
            left = torch.cat(list(left))
        return FeatureBlocks(left, self.precision, blocks.device, blocks.rounded)

    def _kmeans(self, blocks: FeatureBlocks) -> Tensor:
        return kmeans(
            blocks,
            self._many,
            self.seed,
            self.metric,
            self.kmeans_steps,
            self.kmeans_tolerance,
            self.kmeans_restarts,
            self.kmeans_sample,
        )

    def _merge(self, blocks: FeatureBlocks, state: FitState, file: Checkpoint) -> None:
        """Algorithm 1 from where ``state`` stands; its tree grows, and is saved now and then."""
        labels = state.labels.to(blocks.device, copy=True)  # the loop changes these, not the state's
        loop = self.loop(blocks, labels, state.start.to(blocks.device), self._solver())
        if state.tree.members:
            self._trainings.begin("confidences", self._trainings.of_merges(state.tree.smallest))
            loop.resume(state.tree)
        else:
            clusters = state.tree.clusters
            self._trainings.begin("first training", clusters + self._trainings.of_merges(clusters))
        state.tree = loop.tree

        def after_step(tree: MergeTree) -> None:
            self._trainings.begin(f"merging, {tree.smallest} clusters left")
            file.save(state)

        loop.run(Stop(self._last, self.stop_iou), after_step)

    def _counted(self, progress: Report) -> Trainings:
        return Trainings(progress, self.solver == "joint", self._last)

    @property
    def _last(self) -> int:
        """K at which merging ends at the latest."""
        return 1 if self.first is None else self.clusters

    @property
    def _many(self) -> int:
        """K0 before the filter."""
        return self.first or self.clusters

    def _solver(self) -> Solver:
        if self.solver == "joint":
            return JointSolver(self.C, self.joint_calls, biased=self.bias, trained=self._trainings.add)
        return NewtonSolver(self.C, self.tolerance, self.max_passes, self.bias, trained=self._trainings.add)

    def _keep(self, state: FitState) -> None:
        """The tree as arrays."""
        tree = state.tree
        planes = join(tree.planes)
        self.clusters_ = tree.clusters
        self.passes_ = tree.passes
        self._first = state.labels.numpy()
        if state.filter:
            self.filter_ = state.filter
        # ranks may round differently on unlike machines: all keep the first rank's planes
        self._weight = from_main(planes.weight.numpy())
        self._bias = from_main(planes.bias.numpy())
        self._members = _padded(tree.members, tree.clusters, -1).astype(np.int64)
        self.merges_ = np.array(tree.merges, dtype=np.int64).reshape(-1, 3)
        self.nodes_ = np.array(tree.nodes, dtype=np.int64).reshape(-1, 3)
        self.iou_ = _padded(tree.iou, tree.clusters, np.nan)
        self.ecos_ = _padded(tree.ecos, tree.clusters, np.nan)
        self.sizes_ = _padded(tree.sizes, tree.clusters, 0).astype(np.int64)
        self.seconds_ = np.array(tree.seconds)
        told = self.first is not None or self.stop_iou is not None
        self.chosen_ = max(tree.smallest, 1) if told else tree.clusters
        self.labels_ = self.cut(self.chosen_).labels_

    def _check_fitted(self) -> None:
        if not hasattr(self, "_members"):
            raise ValueError("KLiSH has found no clusters yet: call fit(features) or load_state(state) first")


def _check_stop(clusters: int, first: int | None, stop_iou: float | None) -> None:
    check_whole(clusters, **given(first=first))  # merging only makes fewer
    check_in("(0, 1]", **given(stop_iou=stop_iou))  # it is compared with an IoU


def _padded(rows: list[Any], width: int, filler: float) -> NDArray[np.float64]:
    """(steps, width) rows of K0, K0 - 1, ... numbers, filled up at the right."""
    table = np.full((len(rows), width), filler, dtype=np.float64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table
