"""The conformance check of choices of what moves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from toolbox.interfaces import Choice, Condition
from toolbox.testing.common import check_global_rng_untouched, require, rng
from toolbox.training.game.choices import Chooses, chosen


def check_choice(
    choice: Choice, networks: Mapping[str, nn.Module], player: str = "generator", generator: str = "generator"
) -> None:
    """Check the contract of :class:`toolbox.interfaces.Choice`.

    - what it names are beginnings of names of the player's parameters;
    - it is a function of the game's rng, and of nothing else that is random;
    - weights, buffers and gradients of the networks are left as they were.

    Args:
        choice: it.
        networks: of a game, by name.
        player: who moves; its networks are those of its own name, or all.
        generator: the network that :meth:`Choosing.draw` draws for, unconditionally.

    Raises:
        AssertionError: naming what is broken.
        PlanError: for a name that no parameter begins with.
    """
    name = type(choice).__name__
    require(isinstance(choice, Choice), f"{name} does not inherit toolbox.interfaces.Choice")
    for network in networks.values():
        network.requires_grad_(False)
    members = {player: networks[player]} if player in networks else dict(networks)
    before = _state(networks)

    def ask(seed: int = 0) -> frozenset[int]:
        def draw(n: int, draws: torch.Generator) -> tuple[torch.Tensor, Condition]:
            return networks[generator].sample_latents(n, draws), Condition()  # type: ignore[operator]

        seen = Chooses(player, 0, 0.0, rng(seed), torch.device("cpu"), networks.__getitem__, draw)
        return chosen(choice, seen, members)

    found = ask()
    require(found, f"{name} chooses nothing: a step must move something")
    require(found == ask(), f"{name} is not a function of its rng")
    check_global_rng_untouched(ask, name)
    after = _state(networks)
    for key, value in before.items():
        require(torch.equal(value, after[key]), f"{name} changes {key} of the networks that it looks at")
    for key, network in networks.items():
        grown = [own for own, parameter in network.named_parameters() if parameter.grad is not None]
        require(not grown, f"{name} leaves gradients in {key}.{next(iter(grown), '')}")


def _state(networks: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    named = [(f"{key}.{own}", v) for key, net in networks.items() for own, v in net.state_dict().items()]
    return {name: value.clone() for name, value in named}
