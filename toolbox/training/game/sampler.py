"""Sampling from a trained game: image i is a function of (seed, i) and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Conditioner, Generator, Request, Sample, concatenate
from toolbox.models.batchnorm import batch_statistics, standing_statistics
from toolbox.randomness import rng_for

BATCHNORM_MODES = ("running", "batch", "standing")
SOURCE = "source"  # what a frozen generator beside the one that learns is called, unless a config says else
UNNAMED_ROWS = 6  # of a sheet of a game that can be asked for nothing in particular


class Sampled(Protocol):
    """What sampling asks of a game: a whole one, or what a release keeps of it."""

    generator: str
    conditioner: Conditioner
    networks: nn.ModuleDict
    iteration: Tensor

    @property
    def device(self) -> torch.device: ...

    def network(self, name: str, averaged: bool = False) -> nn.Module: ...

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Condition]: ...

    def completed(self, condition: Condition) -> Condition: ...


class Sampler:
    """Generator and conditioner of a game together.

    Args:
        game: a game with a generator; its averaged copy is used where there is one.
        seed: of latents and conditions.
        bn: how a generator with BatchNorm is evaluated (it moves FID): 'running' averages of training,
            statistics of the 'batch', or 'standing' statistics, collected anew over 16 batches of 256
            (BigGAN).
        averaged: use the averaged copy.
        truncation: in (0, 1]; below 1 images of less variety, see
            :meth:`toolbox.interfaces.Generator.truncated`.
        generator: name of the network that makes the images; None = the game's.

    Raises:
        ValueError: for another ``bn`` or ``truncation``, or a generator that cannot be truncated.
    """

    def __init__(
        self,
        game: Sampled,
        seed: int = 0,
        bn: str = "running",
        averaged: bool = True,
        truncation: float = 1.0,
        generator: str | None = None,
    ) -> None:
        if bn not in BATCHNORM_MODES:
            raise ValueError(f"bn={bn!r} must be one of {', '.join(BATCHNORM_MODES)}")
        if not 0 < truncation <= 1:
            raise ValueError(f"truncation={truncation} must lie in (0, 1]; 1 = none")
        self.game = game
        self.truncation = float(truncation)
        self.seed = seed
        self.bn = bn
        network = game.network(generator or game.generator, averaged=averaged).eval()
        if not isinstance(network, Generator):
            name = "the game's generator" if generator is None else repr(generator)
            raise ValueError(f"{name} is a {type(network).__name__}, which is no Generator")
        if truncation < 1 and not network.truncates:
            raise ValueError(
                f"truncation={truncation}: {type(network).__name__} has none, its latents all get one length"
            )
        self.generator: Generator = network
        if bn == "standing" and _has_batchnorm(self.generator):
            self.generator = standing_statistics(self.generator, self._draw_for_statistics)

    @property
    def class_names(self) -> list[str]:
        """Classes, when the game has them."""
        return list(self.game.conditioner.class_names)

    def requests(self) -> dict[str, dict[str, Request]]:
        """What can be asked for by name, by kind (see :meth:`toolbox.interfaces.Conditioner.requests`)."""
        return self.game.conditioner.requests()

    @torch.no_grad()
    def __call__(
        self,
        indices: Tensor,
        labels: Tensor | None = None,
        condition: Condition | None = None,
        requests: Request | Sequence[Request] | None = None,
    ) -> Sample:
        """Images number ``indices`` (n,); their conditions are the conditioner's own draws, unless something
        is given.

        Args:
            indices: numbers of the images; the latents are a function of (seed, number).
            labels: (n,) classes to show.
            condition: conditions to show.
            requests: what to show, one for all or one for each image.
        """
        latents, rngs = self._latents(indices)
        if condition is None:
            condition = self._conditions(rngs, labels, requests)
        return self.draw(latents, condition)

    def latents(self, indices: Tensor) -> Tensor:
        """(n, latent_dim) of images number ``indices``, without drawing them."""
        return self._latents(indices)[0]

    def conditions(self, indices: Tensor, requests: Request | Sequence[Request] | None = None) -> Condition:
        """What images number ``indices`` (n,) are asked to show, without drawing them."""
        return self._conditions(self._latents(indices)[1], None, requests)

    def _latents(self, indices: Tensor) -> tuple[Tensor, list[torch.Generator]]:
        """Latents (n, latent_dim), and the generators from which each image's further draws come."""
        rngs = [rng_for(self.seed, "sample", int(i)) for i in indices]
        return torch.cat([self.generator.sample_latents(1, rng) for rng in rngs]), rngs

    def _conditions(
        self,
        rngs: Sequence[torch.Generator],
        labels: Tensor | None,
        requests: Request | Sequence[Request] | None,
    ) -> Condition:
        conditioner = self.game.conditioner
        if requests is not None:
            each = [requests] * len(rngs) if isinstance(requests, Request) else requests
            asked = zip(each, rngs, strict=True)
            return concatenate([conditioner.fulfil(request, 1, rng) for request, rng in asked])
        given = [None] * len(rngs) if labels is None else labels.cpu().split(1)
        return concatenate(
            [conditioner.sample(1, rng, label) for rng, label in zip(rngs, given, strict=True)]
        )

    @torch.no_grad()
    def draw(self, latents: Tensor, condition: Condition) -> Sample:
        """Images of given latents and conditions."""
        condition = self.game.completed(condition.to(self.game.device))
        return self._made(latents.to(self.game.device), condition)

    @torch.no_grad()
    def again(self, sample: Sample) -> Sample:
        """Images of another sample's latents and conditions, row by row."""
        if sample.latents is None:
            raise ValueError("the sample has no latents; real images cannot be made again")
        return self._made(sample.latents, sample.condition)

    def _made(self, latents: Tensor, condition: Condition) -> Sample:
        with batch_statistics(self.generator) if self.bn == "batch" else nullcontext():
            if self.truncation == 1:
                return self.generator.generate(latents, condition)
            images = self.generator.truncated(latents, condition, self.truncation).clamp(-1, 1)
            return Sample(images, condition, latents)

    def sheet(self, columns: int = 10, rows: int = 20, by: str | None = None) -> tuple[Tensor, list[str]]:
        """A row for each thing that can be asked for, the same latents in every row.

        Args:
            columns: images a row.
            rows: at most so many rows.
            by: which kind of thing (see :meth:`requests`); default the first. A game that can be asked for
                nothing gives images of its own choice.

        Returns:
            Images (rows * columns, 3, H, W), and the name of each row ([] where rows have none).

        Raises:
            ValueError: for a kind that there is not.
        """
        made, names = self.sheet_of_samples(columns, rows, by)
        return made.images, names

    def sheet_of_samples(
        self, columns: int = 10, rows: int = 20, by: str | None = None
    ) -> tuple[Sample, list[str]]:
        """:meth:`sheet`, with latents and conditions of the images."""
        kinds = self.requests()
        if by is not None and by not in kinds:
            raise ValueError(f"nothing can be shown by {by!r} here; kinds: {', '.join(kinds) or 'none'}")
        named = kinds[by] if by is not None else next(iter(kinds.values()), {})
        if not named:
            return self(torch.arange(columns * min(rows, UNNAMED_ROWS))), []
        shown = dict(list(named.items())[:rows])
        indices = torch.arange(columns).repeat(len(shown))
        requests = [request for request in shown.values() for _ in range(columns)]
        return self(indices, requests=requests), list(shown)

    def _draw_for_statistics(self, number: int, size: int) -> tuple[Tensor, Condition]:
        return self.game.draw(size, rng_for(self.seed, "standing", number))


def _has_batchnorm(network: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
