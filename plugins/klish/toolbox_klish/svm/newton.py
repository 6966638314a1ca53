"""One-vs-rest support vector machines with the squared hinge, by a primal Newton method (KLiSH, eq. 3).

    J_k(w, b) = 1/2 |w|^2 + C/N sum_n max(0, 1 - y_n s_n)^2
    s_n = w . x_n + b,    y_n = +1 inside class k, -1 outside

The hinge is a mean over all rows, so that C does not depend on their number; b is not regularised. With
I = {n: y_n s_n < 1}, the rows inside the margin, and e_n = s_n - y_n on I, 0 elsewhere,

    dJ/d[w b]    = [w 0] + 2C/N sum_n e_n [x_n 1]
    d2J/d[w b]^2 = diag(1, ..., 1, 0) + 2C/N sum_{n in I} [x_n 1] [x_n 1]^T

As long as no row crosses its margin J is quadratic: Newton's step goes to the minimum of that quadratic, and
an exact search along it needs the rows' scores only. Everything is a sum over rows: of blocks that need not
fit in memory together, and of ranks. A Hessian of rounded products changes the steps, not where they end:
gradients and the search are never rounded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.planes import Planes, join
from toolbox_klish.svm.products import second_moments, times_vector

TOLERANCE = {torch.float32: 1e-8, torch.float64: 1e-13}  # of the gap J - min J, relative to J
TOGETHER = 16  # classes trained in the same passes: bounds the memory for scores
_SEARCH_STEPS = 30  # of the search along a line; it needs about 5


class NotConverged(UserWarning):
    """Support vector machines that used up their passes."""


def train_on_all(
    blocks: FeatureBlocks,
    labels: Tensor,
    classes: list[int],
    start: Planes,
    C: float,
    tolerance: float | None = None,
    max_passes: int = 100,
    biased: bool = True,
) -> tuple[Planes, int]:
    """As :func:`toolbox_klish.svm.working_set.train`, every step over all rows.

    For small sets, and where most rows matter.
    """
    tolerance = TOLERANCE[blocks.dtype] if tolerance is None else tolerance
    found = []
    passes = 0
    for first in range(0, len(classes), TOGETHER):
        part = list(range(first, min(first + TOGETHER, len(classes))))
        newton = Newton(blocks, labels, [classes[i] for i in part], start[part], C, biased)
        passes += newton.run(tolerance, max_passes)
        found.append(newton.planes)
    return join(found), passes


class Rows(Protocol):
    """What Newton's method reads: all features of this rank, or those that were gathered.

    See :class:`toolbox_klish.svm.blocks.FeatureBlocks`, and
    :class:`toolbox_klish.svm.working_set.WorkingSet`, whose ``total`` is that of all features.
    """

    total: int
    width: int
    dtype: torch.dtype
    device: torch.device
    rounded: bool

    @property
    def rows(self) -> int:
        """Rows on this rank."""

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """(which rows, their features (n, D))."""

    def sum(self, value: Tensor) -> Tensor:
        """Elementwise sum over ranks."""

    def moments(self) -> Tensor:
        """(D + 1, D + 1) sum of [x 1] [x 1]^T over this rank's rows, float64."""


class Newton:
    """Newton's method for several classes side by side.

    Args:
        blocks, labels, classes, start, C, biased: as for :func:`toolbox_klish.svm.working_set.train`.

    Attributes:
        signs: (k, N of this rank) y.
        points: (k, D + 1) [w b] of each class, float64.
        scores: (k, N of this rank) s, kept up to date.
        factor: 2 C / N.
    """

    def __init__(
        self, blocks: Rows, labels: Tensor, classes: list[int], start: Planes, C: float, biased: bool
    ) -> None:
        self.blocks = blocks
        self.factor = 2 * C / blocks.total
        self.biased = biased
        wanted = torch.tensor(classes, device=blocks.device)
        self.signs = (labels[None] == wanted[:, None]).to(blocks.dtype).mul_(2).sub_(1)
        self.points = torch.cat([start.weight, start.bias[:, None]], dim=1).double()
        self.scores = along(blocks, self.points)

    @property
    def planes(self) -> Planes:
        """The planes reached."""
        return Planes(self.points[:, :-1], self.points[:, -1])

    def run(self, tolerance: float, max_passes: int) -> int:
        """Go on until J is as near its minimum as asked for; returns the passes over the features."""
        todo = list(range(len(self.points)))
        passes = 1  # the scores of the start
        while todo and passes < max_passes:
            steps, left = self._steps(todo)
            ended = left <= tolerance * self.values(todo)  # left is twice J - min J of the quadratic
            for i, step, end in zip(todo, steps, ended.tolist(), strict=True):
                if end:  # so near that no row crosses its margin: the full step is the minimum
                    self.points[i] += step
            todo = [i for i, end in zip(todo, ended.tolist(), strict=True) if not end]
            passes += 1
            if todo:
                self._move(todo, steps[~ended])
                passes += 1
        if todo:
            warnings.warn(
                f"{len(todo)} of {len(self.points)} support vector machines did not converge in "
                f"max_passes={max_passes} passes: raise it, or lower C",
                NotConverged,
                stacklevel=3,
            )
        return passes

    def _steps(self, todo: list[int]) -> tuple[Tensor, Tensor]:
        """(k, D + 1) Newton's step of each class, and (k) twice what it promises to gain."""
        free = self.blocks.width + int(self.biased)  # without a bias its step stays 0
        steps = torch.zeros_like(self.points[todo])
        left = []
        for step, (gradient, hessian) in zip(steps, self._derivatives(todo), strict=True):
            step[:free] = -_solve(hessian[:free, :free], gradient[:free])
            left.append(-(gradient[:free] @ step[:free]))
        return steps, torch.stack(left)

    def _derivatives(self, todo: list[int]) -> list[tuple[Tensor, Tensor]]:
        """Gradient (D + 1) and Hessian (D + 1, D + 1) of J by [w b], of each class, summed over ranks.

        Only rows inside the margin count. Where they are the majority, the Hessian is that of all rows less
        the others': each rank may choose for itself, since only the sums are shared.
        """
        signs = self.signs[todo]
        scores = self.scores[todo]
        errors = torch.where(signs * scores < 1, scores - signs, 0.0)  # (k, N of this rank)
        most = (2 * (errors != 0).sum(dim=1) > errors.shape[1]).tolist()
        gradients, hessians = _sums(self.blocks, errors, most)
        for hessian, flipped in zip(hessians, most, strict=True):
            if flipped:
                hessian += self.blocks.moments()
        found = []
        for i, gradient, hessian in zip(todo, gradients, hessians, strict=True):
            own = torch.cat([gradient[None], hessian])  # summed over ranks at once
            both = self.factor * self.blocks.sum(own)
            both[0, :-1] += self.points[i, :-1]  # of 1/2 |w|^2
            both[1:].diagonal()[:-1] += 1.0  # likewise; b is not regularised
            found.append((both[0], both[1:]))
        return found

    def values(self, todo: list[int]) -> Tensor:
        """(k) J of each class."""
        short = (1 - self.signs[todo] * self.scores[todo]).clamp_min(0)
        hinge = short.square().sum(dim=1, dtype=torch.float64)
        penalty = 0.5 * self.points[todo, :-1].square().sum(dim=1)
        return penalty + 0.5 * self.factor * self.blocks.sum(hinge)

    def _move(self, todo: list[int], steps: Tensor) -> None:
        """To the minimum of J along each step (k, D + 1)."""
        signs = self.signs[todo]
        slopes = signs * along(self.blocks, steps)  # of y s by the length of the step
        margins = 1 - signs * self.scores[todo]
        weights = self.points[todo, :-1]
        inner = (weights * steps[:, :-1]).sum(dim=1), steps[:, :-1].square().sum(dim=1)
        lengths = line_search(margins, slopes, inner, self.factor, self.blocks.sum)
        self.points[todo] += lengths[:, None] * steps
        self.scores[todo] += signs * slopes * lengths[:, None].to(slopes)  # y y = 1: the slopes of s


def along(blocks: Rows, points: Tensor) -> Tensor:
    """(k, N of this rank) w . x + b of each of the points [w b] (k, D + 1): one pass over the features."""
    weight = points[:, :-1].to(blocks.dtype)
    bias = points[:, -1:].to(blocks.dtype)
    scores = torch.empty(len(points), blocks.rows, dtype=blocks.dtype, device=blocks.device)
    for at, x in blocks:
        if len(points) == 1:  # after a merge: numpy's product with a vector is the faster one
            scores[:, at] = times_vector(x, weight[0])[None]
        else:
            scores[:, at] = weight @ x.T
    return scores.add_(bias)


def line_search(
    margins: Tensor,
    slopes: Tensor,
    inner: tuple[Tensor, Tensor],
    factor: float,
    total: Callable[[Tensor], Tensor],
) -> Tensor:
    """(k) the lengths t that minimise 1/2 |w + t d|^2 + factor/2 sum_n max(0, m_n - t r_n)^2.

    The derivative is piecewise linear in t and rises: Newton's method on it, kept inside the interval where
    it changes its sign, by halves where a step would leave that.

    Args:
        margins: (k, N of this rank) m, what is missing to the margin.
        slopes: (k, N of this rank) r, how fast the step closes it.
        inner: (k) w . d and (k) d . d.
        factor: 2 C / N.
        total: sums over ranks.
    """
    low = torch.zeros_like(inner[0])
    high = torch.full_like(inner[0], torch.inf)
    t = torch.ones_like(low)
    for _ in range(_SEARCH_STEPS):
        short = (margins - t[:, None].to(margins) * slopes).clamp_min(0)
        closing = torch.where(short > 0, slopes, 0.0)
        first = (short * closing).sum(dim=1, dtype=torch.float64)
        second = closing.square().sum(dim=1, dtype=torch.float64)
        first, second = total(torch.stack([first, second]))
        derivative = inner[0] + t * inner[1] - factor * first
        curvature = (inner[1] + factor * second).clamp_min(1e-300)
        low = torch.where(derivative < 0, t, low)
        high = torch.where(derivative > 0, t, high)
        following = t - derivative / curvature
        outside = (following <= low) | (following >= high)
        between = torch.where(torch.isfinite(high), (low + high) / 2, 2 * t)
        following = torch.where(outside, between, following)
        if bool(((following - t).abs() <= 1e-3 * t).all()):
            break
        t = following
    return t


def _sums(blocks: Rows, errors: Tensor, most: list[bool]) -> tuple[Tensor, Tensor]:
    """(k, D + 1) of e_n [x_n 1], and (k, D + 1, D + 1) of [x_n 1] [x_n 1]^T: sums over this rank's rows.

    One pass. The second is over the rows with an error; where ``most`` have one, minus that over the rows
    without.

    Args:
        errors: (k, N of this rank) e.
        most: of each class, whether more than half of the rows have one.
    """
    gradients = torch.zeros(len(errors), blocks.width + 1, dtype=torch.float64, device=blocks.device)
    hessians = gradients.new_zeros(len(errors), blocks.width + 1, blocks.width + 1)
    for at, x in blocks:
        for error, flipped, gradient, hessian in zip(errors[:, at], most, gradients, hessians, strict=True):
            rows = ((error == 0) if flipped else error).nonzero()[:, 0]
            chosen = x[rows]
            if flipped:  # most rows have an error: x as it is, no copy
                gradient[:-1] += times_vector(x.T, error)
            else:
                gradient[:-1] += times_vector(chosen.T, error[rows])
            if len(rows):
                hessian.add_(second_moments(chosen, blocks.rounded), alpha=-1 if flipped else 1)
    gradients[:, -1] = errors.sum(dim=1, dtype=torch.float64)
    return gradients, hessians


def _solve(hessian: Tensor, gradient: Tensor) -> Tensor:
    """H^-1 g, by Cholesky.

    The bias alone may be flat (no row inside the margin): a small number on the diagonal then keeps H
    invertible.
    """
    jitter = 1e-12 * float(hessian.diagonal().amax())
    identity = torch.eye(len(hessian), dtype=hessian.dtype, device=hessian.device)
    while True:
        factor, failed = torch.linalg.cholesky_ex(hessian + jitter * identity)
        if not int(failed):
            return torch.cholesky_solve(gradient[:, None], factor)[:, 0]
        jitter *= 100
