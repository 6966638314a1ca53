"""What a game draws for generated images and for the eyes of its discriminators, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from toolbox.interfaces import (
    Augment,
    Condition,
    Conditioner,
    Generator,
    Latents,
    RowGenerator,
    Rows,
    Sample,
    moved,
)
from toolbox.randomness import mix, rng_for
from toolbox.training.game.ahead import AskedAhead
from toolbox.training.game.phases import Step

Drawn = tuple[Tensor, Condition]  # latents, and what the images are asked to be


class Drawing(Protocol):
    """What the draws of a game depend on."""

    seed: int
    conditioner: Conditioner
    latents: Latents | None

    @property
    def now(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def steps(self) -> Sequence[Step]: ...

    def generator_network(self) -> Generator: ...


class GameDraws:
    """Draws of an iteration, each a function of seed, iteration and key; made early unless on a CPU."""

    def __init__(self, game: Drawing) -> None:
        self._game = game
        self._ahead = AskedAhead()

    def sent_with(self, batch: Sample) -> Sample:
        """The batch on the game's device; in the same copy, what the iteration will ask for."""
        if self._game.device.type == "cpu":
            self._ahead.begin_lazily()
            return batch
        there: Sample
        there, drawn = moved((batch, self._ahead.begin(self._kind())), self._game.device)
        self._ahead.arrived(drawn)
        return there

    def fakes(self, step: int | str, rows: Rows, branch: tuple[str, ...] = ()) -> Drawn:
        """Latents and conditions of the images that a step of the iteration generates, on the device.

        They are drawn for the whole batch of all ranks, of which ``rows`` are kept.
        """
        game = self._game

        def draw() -> Drawn:
            rng = rng_for(game.seed, "fake", game.now, step, *branch)
            return self.on_host(rows.total, rng, rows.here)

        drawn: Drawn = self._ahead.ask(("fake", step, rows, branch), draw, self._to_device)
        return drawn

    def augmentation(self, augment: Augment, images: Tensor, key: Sequence[int | str], rows: Rows) -> Any:
        """What the augmentation draws for some images on the host, on the device; None: nothing.

        ``key`` tells the augmentations of an iteration apart; ``rows`` are those at hand of its batch.
        """
        if type(augment).draw is Augment.draw:
            return None
        game, (n, *shape) = self._game, images.shape

        def draw() -> Any:
            rng = RowGenerator.of(mix(game.seed, "augment", game.now, *key), rows)
            return augment.draw(n, shape, rng)

        return self._ahead.ask(("augment", *key, *images.shape, rows), draw, self._to_device)

    def on_host(self, n: int, rng: torch.Generator, here: slice = slice(None)) -> Drawn:
        """Latents and conditions of n images, of which those ``here`` are kept, where they were drawn."""
        source = self._game.latents
        draw = self._game.generator_network().sample_latents if source is None else source.draw
        return draw(n, rng)[here], self._game.conditioner.sample(n, rng)[here]

    def _kind(self) -> tuple[int, ...]:
        """Which steps are due in this iteration."""
        due = [step.phase.every for step in self._game.steps]
        return tuple(number for number, every in enumerate(due) if self._game.now % every == 0)

    def _to_device(self, value: Any) -> Any:
        device = self._game.device
        return value if device.type == "cpu" else moved(value, device)
