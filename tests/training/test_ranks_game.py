"""Two real processes play the game of one with twice the rows each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from pairs import run_pair
from smooth_games import largest_difference, my_rows, smooth_game, weights_after, whole_batch
from torch import Tensor, nn
from toy_games import BOTH, ToyGenerator, batch, optimisers, toy_game

from toolbox import ranks
from toolbox.interfaces import Objective, Turn
from toolbox.training.game.gradients import GradientAverage

# -- what each process runs ----------------------------------------------------------------------------------


def weights(dtype: torch.dtype, iterations: int, lr: float, changes: Mapping[str, Any]) -> dict[str, Tensor]:
    return weights_after(smooth_game(dtype, **changes), iterations, lr)


def adam_weights(iterations: int) -> dict[str, Tensor]:
    from toolbox.training.game.optimizers import PlayerOptimizers

    game = smooth_game()
    adam = dict(optimizer=dict(type="Adam", lr=1e-3, betas=(0.0, 0.99)))
    wrappers = PlayerOptimizers(dict.fromkeys(game.players, adam))(game)
    for iteration in range(iterations):
        game.train_step(my_rows(whole_batch(iteration), game.repeats, ranks.rank(), ranks.world()), wrappers)
    return dict(game.state_dict())


def logs(iterations: int) -> list[dict[str, Tensor]]:
    game = smooth_game(torch.float64)
    wrappers = optimisers(game)
    game.log_every = iterations
    rows = [my_rows(whole_batch(i), game.repeats, ranks.rank(), ranks.world()) for i in range(iterations + 1)]
    return [game.train_step(mine, wrappers) for mine in rows]


def gathered() -> Tensor:
    game = smooth_game()
    return game.gather(my_rows(whole_batch(0), game.repeats, ranks.rank(), ranks.world())["index"])


class SomebodyMoves(Objective):
    """Only rank 1's loss depends on the bias of the generator's layer, nobody's on its weight."""

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": self.loss}

    def loss(self, turn: Turn) -> Tensor:
        bias: Tensor = turn.network("generator").linear.bias
        return 4 * bias.sum() if ranks.rank() == 1 else torch.zeros((), requires_grad=True) * 1


def gradients_of_some() -> list[float | None]:
    found: list[float | None] = []
    game = toy_game(phases=[dict(player="generator")], objectives=dict(some=dict(type=SomebodyMoves)))
    wrapper = optimisers(game)["generator"]
    wrapper.zero_grad = lambda: found.extend(
        None if p.grad is None else float(p.grad.flatten()[0]) for p in game.trained_parameters("generator")
    )
    game.train_step(batch(4), {"generator": wrapper})  # type: ignore[arg-type]
    return found


def running_statistics() -> dict[str, Tensor]:
    game = toy_game(
        networks={**BOTH, "generator": dict(type=ToyGenerator, norm=True)},
        average=dict(generator=dict(decay=0.5)),
    )
    whole = batch(8)
    game.train_step(my_rows(whole, 1, ranks.rank(), ranks.world()), optimisers(game))
    return dict(game.state_dict())


def wishes(asking: int) -> list[bool]:
    gradients, seen = GradientAverage(), []
    for iteration in range(3):
        gradients.asked = iteration == 1 and ranks.rank() == asking
        parameter = nn.Parameter(torch.ones(2))
        parameter.grad = torch.ones(2)
        gradients.average([parameter])
        seen.append(gradients.stopping)
    return seen


# -- what must come of it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{}, dict(fakes="shared"), dict(d=dict(accumulate=2), g=dict(accumulate=4))],
    ids=["fresh", "shared", "accumulated"],
)
def test_gradients_in_float64(changes: dict[str, Any]) -> None:
    """One iteration of plain gradient descent: weights differ by the rate times what gradients differ by."""
    rate = 0.1
    one = weights(torch.float64, 1, rate, {**changes, "d": {}, "g": {}})
    for other in run_pair(weights, torch.float64, 1, rate, changes):
        assert largest_difference(one, other) < 1e-12 * rate


def test_three_processes() -> None:
    def of_12(world: int) -> dict[str, Tensor]:
        return run_pair(weights_of_12, world=world)[0]

    assert largest_difference(of_12(3), weights_of_12()) < 1e-12


def weights_of_12() -> dict[str, Tensor]:
    return weights_after(smooth_game(torch.float64), 2, n=12)


def test_weights_after_20_steps_in_float32() -> None:
    one, (first, second) = (
        weights(torch.float32, 20, 0.02, {}),
        run_pair(weights, torch.float32, 20, 0.02, {}),
    )
    assert largest_difference(one, first) < 1e-5
    assert largest_difference(first, second) == 0


def test_weights_after_20_steps_of_adam() -> None:
    one, (first, second) = adam_weights(20), run_pair(adam_weights, 20)
    assert largest_difference(one, first) < 1e-5
    assert largest_difference(first, second) == 0


def test_logged_losses_are_those_of_all() -> None:
    one, pair = logs(4), run_pair(logs, 4)
    for read in pair:
        assert [set(line) for line in read] == [set(line) for line in one]
        for mine, theirs in zip(one, read, strict=True):
            assert all(torch.allclose(mine[name].double(), theirs[name].double(), atol=1e-6) for name in mine)


def test_gathered_rows_are_in_the_order_of_one() -> None:
    for rows in run_pair(gathered):
        assert torch.equal(rows, torch.arange(16))


def test_a_gradient_that_only_one_rank_has() -> None:
    for weight, bias in run_pair(gradients_of_some):
        assert weight is None  # an optimiser with momentum must not take it for a zero
        assert bias == 2.0  # the mean of 4 and nothing


def test_running_statistics_are_averaged_before_the_average_follows() -> None:
    first, second = run_pair(running_statistics)
    assert largest_difference(first, second) == 0
    assert (
        largest_difference(first, running_statistics()) > 1e-6
    )  # each rank normalises by its own rows: not those of one


@pytest.mark.parametrize("asking", [0, 1])
def test_everybody_stops_after_the_same_iteration(asking: int) -> None:
    assert run_pair(wishes, asking) == [[False, True, False]] * 2
