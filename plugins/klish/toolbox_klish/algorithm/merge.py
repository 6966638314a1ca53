"""The merge loop: the least separable cluster joins its most confused one (KLiSH, algorithm 1).

A merge, from its choice to the merged plane, reads in this order:

1. :meth:`MergeLoop.choose`: p = argmin IoU (eq. 4), q = argmax ECoS with p (eq. 5), both from
   :mod:`toolbox_klish.algorithm.measures`;
2. :meth:`MergeLoop.merge`: the rows of p become rows of q;
3. :meth:`MergeLoop.train`: the solver trains q's support vector machine (eq. 3;
   :mod:`toolbox_klish.algorithm.solvers`, :mod:`toolbox_klish.svm.working_set`,
   :mod:`toolbox_klish.svm.newton`), and one pass over the features renews q's scores.
"""

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
from toolbox_klish.svm.planes import Planes


@dataclass
class MergeTree:
    """The record of every step: steps count from 0, at K = K0, K0 - 1, ...

    Classes are numbered by their place in the list of those present. It is sorted by size at the start,
    largest first. When p is removed, the places after it move up by one.

    Attributes:
        clusters: K0.
        merges: rows (K, kept, removed).
        nodes: rows (node of the kept, node of the removed, new node): leaves are 0..K0-1, each merge makes
            the next number.
        iou: (K) of each step, in the order of the list.
        sizes: (K) rows of each class, likewise.
        ecos: (K) of each merge: the removed class with every other, 0 with itself.
        planes: every plane ever trained, in one part for each training.
        members: (K) of each step: which of all these planes belong to it.
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


def union_places(merges: Any, clusters: int, k: int) -> NDArray[np.int64]:
    """(K0) place among K classes of each first cluster, after merges with rows (K, kept, removed)."""
    place = np.arange(clusters)
    for before, kept, removed in merges:
        if before > k:
            place[place == removed] = kept
            place[place > removed] -= 1
    return place


@dataclass(frozen=True)
class Stop:
    """When the loop ends early: at K = ``clusters``, or when every IoU reaches ``iou``."""

    clusters: int = 1
    iou: float | None = None

    def __call__(self, iou: NDArray[np.float64]) -> bool:
        """Whether to stop at the step whose classes have these IoUs (K)."""
        separable = self.iou is not None and float(iou.min()) >= self.iou
        return len(iou) <= self.clusters or separable


class MergeLoop:
    """One run of algorithm 1 from a partition.

    Args:
        blocks: features of this rank.
        labels: (N of this rank) clusters, numbered by size, largest first; changed in place.
        start: planes that the first training starts from, one for each cluster.
        solver: trains the support vector machines.

    Attributes:
        present: the first clusters that are left, each standing for all that it has taken in.
        planes: (K0) of each first cluster, current for those that are present.
        tree: the record.
    """

    def __init__(self, blocks: FeatureBlocks, labels: Tensor, start: Planes, solver: Solver) -> None:
        self.blocks = blocks
        self.labels = labels
        self.solver = solver
        self.planes = Planes(start.weight.double(), start.bias.double())
        self.present = list(range(len(start)))
        self.tree = MergeTree(len(start))
        self.separability = Separability(blocks, labels, len(start))
        self._began = time.perf_counter()
        self._plane_of = [0] * len(start)  # number in the tree of each cluster's latest plane
        self._node_of = list(range(len(start)))

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
            if len(self.present) > 1:  # one cluster has no other to be told from
                self.train(self.solver.stale(self.present, kept))
                self._record()
        save(self.tree)
        return self.tree

    def choose(self) -> tuple[int, int]:
        """(kept, removed): q = argmax ECoS with p (eq. 5), p = argmin IoU (eq. 4); of equals the first."""
        removed = self.present[int(np.argmin(self.tree.iou[-1]))]
        ecos = self.separability.ecos(removed, self.present).cpu().numpy()  # (K)
        ecos[self.present.index(removed)] = 0.0
        self.tree.ecos.append(ecos)
        others = np.where(np.array(self.present) == removed, -1.0, ecos)  # p never joins itself
        kept = self.present[int(np.argmax(others))]
        return kept, removed

    def merge(self, kept: int, removed: int) -> None:
        """Give the removed cluster's rows to the kept one, and write it down."""
        sizes = self.separability.sizes
        share = float(sizes[removed] / (sizes[removed] + sizes[kept]))
        start = self.solver.start(self.planes[[kept]], self.planes[[removed]], share)
        self.planes.weight[kept] = start.weight[0]
        self.planes.bias[kept] = start.bias[0]
        places = self.present.index(kept), self.present.index(removed)
        self.tree.merges.append((len(self.present), *places))
        new = self.tree.clusters + len(self.tree.nodes)
        self.tree.nodes.append((self._node_of[kept], self._node_of[removed], new))
        self._join(kept, removed)

    def train(self, classes: list[int]) -> None:
        """Support vector machines of some classes, and their scores of all rows."""
        chosen = torch.tensor(classes, device=self.blocks.device)
        found = self.solver.train(self.blocks, self.labels, classes, self.planes[chosen])
        self.planes.weight[chosen] = found.weight
        self.planes.bias[chosen] = found.bias
        self.separability.renew(self.labels, [(classes, found)])
        known = sum(map(len, self.tree.planes))
        for number, which in enumerate(classes):
            self._plane_of[which] = known + number
        self.tree.planes.append(Planes(found.weight.cpu(), found.bias.cpu()))

    def resume(self, tree: MergeTree) -> None:
        """Stand where a loop from the same partition stood when it saved ``tree``, to the bit.

        Go on with :meth:`run`. Confidences are not saved but computed again, by the same products that they
        came from: one pass.
        """
        self.tree = tree
        self.solver.passes = tree.passes
        self._began = time.perf_counter() - tree.seconds[-1]
        trained = [list(self.present)]  # the classes of each training
        for _, kept, removed in tree.merges:
            p, q = self.present[removed], self.present[kept]
            self._join(q, p)
            trained.append(list(self.solver.stale(self.present, q)))
        # not strict, here and below: once all is one cluster, there is no plane for it
        for which, plane in zip(self.present, tree.members[-1], strict=False):
            self._plane_of[which] = plane
        groups = []
        for classes, saved in zip(trained, tree.planes, strict=False):
            planes = saved.to(self.blocks.device)
            self.planes.weight[classes] = planes.weight
            self.planes.bias[classes] = planes.bias
            groups.append((classes, planes))
        self.separability.renew(self.labels, groups)

    def _join(self, kept: int, removed: int) -> None:
        self.labels[self.labels == removed] = kept
        self.separability.merge(kept, removed)
        self.present.remove(removed)
        # the m-th merge makes node K0 + m - 1, and leaves K0 - m present
        self._node_of[kept] = 2 * self.tree.clusters - 1 - len(self.present)

    def _record(self) -> None:
        self.tree.iou.append(self.separability.iou(self.present).cpu().numpy())
        self.tree.seconds.append(time.perf_counter() - self._began)
        self.tree.sizes.append(self.separability.sizes[self.present].cpu().numpy())
        self.tree.members.append([self._plane_of[which] for which in self.present])
        self.tree.passes = self.solver.passes
