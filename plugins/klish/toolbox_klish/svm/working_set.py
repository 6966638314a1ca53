"""Newton's method on the rows that matter, exact all the same: few passes over features dear to read.

Only rows inside the margin (y s < 1) take part in J_k (eq. 3). Leaving others out makes it a lower bound;
where the minimum of that bound keeps every row left out beyond the margin, both are equal there, and it is
the minimum of J_k as well. So:

1. :meth:`WorkingSets._look`, one pass: gather the rows near the margin, and at first a sample that stands
   for the rest; the hinge of the rows left out says how far the bound may lie below J_k;
2. :meth:`WorkingSets._solve`, in memory: the minimum over the rows gathered;
3. again, until the rows left out do not matter. Rows are never let go, so that the bound only rises.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.newton import TOGETHER, TOLERANCE, Newton, NotConverged, train_on_all
from toolbox_klish.svm.planes import Planes, join
from toolbox_klish.svm.products import second_moments

# rows of the sample for each column: with too few, the first minimum leaves most other rows inside the margin
SAMPLE = 128
LEAST = 8 * SAMPLE  # rows for each column from which on gathering is worth it
REACH = 0.25  # rows so far beyond the margin are gathered with those inside
ROOM = {"cpu": 2**30, "cuda": 16 * 2**30}  # bytes, for the gathered rows of all classes trained together
_PART = 16_384  # rows that are kept in one piece at least


def train(
    blocks: FeatureBlocks,
    labels: Tensor,
    classes: list[int],
    start: Planes,
    C: float,
    tolerance: float | None = None,
    max_passes: int = 100,
    biased: bool = True,
) -> tuple[Planes, int]:
    """The planes of some classes, each against all other rows (eq. 3), and the passes that it took.

    Args:
        blocks: features of this rank.
        labels: (N of this rank) class of each row.
        classes: those to train; the others only serve as the rest.
        start: their planes to start from. The result does not depend on it.
        C: weight of the hinge.
        tolerance: relative gap between J and its minimum; default by the precision of the blocks.
        max_passes: after which it stops, with a warning.
        biased: whether the planes have a bias.
    """
    tolerance = TOLERANCE[blocks.dtype] if tolerance is None else tolerance
    if blocks.total < LEAST * blocks.width:
        return train_on_all(blocks, labels, classes, start, C, tolerance, max_passes, biased)
    found = []
    passes = 0
    for first in range(0, len(classes), TOGETHER):
        part = list(range(first, min(first + TOGETHER, len(classes))))
        sets = WorkingSets(blocks, labels, [classes[i] for i in part], start[part], C, biased)
        passes += sets.run(tolerance, max_passes)
        found.append(sets.planes)
    return join(found), passes


class WorkingSets:
    """The working sets of several classes; one pass looks through the rows for all of them.

    Args:
        blocks, labels, classes, start, C, biased: as for :func:`train`.
    """

    def __init__(
        self, blocks: FeatureBlocks, labels: Tensor, classes: list[int], start: Planes, C: float, biased: bool
    ) -> None:
        self.blocks = blocks
        self.labels = labels
        self.classes = classes
        self.C = C
        self.biased = biased
        self.planes = Planes(start.weight.double(), start.bias.double()).copy()
        room = ROOM["cuda" if blocks.device.type == "cuda" else "cpu"]
        limit = min(blocks.rows // 2, room // (len(classes) * blocks.width * blocks.dtype.itemsize))
        stride = blocks.total // (SAMPLE * blocks.width)  # at least 8: train() comes here from LEAST rows on
        self._sets = [WorkingSet(blocks, stride, limit) for _ in classes]

    def run(self, tolerance: float, max_passes: int) -> int:
        """Go on until no row left out matters; returns the passes over all rows.

        A class that needs too many rows starts again from the minimum over the sample; one that still does is
        trained on all.
        """
        todo = list(range(len(self.classes)))
        unfit: list[int] = []
        passes = 0
        bounds = [-1.0] * len(todo)  # no bound yet: below every hinge
        while todo and passes < max_passes:
            missing, full = self._look(todo, first=passes == 0)
            passes += 1
            unfit += [i for i in todo if full[i] and passes > 1]
            todo = [i for i in todo if i not in unfit and (full[i] or missing[i] > tolerance * bounds[i])]
            for i in todo:
                if full[i]:
                    self._sets[i].keep_sample()
                bounds[i] = self._solve(i, tolerance, max_passes, by_sample=full[i])
        if todo:
            warnings.warn(
                f"{len(todo)} of {len(self.classes)} support vector machines did not converge in "
                f"max_passes={max_passes} passes: raise it, or lower C",
                NotConverged,
                stacklevel=3,
            )
        return passes + self._train_on_all(unfit, tolerance, max_passes)

    def _look(self, todo: list[int], first: bool) -> tuple[dict[int, float], dict[int, bool]]:
        """Gather the rows near the margins, in one pass.

        Returns:
            Of each class: the hinge of the rows that had been left out, and whether those near the margin are
            too many on any rank. All ranks get the same, and so go on alike.
        """
        planes = self.planes[todo]
        sums = torch.zeros(2, len(todo), dtype=torch.float64, device=self.blocks.device)
        for at, x in self.blocks:
            scores = planes(x)
            for number, i in enumerate(todo):
                own = self.labels[at] == self.classes[i]
                margins = torch.where(own, 1 - scores[:, number], 1 + scores[:, number])
                sums[0, number] += self._sets[i].gather(at, x, self.labels[at], margins, first)
        sums[1] = torch.tensor([float(self._sets[i].full) for i in todo])
        hinge, full = self.blocks.sum(sums)
        missing = (hinge * self.C / self.blocks.total).tolist()
        too_many = (full > 0).tolist()
        return dict(zip(todo, missing, strict=True)), dict(zip(todo, too_many, strict=True))

    def _solve(self, i: int, tolerance: float, max_passes: int, by_sample: bool) -> float:
        """To the minimum over the rows gathered; returns it: a lower bound of J.

        ``by_sample``: each row gathered stands for ``stride`` rows, which gives no bound (-1).
        """
        rows = self._sets[i]
        C = self.C * rows.stride if by_sample else self.C
        newton = Newton(rows, rows.labels, [self.classes[i]], self.planes[[i]], C, self.biased)
        newton.run(tolerance, max_passes)
        self.planes.weight[i] = newton.planes.weight[0]
        self.planes.bias[i] = newton.planes.bias[0]
        return -1.0 if by_sample else float(newton.values([0]))

    def _train_on_all(self, unfit: list[int], tolerance: float, max_passes: int) -> int:
        if not unfit:
            return 0
        for i in unfit:
            self._sets[i].clear()
        classes = [self.classes[i] for i in unfit]
        start = self.planes[unfit]
        found, passes = train_on_all(
            self.blocks, self.labels, classes, start, self.C, tolerance, max_passes, self.biased
        )
        self.planes.weight[unfit] = found.weight
        self.planes.bias[unfit] = found.bias
        return passes


class WorkingSet:
    """The gathered rows of one class: what Newton's method reads in place of all of them.

    Args:
        blocks: all features of this rank.
        stride: every so many rows one belongs to the sample.
        limit: rows to hold at most, besides the sample.

    Attributes:
        total, width, dtype, device, rounded: of all the features: C / N of eq. 3 stays that of all rows.
        full: whether there were more rows than ``limit``.
    """

    def __init__(self, blocks: FeatureBlocks, stride: int, limit: int) -> None:
        self.total = blocks.total
        self.width = blocks.width
        self.dtype = blocks.dtype
        self.device = blocks.device
        self.rounded = blocks.rounded
        self.stride = stride
        self.full = False
        self._blocks = blocks
        self._limit = limit
        self._first = blocks.first
        self._chosen = torch.zeros(blocks.rows, dtype=torch.bool, device=blocks.device)
        self._sample: list[tuple[Tensor, Tensor]] = []  # features (n, D) and labels (n)
        self._near: list[tuple[Tensor, Tensor]] = []

    @property
    def rows(self) -> int:
        """Rows gathered on this rank."""
        return sum(len(labels) for _, labels in self._sample + self._near)

    @property
    def labels(self) -> Tensor:
        """(rows) class of each, in the order of the rows."""
        none = torch.zeros(0, dtype=torch.int64, device=self.device)
        return torch.cat([none, *(labels for _, labels in self._sample + self._near)])

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        start = 0
        for x, labels in self._sample + self._near:
            yield slice(start, start + len(labels)), x
            start += len(labels)

    def sum(self, value: Tensor) -> Tensor:
        """As :meth:`toolbox_klish.svm.blocks.FeatureBlocks.sum`."""
        return self._blocks.sum(value)

    def moments(self) -> Tensor:
        """As :meth:`toolbox_klish.svm.blocks.FeatureBlocks.moments`."""
        found = torch.zeros(self.width + 1, self.width + 1, dtype=torch.float64, device=self.device)
        for _, x in self:
            found += second_moments(x, self.rounded)
        return found

    def gather(self, at: slice, x: Tensor, labels: Tensor, margins: Tensor, first: bool) -> Tensor:
        """Take in the rows of a block near the margin, and at ``first`` the sample.

        Args:
            at: which of this rank's rows.
            x: (n, D).
            labels: (n).
            margins: (n) 1 - y s, what is missing to the margin.
            first: whether this is the first pass.

        Returns:
            Sum of max(0, 1 - y s)^2 over the rows that had been left out so far.
        """
        left_out = ~self._chosen[at]
        hinge = torch.where(left_out, margins, 0.0).clamp_min(0).square().sum(dtype=torch.float64)
        if first:
            sample = self._in_sample(at)
            self._take(self._sample, at, x, labels, sample)
            left_out &= ~sample
        if not self.full:
            self._take(self._near, at, x, labels, left_out & (margins > -REACH))
            self.full = sum(len(own) for _, own in self._near) > self._limit
        return hinge

    def keep_sample(self) -> None:
        """Let all rows go but the sample."""
        self._near = []
        self.full = False
        self._chosen = self._in_sample(slice(0, len(self._chosen)))

    def clear(self) -> None:
        """Let all rows go."""
        self._near = []
        self._sample = []

    def _in_sample(self, at: slice) -> Tensor:
        """(n) by number among the rows of all ranks, so that the sample is the same on any number of them."""
        return (torch.arange(at.start, at.stop, device=self.device) + self._first) % self.stride == 0

    def _take(
        self, parts: list[tuple[Tensor, Tensor]], at: slice, x: Tensor, labels: Tensor, wanted: Tensor
    ) -> None:
        """Append rows, to the last part as long as it is small."""
        self._chosen[at] |= wanted
        chosen = x[wanted]
        own = labels[wanted]
        if parts and len(parts[-1][1]) < _PART:
            before, known = parts.pop()
            chosen = torch.cat([before, chosen])
            own = torch.cat([known, own])
        if len(own):
            parts.append((chosen, own))
