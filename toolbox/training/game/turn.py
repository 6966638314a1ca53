"""What one phase of an iteration sees. Everything is computed when first asked for, and kept for the turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from toolbox.interfaces import Condition, RowGenerator, Rows, Sample, concatenate
from toolbox.randomness import mix, rng_for
from toolbox.training.game.precision import at_least_float32

if TYPE_CHECKING:
    from toolbox.training.game.game import Game


class GameTurn:
    """Implements :class:`toolbox.interfaces.Turn` for a Game.

    Args:
        game: whose turn it is.
        player: the player that moves.
        real: the real images of this turn, conditions completed; turns that see the same images are given the
            same object.
        iteration: 0-based.
        step: which optimiser step of the iteration this is.
        branch: which images of the batch it sees.
        shared: values that live for the iteration: what only frozen networks compute, and shared fakes.
        rows: which rows of a larger batch (spread over processes, or split for accumulation) these are; None
            = all.
    """

    def __init__(
        self,
        game: Game,
        player: str,
        real: Sample,
        iteration: int,
        step: int,
        shared: dict[Any, Any],
        rows: Rows | None = None,
        branch: str = "images",
    ) -> None:
        self.player = player
        self.iteration = iteration
        self.kimg = game.kimg
        self._key = self._branch_key(branch)
        self._rows = rows = rows or Rows.all(len(real))
        self.rng: torch.Generator = RowGenerator.of(mix(game.seed, "turn", iteration, step, *self._key), rows)
        self.branches: list[GameTurn] = [self]
        self._game = game
        self._real = real
        self._step = step
        self._shared = shared
        self._kept: dict[Any, Any] = {}

    @property
    def real(self) -> Sample:
        """The real batch."""
        return self._real

    @property
    def fake(self) -> Sample:
        """The generated batch: one for the whole iteration, or a fresh one a turn (the game's ``fakes``)."""
        if self._game.fakes == "shared":
            whole = self._keep(
                self._shared, ("fake", self._rows.start, self._rows.stop, *self._key), self._draw_shared
            )
            if not self.moves(self._game.generator):
                return self.once("fake", whole.detach)
            if self._shared.setdefault("generator's step", self._step) == self._step:
                return whole  # a second step of the generator needs a new graph
        return self.once(
            "fake", lambda: self._draw(self._step, with_gradient=self.moves(self._game.generator))
        )

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
        if sample.index is not None:
            self._observe(discriminator, logits)
        return logits

    def encoded(self, discriminator: str, sample: Sample) -> Tensor:
        """Features of a sample, augmented; once a turn."""
        encode = self._game.entry(discriminator, "encode")
        self.once(("alive", id(sample)), lambda: sample)  # keeps the id from being given to another object
        return self.once(
            ("encoded", discriminator, id(sample)), lambda: encode(self._augmented(discriminator, sample))
        )

    def score_pair(self, discriminator: str, real: Sample, fake: Sample) -> tuple[Tensor, Tensor]:
        """Logits of both in one pass: text prompts and the like are encoded once for the two."""
        both = Sample(
            torch.cat([real.images, fake.images]), concatenate(_comparable(real.condition, fake.condition))
        )
        logits = self.score(discriminator, both)
        self._observe(discriminator, logits[: len(real)])
        return logits[: len(real)], logits[len(real) :]

    def fewer_fakes(self, shrink: int) -> Sample:
        """A generated batch of its own, of one image for ``shrink`` of the turn's: for terms that need much
        memory.
        """
        return self.once(
            ("fewer", shrink),
            lambda: self._draw(
                f"fewer {self._step}", self.moves(self._game.generator), self._rows.fewer(shrink)
            ),
        )

    def generate(self, network: str) -> Sample:
        """What another generator makes of the fake batch's latents and condition."""
        assert self.fake.latents is not None
        return self.once(
            ("generate", network),
            lambda: self.network(network).generate(self.fake.latents, self.fake.condition, self.rng),
        )

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once a turn."""
        return self._keep(self._kept, key, compute)

    def frozen(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once an iteration and part of the batch, without gradients."""
        with torch.no_grad():
            return self._keep(self._shared, ("frozen", key, id(self._real)), compute)

    def _observe(self, discriminator: str, logits: Tensor) -> None:
        """An adaptive augmentation follows how sure the discriminator is of real images."""
        augment = self._game.augment_of(discriminator)
        if augment is not None and self.moves(discriminator):
            augment.observe(logits.detach())

    @staticmethod
    def _branch_key(branch: str) -> tuple[str, ...]:
        return () if branch == "images" else (branch,)

    @staticmethod
    def _keep(store: dict[Any, Any], key: Any, compute: Callable[[], Any]) -> Any:
        if key not in store:
            store[key] = compute()
        return store[key]

    def _draw_shared(self) -> Sample:
        """Made with gradients to the generator, whoever moves first."""
        with self._game.only(self._game.player_of(self._game.generator)):
            return self._draw("shared", with_gradient=True)

    def _draw(self, step: int | str, with_gradient: bool, rows: Rows | None = None) -> Sample:
        game, rows = self._game, rows or self._rows
        key = ("fake", self.iteration, step, *self._key)
        latents, condition = game.draw(rows.total, rng_for(game.seed, *key), rows.here)
        noise = RowGenerator.of(mix(game.seed, *key, "noise"), rows)
        with torch.set_grad_enabled(with_gradient), game.batchnorm_tracking(with_gradient):
            fake: Sample = game.network(game.generator).generate(latents, condition, noise)
        return fake.replace(images=at_least_float32(fake.images))

    def _augmented(self, discriminator: str, sample: Sample) -> Tensor:
        augment = self._game.augment_of(discriminator)
        return sample.images if augment is None else augment(sample.images, self.rng)


def _comparable(*conditions: Condition) -> list[Condition]:
    """What discriminators look at: the fields that all conditions have (labelled data,
    unconditional fakes).
    """
    partial = {
        name: None
        for name in ("labels", "weights", "text", "mask")
        if any(getattr(condition, name) is None for condition in conditions)
    }
    return [condition.replace(**partial, extra={}) for condition in conditions]
