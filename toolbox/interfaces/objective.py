"""The contract of a loss term."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from toolbox.interfaces.described import Described
from toolbox.interfaces.turn import Turn


class Objective(Described, nn.Module, ABC):
    """A loss term of the game, or several that belong together. Its weight is the game's business.

    Attributes:
        formulas: {network: one line of mathematics}, shown by ``toolbox explain``.
        trains: network whose player the objective's own parameters join; None when it has none.
        float32: computed in float32 and uncompiled, whatever the game's precision (terms that differentiate a
            gradient).
        couples_branches: it reads ``turn.branches``, all of them together: computed and logged once, not for
            each branch.
    """

    formulas: Mapping[str, str] = {}
    trains: str | None = None
    float32: bool = False
    couples_branches: bool = False

    @abstractmethod
    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """{network: loss of the turn in which this network moves}.

        ``{'discriminator': self.discriminator_loss, 'generator': self.generator_loss}`` for an adversarial
        term. A loss is a scalar tensor.
        """

    def log(self) -> dict[str, Tensor]:
        """Scalars worth logging, still on the device, detached. Cleared by whoever reads them."""
        return {}
