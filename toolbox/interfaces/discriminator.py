"""The contract of a discriminator: encode once, judge often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from toolbox.interfaces.sample import Condition


class Discriminator(nn.Module, ABC):
    """Images to real-or-fake logits.

    Splitting the work lets one encoding be judged under several conditions (none, matched, mismatched).
    """

    def look(self, images: Tensor) -> Any:
        """What frozen networks that this one borrows make of images: a tensor or record of N rows.

        :meth:`encode` takes it in place of the images. A game that shares its fakes looks at each batch once
        an iteration, whoever moves. Default: the images themselves.
        """
        return images

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Features of images (N, 3, H, W) in [-1, 1], or of what :meth:`look` made; first axis N."""

    @abstractmethod
    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,), higher = more real, of encoded images under a condition."""

    def forward(self, images: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of images under a condition."""
        return self.judge(self.encode(images), condition)
