"""The contract of an augmentation of what discriminators see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Augment(nn.Module, ABC):
    """Differentiable augmentation of what discriminators see."""

    @abstractmethod
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images (N, 3, H, W) in, the same shape out; every draw is from ``rng``, through ``draw_rows``."""

    def draw(self, n: int, shape: Sequence[int], rng: torch.Generator) -> Any:
        """What :meth:`forward` may be given as ``drawn``, for n images of ``shape`` (3, H, W), on the CPU.

        A game draws it before the iteration and moves it to its device with the batch, in one copy. A
        function of the arguments, and of state that moves in :meth:`after_iteration` alone. None: ``forward``
        draws what it needs, from its ``rng``.
        """
        return None

    def observe(self, logits: Tensor) -> None:
        """Logits (n,) of augmented real images, whenever a discriminator that moves has judged some."""

    def after_iteration(self, iteration: int, images: int) -> None:
        """Moving state, equal on all ranks; ``images`` real ones were shown on all of them together."""

    def log(self) -> dict[str, Tensor]:
        """Scalars worth logging, still on the device, detached."""
        return {}
