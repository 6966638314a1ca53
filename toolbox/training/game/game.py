"""The one model that every paper trains with: players take turns minimising their objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.utils.data import Dataset

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.data.no_images import NoImagesError
from toolbox.interfaces import Augment, Condition, Conditioner, Generator, Latents, Rows, Sample, moved
from toolbox.models.batchnorm import frozen_running_statistics
from toolbox.randomness import mix, rng_for, seed_globals, seeded
from toolbox.registry import Config, build
from toolbox.tf32 import tf32
from toolbox.training.game.average import Average
from toolbox.training.game.batches import (
    as_sample,
    branch_of,
    has_images,
    with_conditions,
    with_images,
    with_index_of,
)
from toolbox.training.game.choices import GameChoices
from toolbox.training.game.compiled import Compiled
from toolbox.training.game.draws import Drawn, GameDraws
from toolbox.training.game.finite import FiniteGate, NotFiniteError
from toolbox.training.game.gradients import GradientAverage, average_running_statistics
from toolbox.training.game.losslog import LossLog
from toolbox.training.game.networks import build_conditioner, build_networks
from toolbox.training.game.phases import Plan, PlanError, Step
from toolbox.training.game.precision import computing_in, dtype_of, exactly
from toolbox.training.game.splits import splits
from toolbox.training.game.turn import GameTurn, Kept


class Game(BaseModel):
    """Networks, the players that move them, and the loss terms they minimise.

    Args:
        networks: {name: config}. A config may hold, beside the component's own arguments, ``uses``
            ({argument: name of another network}, borrowed), ``weights`` (where it comes from) and ``frozen``.
        players: {player: names of the networks one optimiser moves}. A network of no player is frozen.
        phases: the optimiser steps of an iteration, in order (see :class:`Phase`).
        objectives: {name: config}; ``weight`` in a config is a number or a ramp (see :class:`Weight`); None
            removes one.
        conditioner: draws the conditions of generated images; None = unconditional.
        latents: where the latents of generated images come from; None = the generator's prior.
        augment: what discriminators see; ``discriminators`` in its config names those it applies to (default
            all).
        average: {network: arguments of :class:`Average`}.
        fakes: 'fresh' (each turn generates its own) or 'shared' (one generated batch an iteration).
        generator: name of the network that makes the fakes.
        branches: 'images', and other fields of the batch: images of the same items, or items of their own (a
            dict of images, text, labels ...). Every objective is computed on each and summed. An objective
            that couples them reads ``turn.branches``.
        shared_latents: the fakes of all branches have the same latents; their conditions are their own where
            they are those of real images.
        seed: of every draw.
        log_every: iterations between two readings of the losses (each reading waits for the device).
        precision: 'float32', 'bf16' or 'fp16' for matrix products and convolutions; weights and losses stay
            float32, and so do objectives that ask for it (R1) and phases that name their own.
        compile: False, True, or arguments of torch.compile for the networks (``dict(backend=...,
            mode=...)``).
        tf32: on a GPU, let products and convolutions in float32 round to TF32; objectives that ask for
            float32 (R1) and metrics never do.
        channels_last: keep images and convolutions as (N, H, W, C) in memory.
    """

    def __init__(
        self,
        networks: Mapping[str, Config | None],
        players: Mapping[str, Sequence[str]],
        phases: Sequence[Config],
        objectives: Mapping[str, Config | None],
        conditioner: Config | None = None,
        latents: Config | None = None,
        augment: Config | None = None,
        average: Mapping[str, Config | None] | None = None,
        fakes: str = "fresh",
        generator: str = "generator",
        branches: Sequence[str] = ("images",),
        shared_latents: bool = False,
        seed: int = 0,
        log_every: int = 10,
        precision: str = "float32",
        compile: bool | Mapping[str, object] = False,
        tf32: bool = True,
        channels_last: bool = False,
        data_preprocessor: Config | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        if fakes not in ("fresh", "shared"):
            raise PlanError(f"fakes={fakes!r} must be 'fresh' or 'shared'")
        if not branches:
            raise PlanError("branches=[] must name at least one image field of the batch, such as 'images'")
        dtype_of(precision, "model.precision")
        self.seed = seed
        self.fakes = fakes
        self.generator = generator
        self.branches = tuple(branches)
        self.shared_latents = shared_latents
        self.log_every = log_every
        self.precision = precision
        self.tf32 = tf32
        self.channels_last = channels_last

        parts = dict(networks=networks, players=players, phases=phases, objectives=objectives)
        self.plan = Plan.read(parts, seed)
        self.networks, self.from_outside = build_networks(networks, self.plan.moving, seed)
        self.conditioner = self._build_conditioner(conditioner)
        self.latents: Latents | None = None
        if latents is not None:
            self.latents = build(latents, "latents", "model.latents")
        self.objectives = nn.ModuleDict(self.plan.objectives)
        choices = {str(n): step.choice for n, step in enumerate(self.plan.steps) if step.choice is not None}
        self.choices = nn.ModuleDict(choices)
        self.augment = self._build_augment(augment)
        self._averages = self._build_averages(average or {})
        self.average = nn.ModuleDict(self._averages)
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))
        if channels_last:
            nn.Module.to(self.networks, memory_format=torch.channels_last)  # type: ignore[call-overload]
            nn.Module.to(self.average, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.compiled = Compiled(self.networks, compile)
        self.gradients = GradientAverage()
        self.finite = FiniteGate()
        self.log = LossLog()
        self.draws = GameDraws(self)
        self.chosen = GameChoices(self)
        # the two buffers as Python's numbers, which nobody has to wait for
        self._now = 0  # iteration under way
        self._seen = 0  # images shown before it
        self._mover: tuple[str | None, frozenset[int] | None] | None = None
        self._trained = {player: self._parameters_of(player) for player in self.players}
        self._still = [part for name in self.plan.moving for part in _still(self.networks[name])]

    def _build_conditioner(self, config: Config | None) -> Conditioner:
        with seeded(self.seed, "conditioner"):
            return build_conditioner(config, dict(self.networks.items()))

    def _build_augment(self, config: Config | None) -> Augment | None:
        """The augmentation; ``self._augmented`` names the discriminators that see through it, None = all."""
        self._augmented: set[str] | None = None
        if config is None:
            return None
        arguments = dict(config)
        names = arguments.pop("discriminators", None)
        if names is not None:
            self._augmented = set(names)
        for name in names or ():
            self.network(name)  # refuses one that is not there
        with seeded(self.seed, "augment"):
            augment: Augment = build(arguments, "augment", "model.augment")
        return augment

    def _build_averages(self, configs: Mapping[str, Config | None]) -> dict[str, Average]:
        named = {name: dict(arguments) for name, arguments in configs.items() if arguments is not None}
        averages = {}
        for name, arguments in named.items():
            network = self.network(name)
            try:
                averages[name] = Average(network, **arguments)
            except ValueError as error:
                raise PlanError(f"model.average.{name}: {error}") from error
        return averages

    # -- one iteration ---------------------------------------------------------------------------------------

    def train_step(self, data: Mapping[str, object], optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """Every phase once: the iteration, as the config's ``phases`` spell it."""
        with tf32(self.tf32):
            return self._play(data, optim_wrapper)

    def _play(self, data: Mapping[str, object], optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        seed_globals(mix(self.seed, "iteration", self._now, *_place()))
        batch = self.receive(data)
        self.chosen.forget()
        shared: Kept = {}
        for number, (step, part) in enumerate(self.moves()):
            self._move(step, part, number, batch, optim_wrapper[step.phase.player], shared)
        average_running_statistics(self.networks[name] for name in self._moving_in_order())
        n = len(batch) * ranks.world()  # images of the iteration, on all ranks together
        for name, average in self._averages.items():
            average.update(self.network(name), self._now, self.kimg, n)
        if self.augment is not None:
            self.augment.after_iteration(self._now, n)
        if has_images(batch):
            self.conditioner.after_iteration(self, batch, rng_for(self.seed, "after", self._now))
        self.iteration += 1
        self.images_seen += n
        logged = self._read_log()
        self._now += 1
        self._seen += n
        return logged

    def _move(
        self, step: Step, part: int, number: int, batch: Sample, optimizer: OptimWrapper, shared: Kept
    ) -> None:
        """One optimiser step: gradients of each split of the part, their sum averaged over ranks,
        the step.
        """
        phase = step.phase
        with self.only(phase.player, number):
            for first, rows in splits(len(batch), self.repeats, phase, part):
                turns = self._turns(phase.player, batch, first, rows, number, shared)
                with computing_in(phase.precision or self.precision, self.device):
                    loss = torch.stack([self.loss(step, turn) for turn in turns]).sum()
                optimizer.backward(loss / phase.accumulate)
            bad = None if self.finite.reads_at_once(self.device) else self.finite.bad()
            bad = self.gradients.average(self._trained[phase.player], bad)
            self.finite.step(optimizer, bad)
            optimizer.zero_grad()

    def loss(self, step: Step, turn: GameTurn) -> Tensor:
        """Weighted sum of a step's terms; a step on one that is not finite moves nothing.

        Raises:
            NotFiniteError: at once on a CPU; elsewhere when the losses are read.
        """
        total = torch.zeros((), device=self.device)
        for name, network in step.terms:
            objective = self.plan.objectives[name]
            if objective.couples_branches and turn is not turn.branches[0]:
                continue
            weight = self.plan.weights[name].at(self._now, self.kimg)
            with _named(name), exactly(self.device) if objective.float32 else nullcontext():
                term = objective.losses()[network](turn)
            self.log.note(f"{name}/{network}", term)
            total = total + weight * step.phase.every * term
        self.finite.note(total, self._now)
        if self.finite.reads_at_once(self.device):
            self._check_finite(step)
        return total

    def receive(self, data: Mapping[str, object]) -> Sample:
        """The batch on the game's device, and with it, unless that is a CPU, what its fakes are asked for."""
        batch = as_sample(data, self.branches)
        conditioner = self.conditioner
        if not has_images(batch):
            return self.draws.sent_with(batch)
        with torch.no_grad():
            if conditioner.on_host:
                batch = with_conditions(batch, conditioner.real)
            there = with_images(self.draws.sent_with(batch), self.channels_last)
            if not conditioner.on_host:
                return with_conditions(there, lambda item: conditioner.complete(conditioner.real(item)))
            # where tables are on the host, so are the numbers that look things up in them
            there = with_index_of(there, batch)
            return with_conditions(there, lambda item: conditioner.complete(item.condition))

    def draw(self, n: int, rng: torch.Generator) -> Drawn:
        """Latents (n, latent_dim) and conditions of n images, on the device."""
        latents, condition = moved(self.draws.on_host(n, rng), self.device)
        return latents, self.completed(condition)

    def completed(self, condition: Condition) -> Condition:
        """With what the conditioner's networks compute of it."""
        with torch.no_grad():
            return self.conditioner.complete(condition)

    def prepare(self, dataset: Dataset[Any]) -> None:
        """Once before the first iteration; never on resume."""
        with seeded(self.seed, "prepare"), torch.no_grad():
            try:
                self.conditioner.prepare(dataset, self)
            except NoImagesError as error:
                raise PlanError(f"model.conditioner ({type(self.conditioner).__name__}): {error}") from error

    def prepare_latents(self, trial: bool = False) -> None:
        """Before the first iteration, and on resume; ``trial``: a few of them, for a rehearsal."""
        if self.latents is not None:
            self.latents.prepare(self, trial)

    def gather(self, value: Tensor) -> Tensor:
        """Rows of the whole batch from every rank's rows (n, ...), in the order that one process
        would see.
        """
        # a rank holds its share of part 0, then of part 1, ...; one process sees all of part 0 first
        parts = ranks.gather_rows(value).unflatten(0, (ranks.world(), self.repeats, -1))
        return parts.transpose(0, 1).flatten(0, 2)

    def share_start(self) -> None:
        """Every rank takes rank 0's values, in case two machines did not make the same."""
        ranks.copy_from_main([*self.parameters(), *self.buffers()])

    # -- parts -----------------------------------------------------------------------------------------------

    @property
    def players(self) -> Mapping[str, list[str]]:
        """{player: the networks that its optimiser moves}."""
        return self.plan.players

    @property
    def steps(self) -> Sequence[Step]:
        """The optimiser steps of an iteration, in order."""
        return self.plan.steps

    @property
    def repeats(self) -> int:
        """Parts into which a batch is split, one for each repetition of a phase."""
        return self.plan.repeats

    def network(self, name: str, averaged: bool = False) -> nn.Module:
        """A network by name, or its averaged copy where there is one."""
        if name not in self.networks:
            raise PlanError(
                f"the game has no network {name!r}{near_miss(name, self.networks)}; "
                f"networks: {', '.join(self.networks)}"
            )
        if averaged and name in self._averages:
            return self._averages[name].module
        return self.networks[name]

    def generator_network(self) -> Generator:
        """The network that makes the fakes."""
        network = self.network(self.generator)
        if not isinstance(network, Generator):
            raise PlanError(
                f"model.generator={self.generator!r} is a {type(network).__name__}, which is no Generator"
            )
        return network

    def augment_of(self, discriminator: str) -> Augment | None:
        """The augmentation that a discriminator sees its images through."""
        return self.augment if self._augmented is None or discriminator in self._augmented else None

    @property
    def now(self) -> int:
        """Number of the iteration under way, from 0."""
        return self._now

    @property
    def kimg(self) -> float:
        """Thousands of real images shown before this iteration; generated ones in a game without images."""
        return self._seen / 1000

    @property
    def device(self) -> torch.device:
        """Where the game is played."""
        return self.iteration.device

    @contextmanager
    def only(self, player: str | None, number: int | None = None) -> Iterator[None]:
        """Gradients reach the parameters of this player alone.

        Where a phase chooses, only those of its ``number``-th step of the iteration; None: of the player's
        first.
        """
        before = self._mover
        self._mover = player, self.chosen.by(player, number)
        self._let_move(*self._mover)
        try:
            yield
        finally:
            self._mover = before
            if before is not None:
                self._let_move(*before)

    def _let_move(self, player: str | None, chosen: frozenset[int] | None) -> None:
        for name, parameters in self._trained.items():
            for parameter in parameters:
                parameter.requires_grad_(name == player and (chosen is None or id(parameter) in chosen))

    def player_of(self, network: str) -> str | None:
        """Who moves a network; None = nobody."""
        return next((player for player, members in self.players.items() if network in members), None)

    def batchnorm_tracking(self, on: bool) -> AbstractContextManager[None]:
        """BatchNorm's running statistics of the generator follow its own turns only (StudioGAN's habit)."""
        return nullcontext() if on else frozen_running_statistics(self.network(self.generator))

    def entry(self, network: str, method: str) -> Callable[..., Any]:
        """A network's method, compiled where the game compiles."""
        return self.compiled.entry(network, method, getattr(self.network(network), method))

    def log_state(self) -> dict[str, object]:
        """Losses noted since the last reading, for a checkpoint (collective).

        Raises:
            NotFiniteError: when one of them was not finite.
        """
        self._check_finite()
        return self.log.state()

    def load_log_state(self, state: Mapping[str, Any]) -> None:
        """Go on summing where :meth:`log_state` was taken."""
        self.log.load_state(state, self.device)

    def precisions(self, player: str) -> set[str]:
        """Which precisions the player's steps are computed in."""
        return {step.phase.precision or self.precision for step in self.steps if step.phase.player == player}

    def trained_parameters(self, player: str) -> list[nn.Parameter]:
        """What one optimiser moves: the player's networks, and the objectives' own parts that join them."""
        return self._trained[player]

    def train(self, mode: bool = True) -> Game:
        """Training mode for what moves; frozen networks, and frozen layers of others, stay in eval mode."""
        super().train(mode)
        for name, network in self.networks.items():
            if name not in self.plan.moving:
                network.eval()
        for part in self._still:
            part.eval()
        return self

    def forward(self, inputs: Tensor, data_samples: Condition | None = None, mode: str = "tensor") -> Tensor:
        """Images for latents: mmengine's entry; training goes through :meth:`train_step`."""
        images: Tensor = self.network(self.generator, averaged=True)(inputs, data_samples)
        return images

    # -- internals -------------------------------------------------------------------------------------------

    def _turns(
        self, player: str, batch: Sample, first: int, rows: Rows, number: int, shared: Kept
    ) -> list[GameTurn]:
        """One turn a branch; each sees its own images of the same items, and can see the others'."""
        turns = []
        here = slice(first, first + len(rows))
        share = rows.total // ranks.world()  # of the step's batch, on this rank
        begin = first - rows.start % share
        for branch in self.branches:
            whole = branch_of(batch, branch)
            # turns that see the same images are given the same object: what is frozen is computed once for it
            real: Any = shared.setdefault(("real", branch, here.start, here.stop), whole[here])
            of_step = real if len(rows) == share else whole[begin : begin + share]
            turns.append(GameTurn(self, player, real, self._now, number, shared, rows, branch, of_step))
        for turn in turns:
            turn.branches = turns
        return turns

    def moves(self) -> Iterator[tuple[Step, int]]:
        """The optimiser steps of the iteration under way, and which part of the batch each sees."""
        for step in self.steps:
            if self._now % step.phase.every == 0:
                for part in range(step.phase.repeat):
                    yield step, part

    def _moving_in_order(self) -> list[str]:
        return [name for members in self.players.values() for name in members]

    def _parameters_of(self, player: str) -> list[nn.Parameter]:
        members = self.players[player]
        modules: list[nn.Module] = [self.networks[name] for name in members]
        modules += [objective for objective in self.plan.objectives.values() if objective.trains in members]
        found = {id(p): p for module in modules for p in module.parameters() if p.requires_grad}
        if not found:
            raise PlanError(
                f"player {player!r} has nothing to move: its networks {members} have no trainable parameters "
                "(is one of them built with frozen=True?)"
            )
        return list(found.values())

    def _read_log(self) -> dict[str, Tensor]:
        if self._now % self.log_every and self._now:
            return {}
        self._check_finite()
        logged = {name: objective.log() for name, objective in self.plan.objectives.items()}
        chosen = {f"moves{n}": step.choice for n, step in enumerate(self.steps)}
        logged |= {name: choice.log() for name, choice in chosen.items() if choice is not None}
        if self.augment is not None:
            logged["augment"] = self.augment.log()
        for name, values in logged.items():
            for key, value in values.items():
                self.log.note(f"{name}/{key}", value)
        return self.log.read()

    def _check_finite(self, step: Step | None = None) -> None:
        """Raise NotFiniteError, naming iteration and terms, if a loss was not finite."""
        first = self.finite.first()
        if first is None:
            return
        steps = self.steps if step is None else [step]
        player = "" if step is None else f", player {step.phase.player!r}"
        terms = {f"{name}/{net}": f"{name} (of {net})" for each in steps for name, net in each.terms}
        noted = {key: total for key, total in self.log.sums.items() if key in terms}
        bad = [terms[key] for key, total in noted.items() if not torch.isfinite(total)]
        cures = "a lower learning rate, a lower weight of that term, betas=(0.0, 0.99)"
        cures += ", precision='bf16'" if self.precision == "fp16" else ""
        raise NotFiniteError(
            f"iteration {first}{player}: the loss is not finite; it comes from "
            f"{', '.join(bad) or 'the sum of the terms'}. No step was taken. Usual cures: {cures}"
        )

    def count_from(self, iteration: int, images_seen: int) -> None:
        """Take an iteration for the next one, with so many images shown before it."""
        self.iteration.fill_(iteration)
        self.images_seen.fill_(images_seen)
        self._now = iteration
        self._seen = images_seen

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._now = int(self.iteration)
        self._seen = int(self.images_seen)


def _still(network: nn.Module) -> list[nn.Module]:
    """Parts whose parameters are all frozen (``freeze_layers``): running statistics stand still, too."""
    parts = [(part, list(part.parameters())) for part in network.modules()]
    return [part for part, found in parts if found and not any(p.requires_grad for p in found)]


@contextmanager
def _named(objective: str) -> Iterator[None]:
    """A plan's error says which objective found it."""
    try:
        yield
    except PlanError as error:
        raise PlanError(f"model.objectives.{objective}: {error}") from error


def _place() -> tuple[str, ...]:
    """What tells the global generators of several ranks apart."""
    return ("rank", str(ranks.rank())) if ranks.running() else ()
