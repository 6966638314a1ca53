"""The game on linear networks, where every step can be computed by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from toy_games import (
    BOTH,
    ORDER,
    PLAYERS,
    Mean,
    Probe,
    ToyBorrower,
    ToyDiscriminator,
    ToyGenerator,
    batch,
    optimisers,
    play,
    toy_game,
    weights_of,
)

from toolbox.config import ConfigError
from toolbox.interfaces import Augment, Turn
from toolbox.randomness import rng_for
from toolbox.training.game.average import Average
from toolbox.training.game.game import Game, NotFiniteError
from toolbox.training.game.optimizers import check_optimizers
from toolbox.training.game.phases import LossWeight, PlanError
from toolbox.training.game.turn import GameTurn


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def drawn(game: Game, step: int | str, n: int = 4, iteration: int = 0) -> torch.Tensor:
    """Latents that this step of the game draws."""
    return torch.randn(n, 2, generator=rng_for(game.seed, "fake", iteration, step))


# -- who moves, and how far ----------------------------------------------------------------------------------


def test_a_step_is_the_gradient_of_the_loss() -> None:
    game, lr = toy_game(), 0.1
    w, linear = game.network("discriminator").linear, game.network("generator").linear
    before, fake = w.weight.detach().clone(), linear(drawn(game, 0)).detach()
    play(game, lr=lr)
    expected = before - lr * (fake.mean(0) - batch()["images"].flatten(1).mean(0))
    assert torch.allclose(w.weight, expected, atol=1e-6)
    bias_step = lr * w.weight.detach()[0]  # of -E D(G(z)), and the discriminator has moved first
    fresh = ToyGenerator()
    fresh.load_state_dict(toy_game().network("generator").state_dict())
    assert torch.allclose(linear.bias, fresh.linear.bias + bias_step, atol=1e-6)


@pytest.mark.parametrize("mover", ["discriminator", "generator"])
def test_gradients_reach_only_who_moves(mover: str) -> None:
    game = toy_game(phases=[dict(player=mover)])
    other = ({"discriminator", "generator"} - {mover}).pop()
    before = weights_of(game.network(other)), weights_of(game.network(mover))
    play(game)
    assert same(before[0], weights_of(game.network(other)))
    assert all(p.grad is None for p in game.network(other).parameters())
    assert not same(before[1], weights_of(game.network(mover)))


def test_a_network_of_no_player_is_frozen() -> None:
    game = toy_game(networks={**BOTH, "judge": dict(type=nn.BatchNorm1d, num_features=3)})
    judge = game.network("judge")
    assert not any(p.requires_grad for p in judge.parameters()) and not judge.training


def test_objectives_may_own_parameters() -> None:
    class Scaled(Mean):
        trains = "generator"

        def __init__(self) -> None:
            super().__init__("generator")
            self.scale = nn.Parameter(torch.ones(()))

        def loss(self, turn: Turn) -> torch.Tensor:
            return self.scale * super().loss(turn)

    game = toy_game(objectives=dict(adversarial=dict(type="WassersteinAdversarial"), own=dict(type=Scaled)))
    play(game)
    assert float(game.objectives["own"].scale.detach()) != 1


# -- phases --------------------------------------------------------------------------------------------------


def probed(
    phases: list[dict[str, object]], iterations: int = 1, **changes: object
) -> list[dict[str, object]]:
    """Turns that both networks' probes saw, in order."""
    seen: list[dict[str, object]] = []
    game = toy_game(
        phases=phases, objectives=dict(d=dict(type=Probe), g=dict(type=Probe, network="generator")), **changes
    )
    for objective in game.objectives.values():
        objective.turns = seen
    play(game, iterations)
    return seen


def test_phases_are_played_in_the_order_of_the_list() -> None:
    assert [t["player"] for t in probed(ORDER)] == ["discriminator", "generator"]
    assert [t["player"] for t in probed(ORDER[::-1])] == ["generator", "discriminator"]


def test_every_leaves_iterations_out_and_weighs_the_rest() -> None:
    lazy = [dict(player="discriminator", every=2), dict(player="generator")]
    assert [t["iteration"] for t in probed(lazy, 5) if t["player"] == "discriminator"] == [0, 2, 4]
    once, twice = toy_game(phases=ORDER), toy_game(phases=lazy)
    start = weights_of(once.network("discriminator"))["linear.weight"]
    play(once)
    play(twice)
    step = [game.network("discriminator").linear.weight - start for game in (once, twice)]
    assert torch.allclose(step[1], 2 * step[0], atol=1e-6)


def test_repeat_splits_the_batch_and_a_single_phase_sees_the_last_part() -> None:
    seen = probed([dict(player="discriminator", repeat=2), dict(player="generator")])
    images = batch()["images"]
    assert [t["player"] for t in seen] == ["discriminator", "discriminator", "generator"]
    for turn, rows in zip(seen, (images[:2], images[2:], images[2:]), strict=True):
        assert torch.equal(turn["real"], rows)
    with pytest.raises(PlanError, match="multiple of 3"):
        probed([dict(player="discriminator", repeat=3), dict(player="generator")])


def test_fresh_fakes_differ_between_turns_and_shared_ones_do_not() -> None:
    fresh, shared = (probed(ORDER, fakes=kind) for kind in ("fresh", "shared"))
    assert not torch.equal(fresh[0]["fake"], fresh[1]["fake"])
    assert torch.equal(shared[0]["fake"], shared[1]["fake"])
    with pytest.raises(PlanError, match="'fresh' or 'shared'"):
        toy_game(fakes="both")


@pytest.mark.parametrize("order", [ORDER, ORDER[::-1]])
def test_shared_fakes_teach_the_generator_whoever_moves_first(order: list[dict[str, str]]) -> None:
    game = toy_game(phases=order, fakes="shared")
    start, expected = (
        weights_of(game.network("generator"))["linear.bias"],
        game.network("discriminator").linear.weight[0],
    )
    moved_first = order is ORDER
    expected = expected.detach().clone()
    play(game)
    if moved_first:
        expected = game.network("discriminator").linear.weight[0].detach()
    assert torch.allclose(game.network("generator").linear.bias, start + 0.1 * expected, atol=1e-6)


def test_a_second_generator_step_on_shared_fakes_draws_anew() -> None:
    seen = probed([dict(player="generator", repeat=2), dict(player="discriminator")], fakes="shared")
    assert not torch.equal(seen[0]["fake"], seen[1]["fake"])
    assert torch.equal(seen[0]["fake"], seen[2]["fake"])


def test_branches_are_summed_and_see_each_other() -> None:
    seen: list[list[torch.Tensor]] = []

    class Both(Mean):
        def loss(self, turn: Turn) -> torch.Tensor:
            seen.append([other.real.images for other in turn.branches])
            return turn.score("discriminator", turn.real).mean()

    images, view = batch()["images"], batch(seed=5)["images"]
    game = toy_game(
        branches=["images", "view"],
        objectives=dict(d=dict(type=Both)),
        phases=[ORDER[0]],
        players=dict(discriminator=["discriminator"]),
    )
    before = weights_of(game.network("discriminator"))["linear.weight"]
    game.train_step({**batch(), "view": view}, optimisers(game))
    assert len(seen) == 2 and all(
        torch.equal(turn[0], images) and torch.equal(turn[1], view) for turn in seen
    )
    expected = before - 0.1 * (images.flatten(1).mean(0) + view.flatten(1).mean(0))
    assert torch.allclose(game.network("discriminator").linear.weight, expected, atol=1e-6)


# -- turns ---------------------------------------------------------------------------------------------------


def turn_of(game: Game, player: str, shared: dict[object, object], rows: slice = slice(0, 4)) -> GameTurn:
    real = shared.setdefault(("real", rows.start), game.receive(batch())[rows])
    return GameTurn(game, player, real, 0, 0, shared)


def test_a_turn_is_a_turn() -> None:
    assert isinstance(turn_of(toy_game(), "generator", {}), Turn)


def test_once_lives_for_the_turn_and_frozen_for_the_iteration() -> None:
    game, shared, calls = toy_game(), {}, []
    for player in ("discriminator", "generator"):
        turn = turn_of(game, player, shared)
        for _ in range(2):
            turn.once("key", lambda: calls.append("once"))
            turn.frozen("key", lambda: calls.append("frozen"))
    assert calls == ["once", "frozen", "once"]


def test_frozen_values_belong_to_their_part_of_the_batch() -> None:
    class Remember(Probe):
        def loss(self, turn: Turn) -> torch.Tensor:
            kept = turn.frozen("mean", lambda: turn.real.images.mean())
            assert kept == turn.real.images.mean()
            return super().loss(turn)

    game = toy_game(
        phases=[dict(player="discriminator", repeat=8)],
        objectives=dict(d=dict(type=Remember)),
        players=dict(discriminator=["discriminator"]),
    )
    play(game, 3, n=16)


def test_a_sample_is_encoded_once_a_turn() -> None:
    class Counting(ToyDiscriminator):
        calls = 0

        def encode(self, images: torch.Tensor) -> torch.Tensor:
            Counting.calls += 1
            return super().encode(images)

    game = toy_game(networks={**BOTH, "discriminator": dict(type=Counting)})
    turn = turn_of(game, "discriminator", {})
    assert torch.equal(turn.score("discriminator", turn.real), turn.score("discriminator", turn.real))
    real, fake = turn.score_pair("discriminator", turn.real, turn.fake)
    assert (
        Counting.calls == 2
        and torch.allclose(fake, turn.score("discriminator", turn.fake))
        and len(real) == 4
    )


class Watching(Augment):
    """Changes nothing, remembers what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []
        self.ends: list[tuple[int, int]] = []

    def forward(self, images: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
        return images

    def observe(self, logits: torch.Tensor) -> None:
        self.seen.append(logits)

    def after_iteration(self, iteration: int, images: int) -> None:
        self.ends.append((iteration, images))

    def log(self) -> dict[str, torch.Tensor]:
        return {"p": torch.tensor(0.25)}


@pytest.mark.parametrize("joint", [False, True])
def test_an_augmentation_learns_what_the_discriminator_makes_of_real_images(joint: bool) -> None:
    """Once in the discriminator's turn, of the real images alone; never in the generator's."""
    game = toy_game(
        augment=dict(type=Watching), objectives=dict(adversarial=dict(type="HingeAdversarial", joint=joint))
    )
    before = game.network("discriminator").linear.weight.detach().clone()
    logs = play(game, 1)
    assert game.augment.ends == [(0, 4)] and float(logs[0]["augment/p"]) == 0.25
    (seen,) = game.augment.seen
    assert torch.allclose(seen, batch()["images"].flatten(1) @ before[0])


def test_an_unknown_network_names_the_near_miss() -> None:
    with pytest.raises(PlanError, match="did you mean 'generator'"):
        toy_game().network("genrator")


def test_an_objective_that_asks_for_an_unknown_network_is_named() -> None:
    class Asking(Mean):
        def loss(self, turn: Turn) -> torch.Tensor:
            return turn.network("genrator")(torch.zeros(1, 2)).mean()

    game = toy_game(objectives=dict(adversarial=dict(type="WassersteinAdversarial"), asks=dict(type=Asking)))
    with pytest.raises(PlanError, match=r"model.objectives.asks: the game has no network 'genrator'"):
        game.train_step(batch(), optimisers(game))


def test_data_without_images_is_refused() -> None:
    with pytest.raises(PlanError, match=r"the data set gives \['picture'\]"):
        toy_game().receive(dict(picture=torch.zeros(2)))


# -- randomness ----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))  # the global generator must not matter
        game = toy_game(seed=seed)
        play(game, 5)
        runs.append(weights_of(game))
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


class Careless(Mean):
    """A term that draws from every global generator."""

    def loss(self, turn: Turn) -> torch.Tensor:
        return super().loss(turn) * (random.random() + np.random.rand() + torch.rand(()))  # noqa: NPY002


def test_careless_draws_are_a_function_of_the_iteration_too() -> None:
    runs = []
    for stop in (False, True):
        game = toy_game(objectives=dict(careless=dict(type=Careless)), phases=[dict(player="discriminator")])
        play(game, 2)
        if stop:  # as a resumed process would find them
            random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
        play(game, 2)
        runs.append(weights_of(game))
    assert same(*runs)


def test_adding_a_network_changes_no_others() -> None:
    more = {"aaa": dict(type=nn.Linear, in_features=2, out_features=2), **BOTH}
    one, other = toy_game(), toy_game(networks=more)
    for name in BOTH:
        assert same(weights_of(one.network(name)), weights_of(other.network(name)))


class Scaled(Mean):
    """A term with a parameter of its own, drawn at random."""

    trains = "discriminator"

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(()))


def test_adding_an_objective_changes_no_others() -> None:
    terms = dict(adversarial=dict(type="WassersteinAdversarial"), scaled=dict(type=Scaled))
    one, other = toy_game(objectives=terms), toy_game(objectives=dict(a=dict(type=Scaled), **terms))
    assert torch.equal(one.objectives["scaled"].scale, other.objectives["scaled"].scale)


def test_sampling_in_between_changes_nothing() -> None:
    from toolbox.training.game.sampler import Sampler

    plain, disturbed = toy_game(), toy_game()
    play(plain, 2)
    for _ in range(2):
        play(disturbed)
        Sampler(disturbed, seed=3)(torch.arange(4))
        torch.rand(17)
        disturbed.train()
    assert same(weights_of(plain), weights_of(disturbed))


# -- weights of loss terms -----------------------------------------------------------------------------------


def test_a_weight_ramps_in_iterations_and_in_kimg() -> None:
    ramp = LossWeight.read(dict(to=2.0, begin=10, end=20), "x")
    assert [ramp.at(i, 0) for i in (0, 10, 15, 20, 99)] == [0, 0, 1, 2, 2]
    by_kimg = LossWeight.read(dict(to=1.0, start=0.5, end=4, unit="kimg"), "x")
    assert [by_kimg.at(0, k) for k in (0, 2, 4)] == [0.5, 0.75, 1]
    assert LossWeight.read(3, "x").at(0, 0) == 3
    with pytest.raises(PlanError, match="did you mean 'begin'"):
        LossWeight.read(dict(beginn=1), "x")
    with pytest.raises(PlanError, match="unit='epochs'"):
        LossWeight.read(dict(unit="epochs"), "x")


def test_the_weight_scales_the_step() -> None:
    def step(**weight: object) -> torch.Tensor:
        game = toy_game(
            objectives=dict(a=dict(type=Mean, **weight)),
            phases=[ORDER[0]],
            players=dict(discriminator=["discriminator"]),
        )
        start = weights_of(game.network("discriminator"))["linear.weight"]
        play(game)
        return game.network("discriminator").linear.weight - start

    assert torch.allclose(step(weight=3.0), 3 * step(), atol=1e-6)
    assert not step(weight=dict(to=1.0, end=5)).any()


# -- what cannot be played -----------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_before_the_step() -> None:
    objectives = dict(adversarial=dict(type="WassersteinAdversarial"), bad=dict(type=Mean, broken=1))
    game = toy_game(objectives=objectives)
    wrappers = optimisers(game)
    game.train_step(batch(), wrappers)
    before = weights_of(game)
    with pytest.raises(
        NotFiniteError, match=r"iteration 1, player 'discriminator'.* bad \(of discriminator\)\. No step"
    ):
        game.train_step(batch(), wrappers)
    assert same(before, weights_of(game))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            dict(
                objectives=dict(
                    adversarial=dict(type="WassersteinAdversarial"), x=dict(type=Mean, network="classifier")
                )
            ),
            "objective 'x' .* is not used by any phase",
        ),
        (dict(objectives=dict(d=dict(type=Mean))), "phase of player 'generator' has no loss"),
        (dict(phases=[dict(player="genrator")]), "unknown player 'genrator' - did you mean 'generator'"),
        (dict(phases=[dict(player="generator", objectives=["adversarail"])]), "did you mean 'adversarial'"),
        (dict(phases=[dict(player="generator", every=0)]), "every=0 must be a whole number of 1 or more"),
        (
            dict(players=dict(generator=["generatr"])),
            "network 'generatr', which does not exist - did you mean 'generator'",
        ),
        (
            dict(
                players=dict(discriminator=["discriminator"], generator=["generator"], idle=["bare"]),
                networks={**BOTH, "bare": dict(type=nn.Identity)},
            ),
            "player 'idle' has nothing to move",
        ),
        (
            dict(
                networks={
                    **BOTH,
                    "a": dict(type=ToyBorrower, uses=dict(other="b")),
                    "b": dict(type=ToyBorrower, uses=dict(other="a")),
                }
            ),
            "use each other in a circle",
        ),
        (
            dict(networks={**BOTH, "a": dict(type=ToyBorrower, uses=dict(other="generatr"))}),
            "uses 'generatr', which does not exist",
        ),
        (
            dict(networks={**BOTH, "generator": dict(type=ToyGenerator, freeze_layers=["linaer"])}),
            "freeze_layers names 'linaer'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        toy_game(**changes)


def test_optimisers_and_players_must_agree() -> None:
    from toolbox.training.game.optimizers import PlayerOptimizers

    adam = dict(optimizer=dict(type="Adam", lr=1e-3))
    with pytest.raises(PlanError, match="no entry for the player 'generator'"):
        PlayerOptimizers(dict(discriminator=adam))(toy_game())
    with pytest.raises(PlanError, match="'genrator' - did you mean 'generator'"):
        PlayerOptimizers(dict(discriminator=adam, genrator=adam))(toy_game())
    with pytest.raises(ConfigError, match=r"optim_wrapper.generator.lr_mult has no key 'discriminator'"):
        PlayerOptimizers({name: dict(adam, lr_mult=dict(discriminator=2.0)) for name in PLAYERS})(
            toy_game(players=dict(generator=["generator"], discriminator=["discriminator"]))
        )


# -- borrowing, freezing, averaging --------------------------------------------------------------------------


def test_a_borrowed_network_is_built_first_and_not_owned_twice() -> None:
    game = toy_game(networks={"a": dict(type=ToyBorrower, uses=dict(other="generator")), **BOTH})
    assert game.network("a").borrowed[0] is game.network("generator")
    assert not any("borrowed" in key for key in game.state_dict())


def test_frozen_layers_do_not_move() -> None:
    game = toy_game(networks={**BOTH, "generator": dict(type=ToyGenerator, freeze_layers=["linear.bias"])})
    before = weights_of(game.network("generator"))
    play(game, 3)
    after = weights_of(game.network("generator"))
    assert torch.equal(before["linear.bias"], after["linear.bias"])
    assert not torch.equal(before["linear.weight"], after["linear.weight"])


def test_clipping_of_one_network() -> None:
    game = toy_game(players=dict(both=["generator", "discriminator"]), phases=[dict(player="both")])
    wrapper = optimisers(game, lr=1.0, clip_grad=dict(max_norm=0.5, networks=["generator"]))["both"]
    before = {name: weights_of(game.network(name)) for name in PLAYERS}
    for parameter in game.trained_parameters("both"):
        parameter.grad = torch.ones_like(parameter)
    wrapper.step()
    steps = {
        name: torch.cat([(value - before[name][key]).flatten() for key, value in weights_of(network).items()])
        for name, network in game.networks.items()
    }
    assert float(steps["generator"].norm()) == pytest.approx(0.5, rel=1e-4)
    assert torch.allclose(steps["discriminator"], torch.tensor(-1.0))


@pytest.mark.parametrize(
    ("clipping", "message"),
    [
        (dict(max_norm=1.0, networks=["generatr"]), r"'generatr' - did you mean 'generator'.* is not among"),
        (dict(max_norm=1.0, networks="generator"), "networks='generator' must be a list of networks of the"),
        (
            dict(max_norm=1.0, networks=["discriminator"]),
            "'discriminator' is not among networks of the player",
        ),
        (dict(networks=["generator"]), r"clip_grad=\{'networks': \['generator'\]\} clips nothing"),
    ],
)
def test_clipping_of_networks_that_are_none(clipping: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_optimizers(
            dict(generator=dict(optimizer=dict(type="SGD", lr=1.0), clip_grad=clipping)),
            dict(generator=["generator"]),
        )


def test_lr_mult_scales_one_networks_rate() -> None:
    def step(**changes: object) -> torch.Tensor:
        game = toy_game()
        start = weights_of(game.network("discriminator"))["linear.weight"]
        from toolbox.training.game.optimizers import PlayerOptimizers

        plain = dict(optimizer=dict(type="SGD", lr=0.1))
        game.train_step(
            batch(), PlayerOptimizers(dict(generator=plain, discriminator={**plain, **changes}))(game)
        )
        return game.network("discriminator").linear.weight - start

    assert torch.allclose(step(lr_mult=dict(discriminator=3.0)), 3 * step(), atol=1e-6)


def test_an_average_is_a_copy_before_its_start_and_then_decays_exactly() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average(network, decay=0.75, start=1)
    nn.init.constant_(network.weight, 4.0)
    average.update(network, 0, 0.0, 4)
    assert float(average.module.weight) == 4
    nn.init.constant_(network.weight, 8.0)
    average.update(network, 1, 0.0, 4)
    assert float(average.module.weight) == 0.75 * 4 + 0.25 * 8
    with pytest.raises(ValueError, match=r"decay=1\.5"):
        Average(network, decay=1.5)


def test_the_half_life_ramps_up_as_in_stylegan2() -> None:
    average = Average(nn.Linear(1, 1), half_life_kimg=10, rampup=0.05)
    assert average.decay_at(0, kimg=1000, batch=10_000) == pytest.approx(0.5)
    assert average.decay_at(0, kimg=20, batch=1000) == pytest.approx(0.5)  # half-life 0.05 * 20 = 1 kimg
    assert average.decay_at(0, kimg=0, batch=32) == 0.0
    assert Average(nn.Linear(1, 1), half_life_kimg=10).decay_at(0, kimg=0, batch=10_000) == pytest.approx(0.5)


@pytest.mark.parametrize("averaged", [True, False])
def test_floating_buffers_are_averaged_or_copied_and_counts_copied(averaged: bool) -> None:
    norm = nn.BatchNorm1d(2)
    average = Average(norm, decay=0.5, average_buffers=averaged)
    norm.running_mean.fill_(2.0)
    norm.num_batches_tracked.fill_(7)
    average.update(norm, 0, 0.0, 1)
    assert float(average.module.running_mean[0]) == (1.0 if averaged else 2.0)
    assert int(average.module.num_batches_tracked) == 7


def test_the_average_follows_the_game_and_never_trains() -> None:
    game = toy_game(average=dict(generator=dict(decay=0.9)))
    play(game, 3)
    game.train()
    averaged = game.network("generator", averaged=True)
    assert averaged is not game.network("generator") and not averaged.training
    assert not torch.equal(averaged.linear.weight, game.network("generator").linear.weight)
    assert game.network("discriminator", averaged=True) is game.network("discriminator")


def test_batchnorm_follows_the_generators_own_turns_only() -> None:
    networks = {**BOTH, "generator": dict(type=ToyGenerator, norm=True)}
    game = toy_game(
        networks=networks, phases=[dict(player="discriminator", repeat=2), dict(player="generator")]
    )
    play(game)
    assert int(game.network("generator").norm.num_batches_tracked) == 1


def test_the_log_is_the_mean_since_the_last_reading() -> None:
    each, rare = toy_game(log_every=1), toy_game(log_every=2)
    every, some = play(each, 3), play(rare, 3)
    assert some[1] == {}
    name = "adversarial/generator"
    assert float(some[2][name]) == pytest.approx(float(every[1][name] + every[2][name]) / 2, abs=1e-6)


def test_progress_counts_images() -> None:
    game = toy_game()
    play(game, 3)
    assert int(game.images_seen) == 12 and int(game.iteration) == 3
