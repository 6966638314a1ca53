"""What moves in a step, where a phase leaves that to a component."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.interfaces import Choice, Condition
from toolbox.randomness import rng_for
from toolbox.training.game.phases import PlanError, Step


@dataclass
class Chooses:
    """Implements :class:`toolbox.interfaces.Choosing` for a Game."""

    player: str
    iteration: int
    kimg: float
    rng: torch.Generator
    device: torch.device
    network: Callable[[str], Any]
    drawn: Callable[[int, torch.Generator], tuple[Tensor, Condition]]

    def draw(self, n: int) -> tuple[Tensor, Condition]:
        """Latents and conditions of n images."""
        return self.drawn(n, self.rng)


class Offering(Protocol):
    """What the choices of a game depend on."""

    seed: int

    @property
    def now(self) -> int: ...

    @property
    def kimg(self) -> float: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def players(self) -> Mapping[str, list[str]]: ...

    def moves(self) -> Iterator[tuple[Step, int]]: ...

    def network(self, name: str) -> nn.Module: ...

    def trained_parameters(self, player: str) -> list[nn.Parameter]: ...

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Condition]: ...

    def only(self, player: str | None) -> AbstractContextManager[None]: ...


class GameChoices:
    """What moves in each step of the iteration under way, chosen when it is first asked for."""

    def __init__(self, game: Offering) -> None:
        self._game = game
        self._found: dict[int, frozenset[int]] = {}

    def forget(self) -> None:
        """A new iteration begins."""
        self._found.clear()

    def by(self, player: str | None, number: int | None) -> frozenset[int] | None:
        """Identities of what a player moves in the ``number``-th step; None: all.

        Without a number: in the player's first step, such as for images that all steps share.
        """
        steps = [step for step, _ in self._game.moves()]
        if number is None:
            number = next((n for n, step in enumerate(steps) if step.phase.player == player), None)
        if player is None or number is None:
            return None
        choice = steps[number].choice
        if choice is not None and number not in self._found:
            self._found[number] = self._choose(choice, player, number)
        return self._found.get(number)

    def _choose(self, choice: Choice, player: str, number: int) -> frozenset[int]:
        game = self._game
        rng = rng_for(game.seed, "choice", game.now, number)
        seen = Chooses(player, game.now, game.kimg, rng, game.device, game.network, game.draw)
        members = {name: game.network(name) for name in game.players[player]}
        with game.only(None):
            found = chosen(choice, seen, members)
        trained = {id(parameter) for parameter in game.trained_parameters(player)}
        if not found & trained:
            raise PlanError(f"{type(choice).__name__} chose nothing that player {player!r} moves")
        own = {id(parameter) for module in members.values() for parameter in module.parameters()}
        return (found & trained) | (trained - own)  # an objective's own parameters are nobody's to choose


def chosen(choice: Choice, game: Chooses, networks: Mapping[str, nn.Module]) -> frozenset[int]:
    """Identities of the parameters of some networks that a choice wants to move, equal on all ranks.

    Raises:
        PlanError: for a name that no parameter's begins with.
    """
    kind = type(choice).__name__
    wanted: list[str] = ranks.from_main(sorted(choice.choose(game)))
    named = dict(_named(networks))
    for start in wanted:
        if not any(name.startswith(start) for name in named):
            raise PlanError(
                f"{kind} chose {start!r}, which no parameter of {', '.join(networks)} begins with"
                f"{near_miss(start, named)}"
            )
    return frozenset(id(value) for name, value in named.items() if name.startswith(tuple(wanted)))


def _named(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    for network, module in networks.items():
        for name, parameter in module.named_parameters():
            yield f"{network}.{name}", parameter
