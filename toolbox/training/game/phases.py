"""The plan of an iteration: which player moves when, on which loss terms, with which weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolbox.catalog import near_miss
from toolbox.interfaces import Choice, Objective
from toolbox.randomness import seeded
from toolbox.ranges import check_not_negative, check_whole
from toolbox.registry import Config, build
from toolbox.training.game.precision import dtype_of


class PlanError(ValueError):
    """A game whose parts do not fit together; the message names the part and what is allowed."""


@dataclass(frozen=True)
class Phase:
    """One kind of optimiser step.

    Attributes:
        player: who moves.
        objectives: names of the loss terms; None = all that concern the player and that no other phase of
            this player claims by name.
        every: the phase happens at iterations divisible by it, and its loss is multiplied by it (lazy
            regularisation).
        repeat: steps per iteration; the real batch is split into as many equal parts.
        accumulate: splits of a step's images that are computed one after the other, their gradients summed:
            memory of a smaller batch, step of the whole one (where no term couples the images of a batch).
        precision: of this step; None = the game's.
        moves: config of a :class:`toolbox.interfaces.Choice`, which says in every step what of the player
            moves; None = all.
    """

    player: str
    objectives: tuple[str, ...] | None = None
    every: int = 1
    repeat: int = 1
    accumulate: int = 1
    precision: str | None = None
    moves: Config | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Phase:
        """From a config's dict.

        Raises:
            PlanError: for an unknown key, or no player.
        """
        known = cls.__dataclass_fields__
        for key in value:
            if key not in known:
                raise PlanError(
                    f"a phase has no key {key!r}{near_miss(key, known)}; keys: {', '.join(known)}"
                )
        if "player" not in value:
            raise PlanError(f"a phase needs a player, got only {sorted(value)}")
        return cls(**value)

    def __post_init__(self) -> None:
        try:
            if self.precision is not None:
                dtype_of(self.precision, "precision")
            check_whole(1, every=self.every, repeat=self.repeat, accumulate=self.accumulate)
        except ValueError as error:
            raise PlanError(f"phase of player {self.player!r}: {error}") from None
        if self.objectives is not None:
            object.__setattr__(self, "objectives", tuple(self.objectives))


@dataclass(frozen=True)
class LossWeight:
    """Factor of a loss term: constant, or a linear ramp.

    Attributes:
        to: value at the end of the ramp.
        start: value before ``begin``.
        begin, end: the ramp, counted in ``unit``.
        unit: 'iterations' or 'kimg' (of a turn).
    """

    to: float = 1.0
    start: float = 0.0
    begin: float = 0.0
    end: float = 0.0
    unit: str = "iterations"

    @classmethod
    def read(cls, value: Any, where: str) -> LossWeight:
        """From a number, or from dict(to=, start=, begin=, end=, unit=).

        Raises:
            PlanError: for an unknown key or unit, or a number that makes no sense.
        """
        known = cls.__dataclass_fields__
        said = value if isinstance(value, Mapping) else {"to": value}
        for key in said:
            if key not in known:
                raise PlanError(f"weight of {where}: unknown key {key!r}{near_miss(key, known)}")
        weight = cls(**said)
        try:
            weight.check()
        except ValueError as error:
            raise PlanError(f"weight of {where}: {error}") from None
        if weight.unit not in ("iterations", "kimg"):
            raise PlanError(f"weight of {where}: unit={weight.unit!r} must be 'iterations' or 'kimg'")
        return weight

    def check(self) -> None:
        """Raise ValueError for a negative or infinite number, or a ramp that ends before it begins."""
        check_not_negative(to=self.to, start=self.start, begin=self.begin, end=self.end)
        if self.begin > self.end:
            raise ValueError(f"begin={self.begin} must not be after end={self.end}")

    def at(self, iteration: int, kimg: float) -> float:
        """The factor now."""
        now = iteration if self.unit == "iterations" else kimg
        if now >= self.end:
            return self.to
        if now <= self.begin:
            return self.start
        return self.start + (self.to - self.start) * (now - self.begin) / (self.end - self.begin)


@dataclass(frozen=True)
class Step:
    """A phase with its loss terms found: what the game does, in order."""

    phase: Phase
    terms: tuple[tuple[str, str], ...]  # (objective, network whose loss of it is taken)
    choice: Choice | None = None  # of what moves


@dataclass(frozen=True)
class Plan:
    """What an iteration of a game is, known without any of its networks.

    Attributes:
        players: {player: names of the networks that its optimiser moves}.
        objectives: the loss terms, by name.
        weights: their factors, by name.
        steps: the optimiser steps, in order.
    """

    players: Mapping[str, list[str]]
    objectives: Mapping[str, Objective]
    weights: Mapping[str, LossWeight]
    steps: Sequence[Step]

    @property
    def repeats(self) -> int:
        """Parts into which a batch is split, one for each repetition of a phase."""
        return max(step.phase.repeat for step in self.steps)

    @property
    def splits(self) -> int:
        """Splits that are computed one after the other, of the phase that has the most."""
        return max(step.phase.accumulate for step in self.steps)

    @property
    def moving(self) -> set[str]:
        """Names of the networks that some player moves."""
        return {name for members in self.players.values() for name in members}

    @classmethod
    def read(cls, model: Mapping[str, Any], seed: int = 0) -> Plan:
        """From a game's ``networks`` (names only), ``players``, ``phases`` and ``objectives``.

        Raises:
            PlanError: for names that do not fit together.
            BuildError: for an unknown objective, or an unknown argument of one.
        """
        networks = [name for name, config in model["networks"].items() if config is not None]
        named = {name: members for name, members in model["players"].items() if members is not None}
        for player, members in named.items():
            check_members(members, networks, f"model.players.{player}")
        players = {name: list(members) for name, members in named.items()}
        configs = {name: dict(own) for name, own in model["objectives"].items() if own is not None}
        weights = {name: LossWeight.read(own.pop("weight", 1.0), name) for name, own in configs.items()}
        objectives: dict[str, Objective] = {}
        for name, own in sorted(configs.items()):
            with seeded(seed, "objective", name):
                objectives[name] = build(own, "objective", f"model.objectives.{name}")
        phases = [Phase.read(phase) for phase in model["phases"]]
        steps = plan(phases, players, objectives)
        steps = [_with_choice(step, number, seed) for number, step in enumerate(steps)]
        return cls(players, objectives, weights, steps)


def plan(
    phases: Sequence[Phase], players: Mapping[str, Sequence[str]], objectives: Mapping[str, Objective]
) -> list[Step]:
    """Match loss terms to phases.

    Raises:
        PlanError: for an unknown player or objective, a phase without a loss, an objective that nobody asks
            for.
    """
    steps = [Step(phase, _terms(phase, phases, players, objectives)) for phase in phases]
    used = {name for step in steps for name, _ in step.terms}
    for name, objective in objectives.items():
        if name not in used:
            raise PlanError(
                f"objective {name!r} ({type(objective).__name__}) is not used by any phase: its losses move "
                f"{sorted(objective.losses())}, the phases move {[p.player for p in phases]}"
            )
    return steps


def _with_choice(step: Step, number: int, seed: int) -> Step:
    if step.phase.moves is None:
        return step
    with seeded(seed, "choice", number):
        choice: Choice = build(step.phase.moves, "choice", f"model.phases.{number}.moves")
    return replace(step, choice=choice)


def check_members(names: Any, networks: Iterable[str], where: str) -> None:
    """Raise PlanError unless ``names`` is a list of networks that there are."""
    if isinstance(names, str):
        raise PlanError(f"{where}={names!r} must be a list of networks, such as [{names!r}]")
    for name in names:
        if name not in networks:
            raise PlanError(
                f"{where} names the network {name!r}, which does not exist{near_miss(str(name), networks)}; "
                f"networks: {', '.join(sorted(networks))}"
            )


def refuse_two_players(players: Mapping[str, Sequence[str]]) -> None:
    """Raise PlanError for a network that two players would move: it has one optimiser."""
    movers: dict[str, str] = {}
    for player, members in players.items():
        for name in members:
            if movers.setdefault(name, player) != player:
                both = f"{movers[name]!r} and {player!r} both move {name!r}"
                raise PlanError(f"model.players: {both}; a network has one player")


def _terms(
    phase: Phase,
    phases: Sequence[Phase],
    players: Mapping[str, Sequence[str]],
    objectives: Mapping[str, Objective],
) -> tuple[tuple[str, str], ...]:
    """(objective, network) of each loss that this phase minimises."""
    if phase.player not in players:
        raise PlanError(
            f"phase of unknown player {phase.player!r}{near_miss(phase.player, players)}; "
            f"players: {', '.join(players)}"
        )
    for name in phase.objectives or ():
        if name not in objectives:
            raise PlanError(
                f"phase of {phase.player!r} asks for objective {name!r}{near_miss(name, objectives)}; "
                f"objectives: {', '.join(sorted(objectives))}"
            )
    members = players[phase.player]
    wanted = phase.objectives if phase.objectives is not None else _unclaimed(phase, phases, objectives)
    losses = [(name, network) for name in wanted for network in objectives[name].losses()]
    terms = tuple((name, network) for name, network in losses if network in members)
    if not terms:
        raise PlanError(
            f"phase of player {phase.player!r} has no loss: none of the objectives "
            f"{sorted(wanted)} trains one of its networks {list(members)}"
        )
    return terms


def _unclaimed(phase: Phase, phases: Sequence[Phase], objectives: Mapping[str, Objective]) -> list[str]:
    """Objectives that no other phase of the same player asks for by name."""
    others = [other for other in phases if other is not phase and other.player == phase.player]
    claimed = {name for other in others for name in other.objectives or ()}
    return [name for name in sorted(objectives) if name not in claimed]
