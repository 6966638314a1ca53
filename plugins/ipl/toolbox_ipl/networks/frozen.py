"""What all networks of metrics share: they never train."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from torch import nn

from toolbox_ipl.networks.files import digest_of


class Frozen(nn.Module):
    """A network in eval mode for good, without gradients, known by a digest.

    Attributes:
        preprocessing: everything besides weights that its output depends on, as text.
    """

    preprocessing: str = ""

    def freeze(self) -> None:
        """Last line of a constructor."""
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode whatever is asked."""
        return super().train(False)

    def fingerprint(self) -> str:
        """sha256 of class, preprocessing and weights; computed once, since they do not move."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return digest_of(self, self.preprocessing)
