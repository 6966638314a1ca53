"""State beside the optimiser: who forgets the other ranks is named, by the conformance check and while a run
goes on.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from pairs import run_pair
from torch import Tensor, nn
from toy_games import ToyDiscriminator, ToyGenerator, toy_game

from toolbox import ranks, testing
from toolbox.interfaces import Augment, Condition, Conditioner, Sample
from toolbox.registry import build
from toolbox.training.game.same_on_ranks import RanksDifferError, check_same_on_ranks

CLASSES = list(build(dict(type="EmbeddedFashion", image_size=8)).classes)


class MovingMean(Conditioner):
    """Remembers the mean colour of the real images; whether of all of them is the question."""

    def __init__(self, gather: bool = True, repeated: bool = False) -> None:
        super().__init__()
        self.gather, self.repeated = gather, repeated
        self.register_buffer("mean", torch.zeros(3))

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return Condition()

    def after_iteration(self, game: Any, real: Sample, rng: torch.Generator) -> None:
        images = game.gather(real.images) if self.gather else real.images
        mean = images.mean((0, 2, 3))
        if self.repeated:  # equal on all ranks, and yet not what one process would do
            mean = ranks.sum_over_ranks(mean)
        self.mean.lerp_(mean, 0.5)


class Counting(Augment):
    """Draws for the images at hand without looking at whose they are, and adds them up in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(()))

    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        shift = torch.rand(len(images), 1, 1, 1, generator=rng)
        self.total += (shift * images.detach().mean((1, 2, 3), keepdim=True)).sum()
        return images + shift


def game_of(conditioner: Any = None, augment: Any = None, norm: bool = False, repeat: int = 1) -> Any:
    labelled = conditioner is not None and "class_names" in conditioner
    generator = dict(
        type=ToyGenerator, latent_dim=4, image_size=8, n_conditions=len(CLASSES) * labelled, norm=norm
    )
    return toy_game(
        networks=dict(generator=generator, discriminator=dict(type=ToyDiscriminator, image_size=8)),
        phases=[dict(player="discriminator", repeat=repeat), dict(player="generator")],
        objectives=dict(adversarial=dict(type="HingeAdversarial")),
        conditioner=conditioner,
        augment=augment,
        average=dict(generator=dict(decay=0.5)),
    )


@pytest.mark.parametrize(
    "game",
    [
        dict(conditioner=dict(type=MovingMean), repeat=2),
        dict(conditioner=dict(type="ClassConditions", class_names=CLASSES)),
        dict(augment=dict(type="DiffAugment")),
    ],
)
def test_ours_end_as_in_one_process(game: dict[str, Any]) -> None:
    testing.check_ranks(partial(game_of, **game))


def test_batchnorm_is_the_same_on_all_ranks_but_not_that_of_one() -> None:
    make = partial(game_of, norm=True)
    testing.check_ranks(make, compare_networks=False)
    with pytest.raises(
        AssertionError, match=r"'networks.generator.* processes and one: .* compare_networks=False"
    ):
        testing.check_ranks(make)


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (
            dict(conditioner=dict(type=MovingMean, gather=False)),
            r"buffer 'conditioner.mean' differs between ranks: reduce what moves it first \(game.gather, "
            r"toolbox.ranks\)",
        ),
        (
            dict(conditioner=dict(type=MovingMean, repeated=True)),
            "buffer 'conditioner.mean' differs between 2 processes and one: reduce",
        ),
        (dict(augment=dict(type=Counting)), "buffer 'augment.total' differs between ranks"),
    ],
)
def test_who_forgets_is_named(game: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_ranks(partial(game_of, **game))


def guarded(spoil: str | None) -> str:
    """What the guard says in a game of which one value was spoiled on one rank."""
    game = game_of()
    if spoil is not None and ranks.rank() == 1:
        with torch.no_grad():
            dict([*game.named_parameters(), *game.named_buffers()])[spoil].view(-1)[0] += 1
    try:
        check_same_on_ranks(game)
    except RanksDifferError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (None, ""),
        (
            "iteration",
            "buffer 'iteration' differs between ranks: reduce what moves it first (game.gather, "
            "toolbox.ranks)",
        ),
        (
            "networks.generator.linear.bias",
            "parameter 'networks.generator.linear.bias' differs between ranks: each must take part in the "
            "same optimiser steps, "
            "and nothing else may move a parameter",
        ),
    ],
)
def test_the_guard_names_what_differs_on_all_ranks(spoil: str | None, message: str) -> None:
    assert run_pair(guarded, spoil) == [message] * 2


def test_the_guard_is_silent_in_one_process() -> None:
    check_same_on_ranks(nn.Linear(1, 1))
