"""A generator that belongs to no run, standing in for a game where one samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Conditioner, Generator
from toolbox.training.game.conditioners import ClassConditions, NoConditions


class LoneGenerator(nn.Module):
    """What :class:`toolbox.training.game.sampler.Sampler` asks of a game, of a generator alone.

    Its classes are called by their numbers, '0', '1', ..., and drawn uniformly.

    Args:
        generator: published weights, for example.
    """

    generator = "generator"

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({self.generator: generator})
        n = generator.n_conditions
        self.conditioner: Conditioner = ClassConditions([str(i) for i in range(n)]) if n else NoConditions()
        self.iteration: Tensor
        self.register_buffer("iteration", torch.tensor(0), persistent=False)
        self.requires_grad_(False).eval()

    def network(self, name: str, averaged: bool = False) -> nn.Module:
        """The generator; which average it is was decided by whoever published it."""
        return self.networks[name]

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.iteration.device

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Condition]:
        """Latents (n, latent_dim) and conditions of n images."""
        network = self.networks[self.generator]
        assert isinstance(network, Generator)
        latents = network.sample_latents(n, rng)
        return latents.to(self.device), self.conditioner.sample(n, rng).to(self.device)

    def completed(self, condition: Condition) -> Condition:
        """Nothing is computed of labels."""
        return condition
