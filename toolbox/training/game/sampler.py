"""Sampling from a trained game: image i is a function of (seed, i) and of nothing else."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Generator, Sample, concatenate
from toolbox.randomness import rng_for

BATCHNORM_MODES = ("running", "batch", "standing")


class Sampler:
    """Generator and conditioner of a game together.

    Args:
        game: a Game with a generator; its averaged copy is used where there is one.
        seed: of latents and conditions.
        bn: how a generator with BatchNorm is evaluated (it moves FID): 'running' averages of training,
            statistics of the 'batch', or 'standing' statistics, collected anew over 16 batches of 256
            (BigGAN).
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
    def __call__(
        self, indices: Tensor, labels: Tensor | None = None, condition: Condition | None = None
    ) -> Sample:
        """Images number ``indices`` (n,), under the conditioner's own draws, given ``labels`` (n,), or a
        given ``condition``.
        """
        rngs = [rng_for(self.seed, "sample", int(i)) for i in indices]
        latents = torch.cat([self.generator.sample_latents(1, rng) for rng in rngs])
        if condition is None:
            rows = [
                self.game.conditioner.sample(1, rng, None if labels is None else labels[k : k + 1].cpu())
                for k, rng in enumerate(rngs)
            ]
            condition = concatenate(rows)
        return self.draw(latents, condition)

    @torch.no_grad()
    def draw(self, latents: Tensor, condition: Condition) -> Sample:
        """Images of given latents and conditions."""
        from toolbox.models.batchnorm import batch_statistics

        latents, condition = latents.to(self.game.device), condition.to(self.game.device)
        with batch_statistics(self.generator) if self.bn == "batch" else nullcontext():
            return self.generator.generate(latents, condition)

    def class_sheet(self, columns: int = 10, rows: int = 20) -> Tensor:
        """(rows * columns, 3, H, W): one row a class, the same latents in each; without classes
        just images.
        """
        n_classes = len(self.class_names)
        if not n_classes:
            return self(torch.arange(columns * min(rows, 6))).images
        shown = min(n_classes, rows)
        labels = torch.arange(shown).repeat_interleave(columns)
        return self(torch.arange(columns).repeat(shown), labels).images

    def _collect_standing(self) -> None:
        from toolbox.models.batchnorm import standing_statistics

        self.generator = standing_statistics(
            self.generator, lambda number, size: self.game.draw(size, rng_for(self.seed, "standing", number))
        )


def _has_batchnorm(network: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
