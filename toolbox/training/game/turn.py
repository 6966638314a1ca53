"""What one phase of an iteration sees. Everything is computed when first asked for, and kept for the turn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from toolbox.interfaces import (
    Augment,
    Condition,
    Conditioner,
    Discriminator,
    Generator,
    RowGenerator,
    Rows,
    Sample,
    concatenate,
)
from toolbox.randomness import mix, rng_for
from toolbox.training.game.batches import has_images, refuse_no_images
from toolbox.training.game.draws import GameDraws
from toolbox.training.game.precision import at_least_float32

Kept = MutableMapping[Hashable, object]  # values computed once, by what they are


class Playing(Protocol):
    """What a turn asks of the game that it is part of."""

    seed: int
    fakes: str
    generator: str
    shared_latents: bool
    conditioner: Conditioner
    draws: GameDraws

    @property
    def players(self) -> Mapping[str, list[str]]: ...

    @property
    def kimg(self) -> float: ...

    def network(self, name: str) -> nn.Module: ...

    def generator_network(self) -> Generator: ...

    def entry(self, network: str, method: str) -> Callable[..., Any]: ...

    def augment_of(self, discriminator: str) -> Augment | None: ...

    def only(self, player: str | None) -> AbstractContextManager[None]: ...

    def player_of(self, network: str) -> str | None: ...

    def batchnorm_tracking(self, on: bool) -> AbstractContextManager[None]: ...


class GameTurn:
    """Implements :class:`toolbox.interfaces.Turn` for a Game.

    Args:
        game: whose turn it is.
        player: the player that moves.
        real: the real images of this turn, conditions completed, or rows without images; turns that see the
            same are given the same object.
        iteration: 0-based.
        step: which optimiser step of the iteration this is.
        branch: which images of the batch it sees.
        shared: values that live for the iteration: what only frozen networks compute, and shared fakes.
        rows: which rows of a larger batch (spread over processes, or split for accumulation) these are; None
            = all.
        whole: the real images of the optimiser step on this process; None = ``real``.
    """

    def __init__(
        self,
        game: Playing,
        player: str,
        real: Sample,
        iteration: int,
        step: int,
        shared: Kept,
        rows: Rows | None = None,
        branch: str = "images",
        whole: Sample | None = None,
    ) -> None:
        self.player = player
        self.iteration = iteration
        self.kimg = game.kimg
        self._key = () if branch == "images" else (branch,)  # what tells the draws of branches apart
        self.rows = rows or Rows.all(len(real))
        seed = mix(game.seed, "turn", iteration, step, *self._key)
        self.rng: torch.Generator = RowGenerator.of(seed, self.rows)
        self.branches: list[GameTurn] = [self]
        self._game = game
        self._real = real
        self._whole = real if whole is None else whole
        self._step = step
        self._shared = shared
        self._kept: Kept = {}
        self._fakes_of: int | str = step  # whose draws the fakes are
        self._augmentations = 0  # of this turn, so far

    @property
    def real(self) -> Sample:
        """The real batch; PlanError in a game without images."""
        refuse_no_images(self._real, "real")
        return self._real

    @property
    def whole(self) -> Sample:
        """The real images of the optimiser step on this process; PlanError in a game without."""
        refuse_no_images(self._whole, "whole")
        return self._whole

    @property
    def fake(self) -> Sample:
        """The generated batch: one for the whole iteration, or a fresh one a turn (the game's ``fakes``)."""
        moves = self.moves(self._game.generator)
        if self._game.fakes == "shared":
            whole: Sample = self._keep(self._shared, self._fakes_key, self._draw_shared)
            self._fakes_of = "shared"
            if not moves:
                return self.once("fake", whole.detach)
            if self._shared.setdefault("generator's step", self._step) == self._step:
                return whole  # a second step of the generator needs a new graph
        self._fakes_of = self._step
        return self.once("fake", lambda: self._draw(self._step, with_gradient=moves))

    def moves(self, network: str) -> bool:
        """Whether the player that moves owns this network."""
        return network in self._game.players[self.player]

    def network(self, name: str) -> Any:
        """A network of the game."""
        return self._game.network(name)

    def score(self, discriminator: str, sample: Sample, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of a sample; it is augmented and encoded once a turn, however often it is judged."""
        judge = self._game.entry(discriminator, "judge")
        features = self.encoded(discriminator, sample)
        logits = at_least_float32(judge(features, sample.condition if condition is None else condition))
        if sample.index is not None and condition is None:  # not of real images under others' captions
            self._observe(discriminator, logits)
        return logits

    def view(self, sample: Sample, field: str) -> Sample:
        """A sample whose images are another field of it (a stage's size, a second view); once a turn."""
        if field == "images":
            return sample
        if field not in sample.extras:
            raise ValueError(f"field={field!r} is not in this sample, which has {sorted(sample.extras)}")
        self.once(("alive", id(sample)), lambda: sample)
        view: Sample = self.once(
            ("view", id(sample), field), lambda: sample.replace(images=sample.extras[field])
        )
        return view

    def encoded(self, discriminator: str, sample: Sample) -> Tensor:
        """Features of a sample, augmented; once a turn."""
        encode = self._game.entry(discriminator, "encode")
        key = ("encoded", discriminator, id(sample))
        return self.once(key, lambda: encode(self.seen(discriminator, sample)))

    def seen(self, discriminator: str, sample: Sample) -> Any:
        """What enters ``encode``; of the real batch and of shared fakes once an iteration, else a turn."""
        self.once(("alive", id(sample)), lambda: sample)  # keeps the id from being given to another object
        return self.once(("seen", discriminator, id(sample)), lambda: self._look(discriminator, sample))

    def score_pair(self, discriminator: str, real: Sample, fake: Sample) -> tuple[Tensor, Tensor]:
        """Logits of both in one pass: text prompts and the like are encoded once for the two."""
        images = torch.cat([real.images, fake.images])
        condition = concatenate(_comparable(real.condition, fake.condition))
        logits = self.score(discriminator, Sample(images, condition))
        of_real, of_fake = logits[: len(real)], logits[len(real) :]
        self._observe(discriminator, of_real)
        return of_real, of_fake

    def fewer_fakes(self, shrink: int) -> Sample:
        """A generated batch of its own, one image for ``shrink`` of the turn's: for terms that need
        memory.
        """

        def draw() -> Sample:
            rows = self.rows.fewer(shrink)
            return self._draw(f"fewer {self._step}", self.moves(self._game.generator), rows)

        return self.once(("fewer", shrink), draw)

    def generate(self, network: str, same_noise: bool = False) -> Sample:
        """What another generator makes of the fakes' latents, condition and styles; once a turn."""

        def remake() -> Sample:
            fake = self.fake.detach()
            name = () if same_noise else (network,)
            remade: Sample = self.network(network).remake(fake, self._noise(self._fakes_of, self.rows, *name))
            return remade.replace(images=at_least_float32(remade.images))

        again: Sample = self.once(("generate", network, same_noise), remake)
        return again

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """``compute()`` once a turn."""
        return self._keep(self._kept, key, compute)

    def frozen(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """``compute()`` once an iteration and part of the batch, without gradients."""
        with torch.no_grad():
            return self._keep(self._shared, ("frozen", key, id(self._real)), compute)

    def _observe(self, discriminator: str, logits: Tensor) -> None:
        """An adaptive augmentation follows how sure the discriminator is of real images."""
        augment = self._game.augment_of(discriminator)
        if augment is not None and self.moves(discriminator):
            augment.observe(logits.detach())

    @staticmethod
    def _keep(store: Kept, key: Hashable, compute: Callable[[], Any]) -> Any:
        if key not in store:
            store[key] = compute()
        return store[key]

    def _draw_shared(self) -> Sample:
        """Made with gradients to the generator, whoever moves first."""
        with self._game.only(self._game.player_of(self._game.generator)):
            return self._draw("shared", with_gradient=True)

    def _draw(self, step: int | str, with_gradient: bool, rows: Rows | None = None) -> Sample:
        game = self._game
        rows = rows or self.rows
        key = self._key_of_fakes(step)
        latents, condition = game.draws.fakes(step, rows, key[3:])
        real = self._real[: len(rows)]
        if has_images(real):
            condition = game.conditioner.of_real(real, rng_for(game.seed, *key, "of real")) or condition
        noise = self._noise(step, rows)
        with torch.set_grad_enabled(with_gradient), game.batchnorm_tracking(with_gradient):
            fake = self._made(latents, condition, noise)
        return fake.replace(images=at_least_float32(fake.images))

    def _made(self, latents: Tensor, condition: Condition, noise: RowGenerator) -> Sample:
        """Not clipped: a generator that stands still, and is in eval mode, would clip what it generates."""
        generator = self._game.generator_network()
        if generator.training:
            return generator.generate(latents, condition, noise)
        return generator.remake(Sample(latents.new_empty(len(latents), 0), condition, latents=latents), noise)

    def _key_of_fakes(self, step: int | str) -> tuple[Any, ...]:
        """What tells draws of fakes apart; branches with shared latents share them."""
        return ("fake", self.iteration, step, *(() if self._game.shared_latents else self._key))

    def _noise(self, step: int | str, rows: Rows, *name: str) -> RowGenerator:
        """What a generator adds at random to these fakes; by name, another generator's."""
        return RowGenerator.of(mix(self._game.seed, *self._key_of_fakes(step), "noise", *name), rows)

    def _look(self, discriminator: str, sample: Sample) -> Any:
        network = self._game.network(discriminator)
        images = self._augmented(discriminator, sample)
        if not isinstance(network, Discriminator):
            return images
        if self._game.augment_of(discriminator) is not None:
            return network.look(images)
        if sample is self._real:
            return self.frozen(("seen", discriminator), lambda: network.look(images))
        whole = self._shared_whole(sample)
        if whole is None:
            return network.look(images)
        key = ("seen", discriminator, *self._fakes_key)
        looked = self._keep(self._shared, key, lambda: network.look(whole.images))
        return looked if sample is whole else looked.detach()

    def _shared_whole(self, sample: Sample) -> Sample | None:
        """The shared fakes, with their graph, if a sample is what this turn sees of them."""
        whole: Any = self._shared.get(self._fakes_key)
        detached = not self.moves(self._game.generator) and sample is self._kept.get("fake")
        return whole if sample is whole or detached else None

    @property
    def _fakes_key(self) -> tuple[Hashable, ...]:
        return ("fake", self.rows.start, self.rows.stop, *self._key)

    def _augmented(self, discriminator: str, sample: Sample) -> Tensor:
        augment = self._game.augment_of(discriminator)
        if augment is None:
            return sample.images
        self._augmentations += 1
        key = (self._step, self._augmentations, *self._key)
        drawn = self._game.draws.augmentation(augment, sample.images, key, self.rows)
        augmented: Tensor = augment(sample.images, self.rng, *([] if drawn is None else [drawn]))
        return augmented


def _comparable(*conditions: Condition) -> list[Condition]:
    """What discriminators look at: the fields that all conditions have (labelled data,
    unconditional fakes).
    """
    partial = {
        name: None
        for name in ("labels", "weights", "text", "mask", "codes")
        if any(getattr(condition, name) is None for condition in conditions)
    }
    return [condition.replace(**partial, extra={}) for condition in conditions]
