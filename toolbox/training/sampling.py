"""Sampling from a trained game: image i is a function of (seed, i) and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Generator, Sample, concatenate
from toolbox.training.randomness import rng_for

BATCHNORM_MODES = ("running", "batch", "standing")


class Sampler:
    """Generator and conditioner of a game together.

    Args:
        game: a Game with a generator; its averaged copy is used where there is one.
        seed: of latents and conditions.
        bn: how a generator with BatchNorm is evaluated (it moves FID): 'running' averages of training, statistics of the
            'batch', or 'standing' statistics, collected anew over 16 batches of 256 (BigGAN).
        averaged: use the averaged copy.
    """

    def __init__(self, game: Any, seed: int = 0, bn: str = "running", averaged: bool = True) -> None:
        if bn not in BATCHNORM_MODES:
            raise ValueError(f"bn={bn!r} must be one of {', '.join(BATCHNORM_MODES)}")
        self.game, self.seed, self.bn = game, seed, bn
        self.generator: Generator = game.network(game.generator, averaged=averaged).eval()
        if bn == "standing" and _has_batchnorm(self.generator):
            self._collect_standing()

    @property
    def class_names(self) -> list[str]:
        """Classes, when the game has them."""
        return list(getattr(self.game.conditioner, "class_names", []))

    @torch.no_grad()
    def __call__(self, indices: Tensor, labels: Tensor | None = None, condition: Condition | None = None) -> Sample:
        """Images number ``indices`` (n,), under the conditioner's own draws, given ``labels`` (n,), or a given ``condition``."""
        rngs = [rng_for(self.seed, "sample", int(i)) for i in indices]
        latents = torch.cat([self.generator.sample_latents(1, rng) for rng in rngs])
        if condition is None:
            rows = [self.game.conditioner.sample(1, rng, None if labels is None else labels[k : k + 1].cpu())
                    for k, rng in enumerate(rngs)]
            condition = concatenate(rows)
        return self.draw(latents, condition)

    @torch.no_grad()
    def draw(self, latents: Tensor, condition: Condition) -> Sample:
        """Images of given latents and conditions."""
        latents, condition = latents.to(self.game.device), condition.to(self.game.device)
        training = self.bn == "batch"
        norms = [m for m in self.generator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)] if training else []
        for norm in norms:
            norm.train().__setattr__("track_running_stats", False)
        try:
            return self.generator.generate(latents, condition)
        finally:
            for norm in norms:
                norm.eval().__setattr__("track_running_stats", True)

    def class_sheet(self, columns: int = 10, rows: int = 20) -> Tensor:
        """(rows * columns, 3, H, W): one row a class, the same latents in each; without classes just images."""
        n_classes = len(self.class_names)
        if not n_classes:
            return self(torch.arange(columns * min(rows, 6))).images
        shown = min(n_classes, rows)
        labels = torch.arange(shown).repeat_interleave(columns)
        return self(torch.arange(columns).repeat(shown), labels).images

    def _collect_standing(self) -> None:
        from toolbox.models.batchnorm import standing_statistics

        def draw(number: int, size: int) -> tuple[Tensor, Condition]:
            rng = rng_for(self.seed, "standing", number)
            latents, condition = self.game.draw(size, rng)
            return latents, condition

        self.generator = standing_statistics(self.generator, draw)


def _has_batchnorm(network: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())


Draw = Callable[[int, int], tuple[Tensor, Condition]]
