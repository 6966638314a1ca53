"""The contract of what latents of generated images come from in training, where that is not the prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces.described import Described


class Latents(Described, nn.Module, ABC):
    """Where a game's generator gets its latents: ``model.latents``.

    Samplers, evaluation and releases draw from the generator's prior all the same: they have no such source.
    What a checkpoint must know of it is in buffers.
    """

    def prepare(self, game: Any, trial: bool = False) -> None:
        """Before the first iteration, and again on resume: the same as then, or an error.

        Called on all processes.

        Args:
            game: with ``network(name)``, ``player_of(name)`` and ``device``.
            trial: a rehearsal, in which a few quick latents will do, and nothing is stored.
        """

    @abstractmethod
    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, latent_dim) latents on the CPU, a function of ``rng``, alike on all processes.

        Raises:
            ValueError: before :meth:`prepare`, where that is needed.
        """
