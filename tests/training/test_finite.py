"""A loss that is not finite, on a device that nobody waits for: no weight moves, the next reading tells."""

from __future__ import annotations

import pytest
import torch
from toy_games import Mean, batch, optimisers, toy_game, weights_of

from toolbox.training.game.finite import FiniteGate, NotFiniteError
from toolbox.training.game.game import Game

BROKEN = dict(adversarial=dict(type="WassersteinAdversarial"), bad=dict(type=Mean, broken=1))


def patient(**changes: object) -> Game:
    game = toy_game(objectives=BROKEN, log_every=4, **changes)
    game.finite.at_once = False
    return game


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def networks(game: Game) -> dict[str, torch.Tensor]:
    return weights_of(game.networks)


def test_no_weight_moves_after_it_and_the_reading_names_it() -> None:
    game = patient()
    wrappers = optimisers(game)
    game.train_step(batch(), wrappers)
    before = networks(game)
    for _ in range(3):
        game.train_step(batch(), wrappers)
        assert same(before, networks(game))
    with pytest.raises(
        NotFiniteError, match=r"iteration 1: .* comes from bad \(of discriminator\)\. No step"
    ):
        game.train_step(batch(), wrappers)
    assert same(before, networks(game))


def test_a_checkpoint_is_not_written_from_it() -> None:
    game = patient()
    wrappers = optimisers(game)
    for _ in range(2):
        game.train_step(batch(), wrappers)
    with pytest.raises(NotFiniteError, match="iteration 1"):
        game.log_state()


def test_finite_losses_step_as_they_do_without_waiting() -> None:
    fine = dict(adversarial=dict(type="WassersteinAdversarial"))
    states = []
    for at_once in (True, False):
        game = toy_game(objectives=fine)
        game.finite.at_once = at_once
        wrappers = optimisers(game)
        for number in range(3):
            game.train_step(batch(seed=number), wrappers)
        states.append(weights_of(game))
    assert same(*states)


def test_an_optimiser_that_takes_no_flag_waits_and_refuses() -> None:
    gate = FiniteGate()
    gate.note(torch.tensor(float("inf")), 5)
    parameter = torch.nn.Parameter(torch.ones(2))
    plain = type("Wrapper", (), dict(optimizer=torch.optim.RMSprop([parameter]), step=lambda self: None))()
    with pytest.raises(NotFiniteError):
        gate.step(plain, gate.bad())
    assert gate.first() == 5


def test_the_first_one_is_remembered() -> None:
    gate = FiniteGate()
    for iteration, value in enumerate([1.0, float("nan"), 2.0, float("nan")]):
        gate.note(torch.tensor(value), iteration)
    assert gate.first() == 1 and gate.bad() == 1
