"""Losses that are not finite: no step is taken on one, and nobody waits for the device to find out."""

from __future__ import annotations

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from toolbox.training.game.optim_wrappers import ScaledOptimizer


class NotFiniteError(RuntimeError):
    """A loss became NaN or infinite; the optimiser has not stepped on it."""


class FiniteGate:
    """Remembers, on the device, the first iteration whose loss was not finite; from then on no weight moves.

    torch's fused optimisers take such a flag and leave the weights as they are. Others are asked to wait for
    the answer.

    Attributes:
        at_once: read the flag after every loss. None: on a CPU, where that costs nothing.
    """

    def __init__(self) -> None:
        self.at_once: bool | None = None
        self._first: Tensor | None = None  # 1 + the first such iteration, 0 = none

    def note(self, total: Tensor, iteration: int) -> None:
        """See the loss of a step, on its device."""
        now = (~torch.isfinite(total.detach())) * (iteration + 1)
        self._first = now if self._first is None else torch.where(self._first > 0, self._first, now)

    def reads_at_once(self, device: torch.device) -> bool:
        """Whether the flag is read after every loss."""
        return device.type == "cpu" if self.at_once is None else self.at_once

    def bad(self) -> Tensor | None:
        """1.0 where some loss was not finite, a scalar on the device; None before the first loss."""
        return None if self._first is None else (self._first > 0).float()

    def step(self, optimizer: OptimWrapper, bad: Tensor | None) -> None:
        """The optimiser's step, unless ``bad`` is set.

        Raises:
            NotFiniteError: for an optimiser that cannot be told on the device.
        """
        if bad is None or isinstance(optimizer, ScaledOptimizer):  # that one finds NaN in the gradients
            optimizer.step()
            return
        inner = optimizer.optimizer
        if not all(group.get("fused") for group in inner.param_groups):
            if bad > 0:
                raise NotFiniteError("a loss is not finite")
            optimizer.step()
            return
        inner.found_inf = bad
        try:
            optimizer.step()
        finally:
            del inner.found_inf

    def first(self) -> int | None:
        """The first iteration whose loss was not finite (waits for the device)."""
        number = 0 if self._first is None else int(self._first)
        return number - 1 if number else None
