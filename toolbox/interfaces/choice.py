"""The contract of what decides which layers move in a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from toolbox.interfaces.described import Described
from toolbox.interfaces.sample import Condition


class Choosing(Protocol):
    """What a choice sees of the game.

    Attributes:
        player: who is about to move.
        iteration: 0-based.
        kimg: as of a :class:`toolbox.interfaces.Turn`.
        rng: CPU generator, a function of (seed, iteration, step), the same on all processes.
        device: where the game is played.
    """

    player: str
    iteration: int
    kimg: float
    rng: torch.Generator
    device: torch.device

    def network(self, name: str) -> Any:
        """A network of the game; none of its parameters asks for a gradient now."""
        ...

    def draw(self, n: int) -> tuple[Tensor, Condition]:
        """Latents (n, latent_dim) and conditions of n images, from ``rng``, on the device."""
        ...


class Choice(Described, nn.Module, ABC):
    """Which parameters of its player move in a step; a phase's ``moves``.

    It is asked before any image of the step is made, once a step, whatever the number of terms, splits and
    processes; of images that all steps share, before those.

    Attributes:
        formula: one line of what it chooses, shown by ``toolbox explain``.
    """

    formula: str = ""

    @abstractmethod
    def choose(self, game: Choosing) -> Collection[str]:
        """Beginnings of the names of what moves: 'generator.synthesis.b8.' or whole names.

        Names are those of the game's networks; only what the player moves counts. Gradients with respect to
        tensors made here may be taken.
        """

    def log(self) -> dict[str, Tensor]:
        """Scalars worth logging, still on the device, detached."""
        return {}
