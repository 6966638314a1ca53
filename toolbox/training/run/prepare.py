"""One preparation of a run: its config checked, its games and data built. Training, ``--dry-run``,
``explain`` and loading all go through it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.config import ConfigError, check_keys
from toolbox.data.no_images import NoImages
from toolbox.registry import BuildError, Config, accepted, build, check
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint
from toolbox.training.checks.config import check_config
from toolbox.training.checks.files import check_files
from toolbox.training.game.game import Game
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.game.phases import Plan, PlanError, refuse_two_players
from toolbox.training.pretrained import fill_in_types
from toolbox.training.run.data_values import fill_from_data, leaves_to_data
from toolbox.training.run.loader import build_loader
from toolbox.training.stages import MAIN, stage_config, stage_folder

if TYPE_CHECKING:
    from mmengine import Config as RunConfig
    from torch.utils.data import DataLoader

_SWITCHES = (
    "precision",
    "compile",
    "channels_last",
)  # of the run; every game has them that has none of its own


def prepare(config: RunConfig) -> list[Stage]:
    """The stages of a run, in the order in which they are played: checked, each part built when it is asked
    for.

    Raises:
        ConfigError, BuildError, PlanError: naming the key, its value, and the near miss or what is allowed.
    """
    _fill_in_types(config)
    check_config(config)
    stages = [Stage(config, name) for name in [*config.get("stages", ()), MAIN]]
    for stage in stages:
        stage.check_plan()
    return stages


def _fill_in_types(config: RunConfig) -> None:
    """Networks that say ``weights=`` alone get the architecture of their file: it is part of the record."""
    check_keys(config)
    check_files(config)
    for place in [config, *(config.get("before") or {}).values()]:
        model = place.get("model") if place is not None else None
        networks = model.get("networks") if isinstance(model, Mapping) else None
        if isinstance(networks, Mapping):
            place["model"]["networks"] = fill_in_types(networks)


class Stage:
    """One game of a run: its config, and what is built of it when it is first asked for.

    Args:
        run: the config of the whole run.
        name: of the stage; the run's own game is 'main'.

    Attributes:
        config: of this stage alone, with what it inherits from the run.
        folder: where it is kept.
    """

    def __init__(self, run: RunConfig, name: str = MAIN) -> None:
        self.run = run
        self.name = name
        self.config = stage_config(run, name)
        self.folder: Path = stage_folder(run, name)

    @property
    def is_main(self) -> bool:
        """Whether it is the run's own game."""
        return self.name == MAIN

    @property
    def seed(self) -> int:
        """Of every draw."""
        return int(self.config.get("seed", 0))

    @property
    def length(self) -> int:
        """Iterations asked for."""
        return int(self.config.train_cfg.get("max_iters", 0))

    @cached_property
    def plan(self) -> Plan:
        """Who moves when, on which terms; no network is built for it."""
        return Plan.read(self.config.model)

    @cached_property
    def loader(self) -> DataLoader[Any]:
        """The training loader."""
        return build_loader(self.config, self.seed)

    @cached_property
    def model(self) -> dict[str, Any]:
        """The game's config, with what it leaves to the data set."""
        if not leaves_to_data(self.config.model):
            return dict(self.config.model)
        return fill_from_data(self.config.model, self.loader.dataset)

    @cached_property
    def data(self) -> dict[str, Any]:
        """What is known of the training data: title, size, labels, fingerprint; {} where there are none."""
        return data_facts(self.loader.dataset)

    def build_game(self, filled_later: bool = False, restored: bool = False, **changes: Any) -> Game:
        """The game.

        Args:
            filled_later: networks that start from an earlier stage are left as they are: a checkpoint fills
                them, or the game is only looked at.
            restored: so are those that started from a file and move: a checkpoint of this game fills them,
                and the file may be gone.
            **changes: arguments of the game that are not the config's.
        """
        switches = {name: self.config[name] for name in _SWITCHES if name in self.config}
        moving = self.plan.moving if restored else ()
        model = _with_weights(self.run, self.model, filled_later, moving)
        game: Game = build({"seed": self.seed, **switches, **model, **changes}, "model", "model")
        return game

    def hooks(self) -> dict[str, Hook]:
        """The config's hooks by name, and one that saves checkpoints where the config says nothing of it."""
        given = self.config.get("hooks") or {}
        configs = {name: config for name, config in given.items() if config is not None}
        hooks = {name: build(config, "hook", f"hooks.{name}") for name, config in sorted(configs.items())}
        if "checkpoints" not in given and not any(map(saves_checkpoints, hooks.values())):
            hooks["checkpoints"] = build(dict(type="Checkpoints"), "hook")
        return hooks

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of an earlier stage say which."""
        try:
            yield
        except (ConfigError, BuildError, PlanError, CheckpointError) as error:
            if self.is_main:
                raise
            raise type(error)(f"before.{self.name}: {error}") from error

    def check_plan(self) -> None:
        """Raise PlanError or BuildError for parts that do not fit together, or a player that never moves."""
        with self.told():
            moving = {step.phase.player for step in self.plan.steps}
            for player in self.plan.players:
                if player not in moving:
                    hint = near_miss(player, set(self.plan.players) - {player})
                    raise PlanError(f"model.players.{player} never moves: no phase names it{hint}")
            refuse_two_players(self.plan.players)
            self._refuse_a_lone_branch()

    def _refuse_a_lone_branch(self) -> None:
        branches = list(self.config.model.get("branches") or ["images"])
        for name, objective in self.plan.objectives.items():
            if objective.couples_branches and len(branches) < 2:
                raise PlanError(
                    f"model.objectives.{name} ({type(objective).__name__}) compares the branches of a batch, "
                    f"and there is one: give model.branches={branches} another field"
                )

    def check(self, restored: bool = False, **changes: Any) -> Game:
        """Build everything as training would, so that a fault costs no training; the game, not to be trained.

        ``restored``: as of :meth:`build_game`.

        Raises:
            ConfigError, BuildError, PlanError: for what cannot be used.
        """
        game = self.build_game(filled_later=True, restored=restored, **changes)
        self.check_batch()
        PlayerOptimizers(self.config.get("optim_wrapper", {}))(game)
        for hook in self.hooks().values():
            if hasattr(hook, "check_config"):
                hook.check_config(self.config)
        return game

    def check_batch(self) -> None:
        """Raise ConfigError for a batch that processes, parts and splits of an iteration cannot share
        equally.
        """
        batch = int(self.config.train_dataloader["batch_size"])
        shares = [
            (ranks.world(), "processes"),
            (self.plan.repeats, "parts, since phases repeat"),
            (self.plan.splits, "splits, since phases accumulate"),
        ]
        unit = ranks.world() * self.plan.repeats * self.plan.splits
        if batch % unit:
            reason = " x ".join(f"{n} {what}" for n, what in shares if n > 1)
            raise ConfigError(f"train_dataloader.batch_size={batch} must be a multiple of {unit} ({reason})")


def _with_weights(
    run: RunConfig, model: Config, filled_later: bool, restored: Collection[str]
) -> dict[str, Any]:
    """A game's config in which ``weights=dict(stage=...)`` is the checkpoint of that stage.

    Networks named by ``restored`` are left to the checkpoint of the game itself.
    """
    networks = {}
    for name, config in model["networks"].items():
        weights = (config or {}).get("weights")
        if isinstance(weights, Mapping) and "stage" in weights:
            path = None if filled_later else _checkpoint_of(run, weights["stage"], name)
            source = dict(stage=weights["stage"], checkpoint=path, network=weights.get("network", name))
            networks[name] = {**config, "weights": source}
        elif weights is not None and name in restored and not _reads_weights(config):
            networks[name] = {**config, "weights": dict(checkpoint=None)}
        else:
            networks[name] = config
    return {**model, "networks": networks}


def _reads_weights(config: Config) -> bool:
    """Whether ``weights`` is an argument of the network itself, and not the game's."""
    return "weights" in (accepted(check({"type": config["type"]})) or {})


def _checkpoint_of(run: RunConfig, stage: str, network: str) -> str:
    folder = stage_folder(run, stage)
    path = latest_checkpoint(folder)
    if path is None:
        raise ConfigError(
            f"model.networks.{network}.weights: stage {stage!r} has no checkpoint in {folder}; "
            f"is it in 'stages'? stages={list(run.get('stages', ()))}"
        )
    return str(path)


def saves_checkpoints(hook: Hook) -> bool:
    """Whether it is the hook ``Checkpoints``."""
    return isinstance(hook, check({"type": "Checkpoints"}, "hook"))


def data_facts(stream: Any) -> dict[str, Any]:
    """Title, size and fingerprint of a training stream's source; {} of a game without images."""
    if isinstance(stream, NoImages):
        return {}
    source = stream.source
    return dict(
        title=source.title,
        embedded=bool(source.embedded),
        notice=getattr(source, "notice", "") or "",
        fingerprint=source.fingerprint(),
        n=len(stream),
        labelled=int((stream.visible_labels >= 0).sum()),
        classes=list(source.classes),
    )


def notices(game: Game) -> list[str]:
    """What parts of a game say of themselves (a stand-in for weights that could not be had)."""
    parts = [*game.modules(), game.conditioner.extractor]
    return list(dict.fromkeys(str(part.notice) for part in parts if getattr(part, "notice", "")))
