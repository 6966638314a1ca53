"""Text-to-image games whose batch is split (accumulate) or cut into parts (repeat): what must not change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_text_games import WIDTH, Encoder, Painter, Watch, item, text_game
from torch import Tensor, nn
from toy_games import ToyDiscriminator, optimisers, weights_of

from toolbox.interfaces import Condition, Discriminator
from toolbox.models.attngan import AttnGANGenerator
from toolbox.training.game.game import Game

Asked = list[tuple[Tensor, Condition]]


class Reader(Discriminator):
    """D(x, s) = <A x, s>^2 through a frozen view of x; notes what it looks at and what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, WIDTH)
        self.looked: list[Tensor] = []
        self.asked: Asked = []

    def look(self, images: Tensor) -> Tensor:
        self.looked.append(images.detach())
        return 2 * images

    def encode(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None
        self.asked.append((features.detach(), condition))
        return (features * condition.codes.sentence).sum(dim=1).square()


OBJECTIVES: dict[str, Any] = {
    "hinge": dict(type="MatchingHinge"),
    "hinge, wrapped": dict(type="MatchingHinge", wrap=True),
    "cross-entropy": dict(type="MatchingAwareAdversarial", unconditional=False),
    "cross-entropy, wrapped": dict(type="MatchingAwareAdversarial", unconditional=False, wrap=True),
}


def game_of(phases: list[dict[str, Any]], **objectives: Any) -> Game:
    return text_game(
        networks=dict(
            encoder=dict(type=Encoder), generator=dict(type=Painter), discriminator=dict(type=Reader)
        ),
        phases=phases,
        objectives=objectives,
        fakes="shared",
        average={},
    )


def after(accumulate: int, **objectives: Any) -> dict[str, Tensor]:
    phases = [dict(player=player, accumulate=accumulate) for player in ("discriminator", "generator")]
    game = game_of(phases, **objectives)
    game.train_step(item(4), optimisers(game))
    return weights_of(game)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_mismatched_captions_roll_over_all_splits(name: str) -> None:
    """So that a step in splits is the step of the whole batch."""
    terms = dict(adversarial=OBJECTIVES[name], penalty=dict(type="MatchingAwarePenalty", strength=0.1))
    whole = after(1, **terms)
    for splits in (2, 4):
        parts = after(splits, **terms)
        torch.testing.assert_close({key: parts[key] for key in whole}, whole, atol=1e-6, rtol=1e-5)


def test_mismatched_captions_roll_over_a_part() -> None:
    """Repetitions of a phase are steps of their own."""
    game = game_of([dict(player="discriminator", repeat=2)], adversarial=OBJECTIVES["hinge, wrapped"])
    batch = item(8)
    game.train_step(batch, optimisers(game))
    reader: Any = game.network("discriminator")
    wrong = [condition.codes.sentence for _, condition in reader.asked if condition.text is None]
    codes = game.network("encoder").encode_text(batch["text"], None).sentence.split(4)
    assert len(wrong) == 2
    for found, own in zip(wrong, codes, strict=True):
        assert torch.equal(found, own.roll(-1, dims=0))


@pytest.mark.parametrize("how", ["repeat", "accumulate"])
def test_frozen_networks_look_at_each_real_image_once(how: str) -> None:
    """The penalty's step, and a second term, see what the first has looked at; fakes likewise."""
    terms = (["adversarial"], ["penalty"])
    phases: list[dict[str, Any]] = [
        dict(player="discriminator", objectives=names, **{how: 2}) for names in terms
    ]
    game = game_of(
        phases, adversarial=OBJECTIVES["hinge"], penalty=dict(type="MatchingAwarePenalty", strength=1e-3)
    )
    batch = item(8)
    game.train_step(batch, optimisers(game, lr=1e-3))
    reader: Any = game.network("discriminator")
    real = batch["images"].float() / 127.5 - 1
    looked = torch.cat(reader.looked)
    fakes = 8 if how == "accumulate" else 4  # shared ones are of the size of a part
    assert len(looked) == 8 + fakes
    for image in real:
        assert sum(torch.allclose(image, other) for other in looked) == 1


@pytest.mark.parametrize(
    "phases",
    [
        [dict(player="generator", accumulate=2)],
        [dict(player="generator", accumulate=4)],
        [dict(player="generator", repeat=2)],
    ],
)
def test_noise_of_the_augmentation_is_part_of_the_latents(phases: list[dict[str, Any]]) -> None:
    """It is drawn for the whole batch as they are; the condition and the images follow from them."""

    def fakes(phases: list[dict[str, Any]]) -> tuple[Game, list[Any]]:
        small = dict(channels=2, residual_blocks=0, image_size=8, stages=1, noise_dim=3, condition_dim=2)
        game = text_game(
            networks=dict(
                encoder=dict(type=Encoder),
                generator=dict(type=AttnGANGenerator, code_dim=WIDTH, **small),
                discriminator=dict(type=ToyDiscriminator, image_size=8),
                small=dict(type=ToyDiscriminator, image_size=1),
            ),
            phases=phases,
            average={},
        )
        game.train_step(dict(item(8), images=torch.zeros(8, 3, 8, 8)), optimisers(game, lr=0.0))
        watch: Any = game.objectives["watch"]
        assert isinstance(watch, Watch)
        return game, [fake for ((_, fake),) in watch.turns]

    game, split = fakes(phases)
    latents = torch.cat([fake.latents for fake in split])
    assert latents.shape == (8, 5)
    if "accumulate" in phases[0]:
        _, (whole,) = fakes([dict(player="generator")])
        assert torch.equal(latents, whole.latents)
    else:
        assert len(latents.unique(dim=0)) == 8
    network: Any = game.network("generator")
    for fake in split:
        drawn, mu, logvar = network.ca_net(fake.condition.codes.sentence, fake.latents[:, 3:])
        assert torch.equal(mu, fake.extras["mu"]) and torch.equal(logvar, fake.extras["logvar"])
        again = network.generate(fake.latents, fake.condition).images
        torch.testing.assert_close(again, fake.images)
        assert not torch.equal(drawn, mu)
