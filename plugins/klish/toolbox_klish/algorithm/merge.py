"""The merge loop: the least separable cluster joins the one it is confused with most (KLiSH, algorithm 1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox_klish.algorithm.measures import Separability
from toolbox_klish.algorithm.solvers import Solver
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.planes import Planes, join


@dataclass
class MergeTree:
    """The record of every step. Steps count from 0, at K = K0, K0 - 1, ...; classes by their place in the
    list of those present.

    The list is sorted by size at the start, largest first. When p is removed, the places after it move up by
    one.

    Attributes:
        clusters: K0.
        merges: rows (K, kept, removed).
        nodes: rows (node of the kept, node of the removed, new node): leaves are 0..K0-1, each merge makes
            the next number.
        iou: (K) of each step, in the order of the list. sizes: (K) rows of each class, likewise.
        ecos: (K) of each merge: the removed class with every other, 0 with itself.
        planes: every plane ever trained. members: (K) of each step: which of them belong to it.
        passes: evaluations of all rows, of one class or of several, that training took.
        seconds: when each step's record was made, since the loop began: the first training, then a merge
            each.
    """

    clusters: int
    merges: list[tuple[int, int, int]] = field(default_factory=list)
    nodes: list[tuple[int, int, int]] = field(default_factory=list)
    iou: list[NDArray[np.float64]] = field(default_factory=list)
    sizes: list[NDArray[np.int64]] = field(default_factory=list)
    ecos: list[NDArray[np.float64]] = field(default_factory=list)
    planes: list[Planes] = field(default_factory=list)
    members: list[list[int]] = field(default_factory=list)
    passes: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def smallest(self) -> int:
        """The least K of which there is a classifier."""
        return self.clusters - len(self.members) + 1

    def planes_at(self, k: int) -> Planes:
        """The planes of the K classes."""
        return join(self.planes)[self.members[self.clusters - k]]

    def places(self, k: int) -> NDArray[np.int64]:
        """(K0) place, in the list of K classes, of each of the first K0."""
        return union_places(self.merges, self.clusters, k)


def union_places(merges: Any, clusters: int, k: int) -> NDArray[np.int64]:
    """(K0) place among K classes of each first cluster, after merges with rows (K, kept, removed)."""
    place = np.arange(clusters)
    for _, kept, removed in [merge for merge in merges if merge[0] > k]:
        place[place == removed] = kept
        place[place > removed] -= 1
    return place


@dataclass(frozen=True)
class Stop:
    """When the loop ends before two clusters have become one: at K = ``clusters``, or when every IoU reaches
    ``iou``.
    """

    clusters: int = 1
    iou: float | None = None

    def __call__(self, iou: NDArray[np.float64]) -> bool:
        return len(iou) <= self.clusters or (self.iou is not None and float(iou.min()) >= self.iou)


class MergeLoop:
    """One run of algorithm 1 from a partition.

    Args:
        blocks: features of this rank.
        labels: (N of this rank) clusters, numbered by size, largest first; changed in place.
        start: planes that the first training starts from, one for each cluster.
        solver: trains the support vector machines.
    """

    def __init__(self, blocks: FeatureBlocks, labels: Tensor, start: Planes, solver: Solver) -> None:
        self.blocks, self.labels, self.solver = blocks, labels, solver
        self.planes = Planes(start.weight.double(), start.bias.double())
        self.present, self.tree = list(range(len(start))), MergeTree(len(start))
        self.separability = Separability(blocks, labels, len(start))
        self._began = time.perf_counter()
        self._plane_of, self._node_of = [0] * len(start), list(range(len(start)))

    def run(self, stop: Stop, save: Callable[[MergeTree], None] = lambda tree: None) -> MergeTree:
        """All steps that are still to do; what is recorded at K was trained before the merge at K.

        ``save`` is called with the tree after every step: whoever keeps it can :meth:`resume` there.
        """
        if not self.tree.members:
            self.train(self.present)
            self._record()
        while len(self.present) > 1 and not stop(self.tree.iou[-1]):
            save(self.tree)
            kept, removed = self.choose()
            self.merge(kept, removed)
            if len(self.present) > 1:
                self.train(self.solver.stale(self.present, kept))
                self._record()
        save(self.tree)
        return self.tree

    def resume(self, tree: MergeTree) -> None:
        """Stand where a loop from the same partition stood when it saved ``tree``, to the bit: go on with
        :meth:`run`.

        Confidences are not saved but computed again, by the same products that they came from: one pass.
        """
        self.tree, self.solver.passes = tree, tree.passes
        self._began = time.perf_counter() - tree.seconds[-1]
        trained = [list(self.present)]
        for _, kept, removed in tree.merges:
            p, q = self.present[removed], self.present[kept]
            self._join(q, p)
            trained.append(list(self.solver.stale(self.present, q)))
        for which, plane in zip(
            self.present, tree.members[-1], strict=False
        ):  # once all is one, there is no plane for it
            self._plane_of[which] = plane
        groups = [
            (classes, planes.to(self.blocks.device))
            for classes, planes in zip(trained, tree.planes, strict=False)
        ]
        for classes, planes in groups:
            self.planes.weight[classes], self.planes.bias[classes] = planes.weight, planes.bias
        self.separability.renew(self.labels, groups)

    def train(self, classes: list[int]) -> None:
        """Support vector machines of some classes, and their scores of all rows."""
        chosen = torch.tensor(classes, device=self.blocks.device)
        found = self.solver.train(self.blocks, self.labels, classes, self.planes[chosen])
        self.planes.weight[chosen], self.planes.bias[chosen] = found.weight, found.bias
        self.separability.renew(self.labels, [(classes, found)])
        known = sum(map(len, self.tree.planes))
        for number, which in enumerate(classes):
            self._plane_of[which] = known + number
        self.tree.planes.append(Planes(found.weight.cpu(), found.bias.cpu()))

    def choose(self) -> tuple[int, int]:
        """(kept, removed): p = argmin IoU, q = argmax ECoS with p; of equals the first."""
        removed = self.present[int(np.argmin(self.tree.iou[-1]))]
        ecos = self.separability.ecos(removed, self.present).cpu().numpy()
        ecos[self.present.index(removed)] = 0.0
        self.tree.ecos.append(ecos)
        others = np.where(np.array(self.present) == removed, -1.0, ecos)
        return self.present[int(np.argmax(others))], removed

    def merge(self, kept: int, removed: int) -> None:
        """Give the removed cluster's rows to the kept one, and write it down."""
        share = float(
            self.separability.sizes[removed]
            / (self.separability.sizes[removed] + self.separability.sizes[kept])
        )
        start = self.solver.start(self.planes[[kept]], self.planes[[removed]], share)
        self.planes.weight[kept], self.planes.bias[kept] = start.weight[0], start.bias[0]
        self.tree.merges.append((len(self.present), self.present.index(kept), self.present.index(removed)))
        self.tree.nodes.append(
            (self._node_of[kept], self._node_of[removed], self.tree.clusters + len(self.tree.nodes))
        )
        self._join(kept, removed)

    def _join(self, kept: int, removed: int) -> None:
        self.labels[self.labels == removed] = kept
        self.separability.merge(kept, removed)
        self.present.remove(removed)
        self._node_of[kept] = 2 * self.tree.clusters - 1 - len(self.present)

    def _record(self) -> None:
        self.tree.iou.append(self.separability.iou(self.present).cpu().numpy())
        self.tree.seconds.append(time.perf_counter() - self._began)
        self.tree.sizes.append(self.separability.sizes[self.present].cpu().numpy())
        self.tree.members.append([self._plane_of[which] for which in self.present])
        self.tree.passes = self.solver.passes
