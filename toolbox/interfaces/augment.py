"""The contract of an augmentation of what discriminators see."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Augment(nn.Module, ABC):
    """Differentiable augmentation of what discriminators see."""

    @abstractmethod
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images (N, 3, H, W) in, the same shape out; every draw is from ``rng``, through ``draw_rows``."""

    def observe(self, logits: Tensor) -> None:
        """Logits (n,) of augmented real images, whenever a discriminator that moves has judged some."""

    def after_iteration(self, iteration: int, images: int) -> None:
        """Moving state, equal on all ranks; ``images`` real ones were shown on all of them together."""

    def log(self) -> dict[str, Tensor]:
        """Scalars worth logging, still on the device, detached."""
        return {}
