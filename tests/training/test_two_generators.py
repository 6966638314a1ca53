"""A frozen generator beside the one that learns: what the second makes of the first's fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_games import ToyDiscriminator, ToyGenerator, batch, optimisers, toy_game

from toolbox.interfaces import Objective, Sample, Turn
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.training.game.game import Game
from toolbox.training.game.turn import GameTurn

STYLE = dict(type=StyleGAN2Generator, image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8)


def two_generators(**changes: Any) -> Game:
    """The source has the weights of the generator, and differs in nothing else."""
    game = toy_game(
        networks=dict(
            generator=dict(STYLE, style_mixing_prob=1.0, **changes),
            source=STYLE,
            discriminator=dict(type=ToyDiscriminator, image_size=8),
        ),
        players=dict(discriminator=["discriminator"], generator=["generator"]),
    )
    for layer in game.network("generator").synthesis.layers():
        nn.init.constant_(layer.noise_strength, 0.5)
    for parameter in game.network("generator").synthesis.parameters():
        parameter.data.mul_(2.0)  # images beyond [-1, 1]
    game.network("source").load_state_dict(game.network("generator").state_dict())
    return game


def turn_of(game: Game, n: int = 4) -> GameTurn:
    return GameTurn(game, "generator", game.receive(batch(n, size=8)), 0, 1, {})


@pytest.mark.parametrize("fakes", ["fresh", "shared"])
def test_equal_weights_and_noise_make_equal_images(fakes: str) -> None:
    game = two_generators()
    game.fakes = fakes
    turn = turn_of(game)
    fake, twin = turn.fake, turn.generate("source", same_noise=True)
    assert float(fake.images.detach().abs().max()) > 1, "neither is clipped"
    assert len({tuple(w.tolist()) for w in fake.extras["ws"][0]}) == 2, "styles are mixed"
    assert torch.equal(twin.images, fake.images) and not twin.images.requires_grad


def test_noise_is_a_function_of_turn_and_name() -> None:
    game = two_generators()
    first, second = turn_of(game), turn_of(game)
    torch.rand(7, generator=second.rng)  # whatever else a turn draws
    one, other = first.generate("source"), second.generate("source")
    assert torch.equal(one.images, other.images)
    assert not torch.equal(one.images, first.fake.images)
    assert torch.equal(one.extras["ws"], first.fake.extras["ws"])
    assert first.generate("source") is one, "once a turn"


def test_a_generator_of_other_styles_maps_the_latents_itself() -> None:
    other = StyleGAN2Generator(image_size=8, latent_dim=4, style_dim=8, channel_base=64, channel_max=8)
    latents = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    made = other.remake(Sample(torch.zeros(2, 3, 8, 8), latents=latents, extras={"ws": torch.zeros(2, 4, 6)}))
    torch.testing.assert_close(made.images, other.eval()(latents))


def test_a_bounded_generator_generates_and_an_unbounded_one_is_not_clipped() -> None:
    latents = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    for bounded in (True, False):
        generator = ToyGenerator().eval()
        nn.init.constant_(generator.linear.bias, 3.0)
        generator.bounded = bounded
        made = generator.remake(Sample(torch.zeros(2, 3, 2, 2), latents=latents))
        assert torch.equal(made.images, generator(latents)) and float(made.images.max()) > 1
    with pytest.raises(ValueError, match="the sample has no latents"):
        generator.remake(Sample(torch.zeros(2, 3, 2, 2)))


def mean_w(**changes: Any) -> tuple[Tensor, Tensor]:
    game = two_generators(**changes).train()
    before = game.network("generator").mapping.w_avg.clone()
    game.train_step(batch(size=8), optimisers(game))
    return before, game.network("generator").mapping.w_avg


def test_the_mean_w_of_a_frozen_mapping_stands_still() -> None:
    assert torch.equal(*mean_w(freeze_layers=["mapping."]))
    assert not torch.equal(*mean_w())


def test_a_frozen_generator_of_a_game_is_not_clipped_and_adds_fresh_noise() -> None:
    game = two_generators()
    learning = turn_of(game).generate("source", same_noise=True)
    frozen = two_generators()
    frozen.generator = "source"
    assert not frozen.network("source").training
    fakes = [
        GameTurn(frozen, "discriminator", frozen.receive(batch(4, size=8)), 0, k, {}).fake for k in (1, 1, 2)
    ]
    assert float(fakes[0].images.abs().max()) > 1 and learning.images.shape == fakes[0].images.shape
    assert torch.equal(fakes[0].images, fakes[1].images), "a function of the turn"
    const = frozen.network("source")(fakes[0].latents)
    assert not torch.equal(fakes[0].images, const), "noise is drawn"
    assert not torch.equal(fakes[0].images, fakes[2].images)


class Difference(Objective):
    """Mean difference of the two, of which the largest is kept: 0 while the weights are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.largest: list[float] = []

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": self.loss}

    def loss(self, turn: Turn) -> Tensor:
        fake, twin = turn.fake.images, turn.generate("source", same_noise=True).images
        self.largest.append(float((fake - twin).detach().abs().max()))
        return (fake - twin).mean()


@pytest.mark.parametrize("fakes", ["fresh", "shared"])
@pytest.mark.parametrize("data", [batch(size=8), dict(row=torch.arange(4))], ids=["images", "no images"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_they_are_equal_in_every_split_and_part_of_an_iteration(
    fakes: str, data: dict[str, Tensor], accumulate: int
) -> None:
    made = two_generators()
    game = toy_game(
        networks=dict(generator=dict(STYLE, style_mixing_prob=1.0, freeze_layers=["mapping."]), source=STYLE),
        players=dict(generator=["generator"]),
        phases=[dict(player="generator", accumulate=accumulate, repeat=2)],
        objectives=dict(difference=dict(type=Difference)),
        fakes=fakes,
    )
    for name in ("generator", "source"):
        game.network(name).load_state_dict(made.network(name).state_dict())
    before = game.network("generator").mapping.w_avg.clone()
    game.train_step(data, optimisers(game, lr=0.0))
    found = game.plan.objectives["difference"].largest
    assert len(found) == 2 * accumulate and max(found) == 0
    assert torch.equal(before, game.network("generator").mapping.w_avg)
