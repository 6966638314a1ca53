"""How separable clusters are, and how much they are confused: IoU (KLiSH, eq. 4) and ECoS (eq. 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.planes import Planes

# of the confidences that are summed in single precision before double takes over
_COLUMNS = 65_536
_HALF_ABOVE = 4 * 2**30  # bytes of confidences above which they are kept in half precision
_SMALLEST = 1e-9  # of every denominator


class Separability:
    """Confidences c_nk of this rank's rows, kept between merges, and the counts that IoU needs.

    Counts are sums over all ranks; the confidences (K0, N of this rank) stay where their rows are.

    Attributes:
        sizes: (K0) rows of each class, over all ranks.
    """

    def __init__(self, blocks: FeatureBlocks, labels: Tensor, classes: int) -> None:
        large = classes * blocks.rows * blocks.dtype.itemsize > _HALF_ABOVE
        dtype = torch.float16 if large else blocks.dtype  # of numbers in [0, 1]: off by 2.5e-4 at most
        self._confidences = torch.zeros(classes, blocks.rows, dtype=dtype, device=blocks.device)
        self._blocks = blocks
        self._squares = torch.zeros(classes, dtype=torch.float64, device=blocks.device)
        self._inside = torch.zeros(classes, dtype=torch.int64, device=blocks.device)
        self._positive = torch.zeros_like(self._inside)
        self.sizes = count_labels(blocks, labels, classes)

    def renew(self, labels: Tensor, groups: list[tuple[list[int], Planes]]) -> None:
        """Score all rows with the planes of some classes, group by group: one pass over the features.

        A row is predicted inside class k where s_nk > 0. Of a class in several groups the last counts: its
        confidences are written over, group by group, so that each product is the one that training made.
        """
        found = [_Counts(classes, self._blocks) for classes, _ in groups]
        for at, x in self._blocks:
            for counts, (_, planes) in zip(found, groups, strict=True):
                confidences = counts.add(planes(x), labels[at])
                self._confidences[counts.classes, at] = confidences.to(self._confidences.dtype)
        for counts in found:
            inside, positive = self._blocks.sum(counts.numbers)
            self._inside[counts.classes] = inside
            self._positive[counts.classes] = positive
            self._squares[counts.classes] = self._blocks.sum(counts.squares)

    def iou(self, classes: list[int]) -> Tensor:
        """(K) IoU of the rows predicted inside each class with those that belong to it (eq. 4)."""
        wanted = torch.tensor(classes, device=self._blocks.device)
        inside = self._inside[wanted].double()
        union = self._positive[wanted] + self.sizes[wanted] - self._inside[wanted]
        return inside / union.clamp_min(1)

    def ecos(self, one: int, classes: list[int]) -> Tensor:
        """(K) cosine between the confidences of a class and of each of some classes (eq. 5).

        The squared lengths were summed when the scores were made; the products with ``one`` are new.
        """
        products = torch.zeros(len(self._confidences), dtype=torch.float64, device=self._blocks.device)
        for part in self._confidences.split(_COLUMNS, dim=1):
            part = part.to(self._blocks.dtype)  # (K0, at most _COLUMNS)
            products += part @ part[one]
        wanted = torch.tensor(classes, device=self._blocks.device)
        lengths = (self._squares[wanted] * self._squares[one]).sqrt()
        return self._blocks.sum(products)[wanted] / lengths.clamp_min(_SMALLEST)

    def merge(self, kept: int, removed: int) -> None:
        """The kept class now also counts the removed one's rows; its planes must be renewed."""
        self.sizes[kept] += self.sizes[removed]


class _Counts:
    """What IoU and ECoS need of the scores of some classes, summed over blocks of this rank's rows."""

    def __init__(self, classes: list[int], blocks: FeatureBlocks) -> None:
        self.classes = torch.tensor(classes, device=blocks.device)
        # (2, k) true positives, positives
        self.numbers = torch.zeros(2, len(classes), dtype=torch.int64, device=blocks.device)
        self.squares = torch.zeros(len(classes), dtype=torch.float64, device=blocks.device)

    def add(self, scores: Tensor, labels: Tensor) -> Tensor:
        """(k, n) confidences c = (clamp(s, -1, 1) + 1) / 2 of scores (n, k)."""
        positive = scores > 0
        self.numbers[0] += (positive & (labels[:, None] == self.classes)).sum(dim=0)
        self.numbers[1] += positive.sum(dim=0)
        confidences = ((scores.clamp(-1, 1) + 1) / 2).T
        self.squares += confidences.square().sum(dim=1)
        return confidences


def count_labels(blocks: FeatureBlocks, labels: Tensor, classes: int) -> Tensor:
    """(K) rows of each class over all ranks, int64."""
    return blocks.sum(torch.bincount(labels, minlength=classes))
