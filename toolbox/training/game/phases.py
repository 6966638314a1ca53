"""The plan of an iteration: which player moves when, on which loss terms, with which weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbox.catalog import near_miss
from toolbox.interfaces import Objective
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
    """

    player: str
    objectives: tuple[str, ...] | None = None
    every: int = 1
    repeat: int = 1
    accumulate: int = 1
    precision: str | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Phase:
        """From a config's dict.

        Raises:
            PlanError: for an unknown key, or no player.
        """
        for key in value:
            if key not in cls.__dataclass_fields__:
                raise PlanError(
                    f"a phase has no key {key!r}{near_miss(key, cls.__dataclass_fields__)}; "
                    f"keys: {', '.join(cls.__dataclass_fields__)}"
                )
        if "player" not in value:
            raise PlanError(f"a phase needs a player, got only {sorted(value)}")
        return cls(**value)

    def __post_init__(self) -> None:
        if self.precision is not None:
            dtype_of(self.precision, f"phase of player {self.player!r}: precision")
        for name in ("every", "repeat", "accumulate"):
            if int(getattr(self, name)) < 1:
                raise PlanError(
                    f"phase of player {self.player!r}: {name}={getattr(self, name)} must be 1 or more"
                )
        if self.objectives is not None:
            object.__setattr__(self, "objectives", tuple(self.objectives))


@dataclass(frozen=True)
class Weight:
    """Factor of a loss term: constant, or a linear ramp.

    Attributes:
        to: value at the end of the ramp.
        start: value before ``begin``.
        begin, end: the ramp, counted in ``unit``.
        unit: 'iterations' or 'kimg' (thousands of real images).
    """

    to: float = 1.0
    start: float = 0.0
    begin: float = 0.0
    end: float = 0.0
    unit: str = "iterations"

    @classmethod
    def read(cls, value: Any, where: str) -> Weight:
        """From a number, or from dict(to=, start=, begin=, end=, unit=)."""
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in cls.__dataclass_fields__]
            if unknown:
                raise PlanError(
                    f"weight of {where}: unknown key "
                    f"{unknown[0]!r}{near_miss(unknown[0], cls.__dataclass_fields__)}"
                )
            weight = cls(**value)
        else:
            weight = cls(to=float(value))
        if weight.unit not in ("iterations", "kimg"):
            raise PlanError(f"weight of {where}: unit={weight.unit!r} must be 'iterations' or 'kimg'")
        return weight

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
    for name in objectives:
        if name not in used:
            raise PlanError(
                f"objective {name!r} ({type(objectives[name]).__name__}) is not used by any phase: its "
                "losses move "
                f"{sorted(objectives[name].losses())}, the phases move {[p.player for p in phases]}"
            )
    return steps


def _terms(
    phase: Phase,
    phases: Sequence[Phase],
    players: Mapping[str, Sequence[str]],
    objectives: Mapping[str, Objective],
) -> tuple[tuple[str, str], ...]:
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
    claimed = {
        name
        for other in phases
        if other is not phase and other.player == phase.player
        for name in other.objectives or ()
    }
    wanted = (
        phase.objectives
        if phase.objectives is not None
        else [n for n in sorted(objectives) if n not in claimed]
    )
    terms = tuple(
        (name, network)
        for name in wanted
        for network in objectives[name].losses()
        if network in players[phase.player]
    )
    if not terms:
        raise PlanError(
            f"phase of player {phase.player!r} has no loss: none of the objectives "
            f"{sorted(wanted)} trains one of its networks {list(players[phase.player])}"
        )
    return terms
