"""Draws made before an iteration are those that it would make by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy_games import ToyDiscriminator, ToyGenerator, batch, optimisers, toy_game

from toolbox.training.game.ahead import AskedAhead


def test_what_the_last_such_iteration_asked_for_is_drawn_before() -> None:
    ahead, drawn, sent = AskedAhead(), [], []

    def draw(name: str) -> Any:
        return lambda: drawn.append(name) or name

    def iteration(kind: str, *names: str) -> None:
        drawn.clear(), sent.clear()
        ahead.arrived(ahead.begin(kind))
        for name in names:
            assert ahead.ask(name, draw(name), lambda value: sent.append(value) or value) == name

    iteration("plain", "fakes", "looks")
    assert drawn == sent == ["fakes", "looks"]
    iteration("plain", "looks", "looks")
    assert drawn == ["fakes", "looks"] and sent == []
    iteration("regularised", "looks")
    assert sent == ["looks"]  # another kind of iteration
    iteration("plain", "looks", "more")
    assert drawn == ["looks", "more"] and sent == ["more"]  # nobody asks for "fakes" any more


def augmented(phases: list[dict[str, Any]]) -> Any:
    return toy_game(
        phases=phases,
        networks=dict(
            generator=dict(type=ToyGenerator, latent_dim=4, image_size=24),
            discriminator=dict(type=ToyDiscriminator, image_size=24),
        ),
        augment=dict(type="AdaptiveAugment", pipeline="bgcfnc", p=0.9),
        objectives=dict(adversarial=dict(type="HingeAdversarial")),
    )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_game_ends_alike_whenever_it_draws(accumulate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU draws when it is asked; here it draws beforehand, as for a GPU."""
    phases = [dict(player="discriminator", accumulate=accumulate), dict(player="generator")]
    lazily, early = augmented(phases), augmented(phases)
    drawn: list[int] = []

    def begin() -> None:
        made = ahead.begin(early.draws._kind())
        drawn.append(len(made))
        ahead.arrived(made)

    ahead = early.draws._ahead
    monkeypatch.setattr(ahead, "begin_lazily", begin)
    for one in (lazily, early):
        wrappers = optimisers(one)
        for seed in range(3):
            one.train_step(batch(seed=seed, size=24), wrappers)
    assert drawn[0] == 0 and drawn[1] == drawn[2] >= 5  # two batches of fakes, three looks
    for name, value in lazily.state_dict().items():
        assert torch.equal(value, early.state_dict()[name]), name
