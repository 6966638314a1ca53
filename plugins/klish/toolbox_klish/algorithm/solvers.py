"""What has to be trained after a merge, and by what: the merged class alone, by Newton's method.

:mod:`toolbox_klish.algorithm.joint` is the authors' way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from toolbox_klish.svm import working_set
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.newton import TOGETHER
from toolbox_klish.svm.planes import Planes, join


def ignore(classes: int) -> None:
    """Nobody asks how many classes were trained."""


class Solver(Protocol):
    """Trains after each merge what has to be trained."""

    passes: int  # evaluations of all rows so far, of one class or of several

    def stale(self, present: list[int], merged: int) -> list[int]:
        """The classes to train again after a merge, of those present."""

    def start(self, kept: Planes, removed: Planes, share: float) -> Planes:
        """Where a merged class starts from, given its parts; ``share`` of its rows were the removed one's."""

    def train(self, blocks: FeatureBlocks, labels: Tensor, classes: list[int], start: Planes) -> Planes:
        """Planes of the classes, each against all other rows."""


@dataclass
class NewtonSolver:
    """Only the merged class is trained, to the minimum.

    Eq. 3 is a sum over classes of functions that depend on that class's rows alone, so a merge of p and q
    leaves the minimum of every other class where it was.

    Attributes:
        trained: told of every few classes that were trained.
    """

    C: float
    tolerance: float | None = None
    max_passes: int = 100
    biased: bool = True
    passes: int = 0
    trained: Callable[[int], None] = ignore

    def stale(self, present: list[int], merged: int) -> list[int]:
        """The merged class alone."""
        return [merged]

    def start(self, kept: Planes, removed: Planes, share: float) -> Planes:
        """The sum: its scores are about +1 in both parts and -1 outside."""
        shift = 1.0 if self.biased else 0.0  # the scores of p and q add up to 0 in either, to -2 outside
        return Planes(kept.weight + removed.weight, kept.bias + removed.bias + shift)

    def train(self, blocks: FeatureBlocks, labels: Tensor, classes: list[int], start: Planes) -> Planes:
        """Newton's method (:func:`toolbox_klish.svm.working_set.train`), a few classes at a time."""
        found = []
        for first in range(0, len(classes), TOGETHER):
            places = list(range(first, min(first + TOGETHER, len(classes))))
            some = [classes[i] for i in places]
            planes, passes = working_set.train(
                blocks, labels, some, start[places], self.C, self.tolerance, self.max_passes, self.biased
            )
            found.append(planes)
            self.passes += passes
            self.trained(len(some))
        return join(found)
