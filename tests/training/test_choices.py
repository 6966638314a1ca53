"""What moves in a step, where a phase leaves that to a component."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_games import BOTH, Mean, ToyGenerator, batch, optimisers, play, toy_game, weights_of

from toolbox import testing
from toolbox.interfaces import Choice, Choosing, Objective, Turn
from toolbox.training.game.phases import PlanError


class Named(Choice):
    """Always the same."""

    formula = "what its config names"

    def __init__(self, names: Sequence[str] = ("generator.linear.bias",)) -> None:
        super().__init__()
        self.names = names
        self.asked: list[tuple[str, int]] = []
        self.wanted_gradients: list[bool] = []

    def choose(self, game: Choosing) -> Sequence[str]:
        self.asked.append((game.player, game.iteration))
        generator = game.network("generator")
        self.wanted_gradients += [parameter.requires_grad for parameter in generator.parameters()]
        return self.names


class Drawn(Choice):
    """Weight or bias, by the sign of what an image of its own draws shows."""

    def choose(self, game: Choosing) -> Sequence[str]:
        latents, condition = game.draw(3)
        leaf = latents.requires_grad_()
        shown = game.network("generator")(leaf, condition).sum() + torch.randn((), generator=game.rng)
        (gradient,) = torch.autograd.grad(shown, leaf)
        assert gradient.abs().sum() > 0
        return ["generator.linear.weight" if shown > 0 else "generator.linear.bias"]


class Scale(Objective):
    """A term with a parameter of its own, which joins the generator's player."""

    trains = "generator"

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": lambda turn: self.factor * turn.fake.images.mean()}


def game_of(choice: Any = None, accumulate: int = 1, **changes: Any) -> Any:
    moves = dict(type=Named) if choice is None else choice
    phases = [dict(player="discriminator"), dict(player="generator", moves=moves, accumulate=accumulate)]
    return toy_game(phases=phases, **changes)


def moved(game: Any, iterations: int = 1) -> set[str]:
    """Parameters of the generator that are not as they were."""
    before = weights_of(game.network("generator"))
    play(game, iterations)
    after = weights_of(game.network("generator"))
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("fakes", ["fresh", "shared"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_only_what_was_chosen_moves(fakes: str, accumulate: int) -> None:
    terms = dict(
        adversarial=dict(type="WassersteinAdversarial"), more=dict(type=Mean, network="generator", factor=3.0)
    )
    game = game_of(accumulate=accumulate, fakes=fakes, objectives=terms)
    assert moved(game, 2) == {"linear.bias"}
    (choice,) = game.choices.values()
    assert choice.asked == [("generator", 0), ("generator", 1)], "once a step"
    assert not any(choice.wanted_gradients)
    assert not torch.equal(*discriminator_before_and_after(game))


def discriminator_before_and_after(game: Any) -> tuple[Tensor, Tensor]:
    before = weights_of(game.network("discriminator"))["linear.weight"]
    play(game)
    return before, weights_of(game.network("discriminator"))["linear.weight"]


def test_the_beginning_of_a_name_chooses_all_that_begin_so() -> None:
    assert moved(game_of(dict(type=Named, names=["generator."]))) == {"linear.weight", "linear.bias"}


def test_an_objectives_own_parameters_move_all_the_same() -> None:
    game = game_of(objectives=dict(adversarial=dict(type="WassersteinAdversarial"), scale=dict(type=Scale)))
    play(game)
    assert game.objectives["scale"].factor.item() != 1.0


def test_choices_change_from_step_to_step_and_are_repeated_by_a_resumed_game() -> None:
    def chosen(game: Any, iterations: int) -> list[set[str]]:
        return [moved_at(game) for _ in range(iterations)]

    def moved_at(game: Any) -> set[str]:
        before = weights_of(game.network("generator"))
        game.train_step(batch(seed=int(game.iteration)), optimisers(game))
        after = weights_of(game.network("generator"))
        return {name for name in before if not torch.equal(before[name], after[name])}

    whole = game_of(dict(type=Drawn))
    first = chosen(whole, 3)
    state = {name: value.clone() for name, value in whole.state_dict().items()}
    rest = chosen(whole, 5)
    assert {frozenset(names) for names in first + rest} == {
        frozenset({"linear.bias"}),
        frozenset({"linear.weight"}),
    }
    resumed = game_of(dict(type=Drawn))
    resumed.load_state_dict(state)
    assert chosen(resumed, 5) == rest


def random_game() -> Any:
    generator = dict(type=ToyGenerator, latent_dim=4, image_size=8)
    discriminator = dict(BOTH["discriminator"], image_size=8)
    return game_of(dict(type=Drawn), networks=dict(generator=generator, discriminator=discriminator))


def test_two_processes_choose_as_one() -> None:
    testing.check_ranks(random_game)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["generator.linaer"], "Named chose 'generator.linaer', which no parameter of generator begins with"),
        (["discriminator.linear"], "which no parameter of generator begins with"),
        ([], "Named chose nothing that player 'generator' moves"),
    ],
)
def test_what_cannot_be_chosen_is_named(names: list[str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        play(game_of(dict(type=Named, names=names)))


class Careless(Named):
    """Breaks one promise, the one it is told."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def choose(self, game: Choosing) -> Sequence[str]:
        generator = game.network("generator")
        if self.how == "chance" and torch.rand(()) < 2:
            return ["generator.linear.bias"]
        if self.how == "weights":
            generator.linear.weight.data.add_(1.0)
        if self.how == "gradients":
            generator.linear.weight.grad = torch.ones_like(generator.linear.weight)
        if self.how == "memory":
            self.asked.append(("", 0))
            return [("generator.linear.bias", "generator.linear.weight")[len(self.asked) % 2]]
        return [] if self.how == "nothing" else ["generator.linear.bias"]


def test_choices_that_work_pass_the_check() -> None:
    networks = dict(generator=ToyGenerator())
    testing.check_choice(Named(), networks)
    testing.check_choice(Drawn(), networks)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("chance", "global generator"),
        ("weights", "changes generator.linear.weight"),
        ("gradients", "leaves gradients in generator.linear.weight"),
        ("memory", "not a function of its rng"),
        ("nothing", "chooses nothing"),
    ],
)
def test_broken_choices_are_caught(how: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_choice(Careless(how), dict(generator=ToyGenerator()))


def test_an_iteration_is_explained_with_its_choice() -> None:
    from toolbox.training.explain.iteration import _explain_step

    game = game_of()
    (line,) = [line for line in _explain_step(2, game.steps[1], game.plan, "4 images") if "chosen" in line]
    assert line.strip() == "what moves is chosen before each step (Named): what its config names"
