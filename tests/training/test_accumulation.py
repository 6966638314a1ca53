"""Gradient accumulation: a step of the whole batch in the memory of a part of it."""

from __future__ import annotations

import pytest
import torch
from smooth_games import largest_difference, smooth_game, weights_after
from toy_games import toy_game

from toolbox.training.game.game import PlanError


@pytest.mark.parametrize("splits", [2, 4])
@pytest.mark.parametrize("fakes", ["fresh", "shared"])
def test_it_equals_the_larger_batch(splits: int, fakes: str) -> None:
    """Latents, labels, noise and augmentation are drawn whole and then split: in float64 nothing else is left
    to differ.
    """
    whole = weights_after(smooth_game(torch.float64, fakes=fakes), 3)
    split = smooth_game(torch.float64, d=dict(accumulate=splits), g=dict(accumulate=splits), fakes=fakes)
    assert largest_difference(weights_after(split, 3), whole) < 1e-12


def test_players_may_accumulate_differently() -> None:
    whole = weights_after(smooth_game(torch.float64), 2)
    assert (
        largest_difference(weights_after(smooth_game(torch.float64, g=dict(accumulate=4)), 2), whole) < 1e-12
    )


def test_the_logged_loss_is_the_mean() -> None:
    games = smooth_game(torch.float64), smooth_game(torch.float64, d=dict(accumulate=2), g=dict(accumulate=2))
    for game in games:
        game.log_every = 100
        weights_after(game, 1)
    whole, split = (game.log.read() for game in games)
    assert whole.keys() == split.keys()
    for name, value in whole.items():
        assert torch.allclose(split[name], value, rtol=1e-12), name


def test_batchnorm_does_couple_the_images() -> None:
    """What is said in the docs: there the splits differ from the whole."""

    def after(accumulate: int) -> dict[str, torch.Tensor]:
        from toy_games import BOTH, ToyGenerator, play, weights_of

        game = toy_game(
            networks={**BOTH, "generator": dict(type=ToyGenerator, norm=True)},
            phases=[dict(player="discriminator"), dict(player="generator", accumulate=accumulate)],
        )
        play(game, 2)
        return weights_of(game)

    assert largest_difference(after(1), after(2)) > 1e-6


def test_a_batch_that_cannot_be_split() -> None:
    with pytest.raises(PlanError, match="multiple of 6"):
        weights_after(smooth_game(d=dict(accumulate=3)), 1)
    with pytest.raises(PlanError, match="accumulate=0 must be a whole number of 1 or more"):
        smooth_game(d=dict(accumulate=0))
