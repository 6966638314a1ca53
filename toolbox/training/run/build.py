"""From a config to what mmengine trains: loader, game, runner."""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.compat import import_torchvision
from toolbox.config import KEYS, ConfigError, override
from toolbox.randomness import mix
from toolbox.registry import build
from toolbox.training.checkpoints import use_safe_loader
from toolbox.training.checks.config import check_iterations
from toolbox.training.run.runner import quiet_runner
from toolbox.training.run.stages import MAIN, newest_checkpoint, resolve_weights, stage_config

_FROM_DATA = ("data:", "conditioner:")  # beginnings of what fill_from_data replaces
_SWITCHES = (
    "precision",
    "compile",
    "channels_last",
)  # of the run; every game takes them that has none of its own
_OURS = {
    "title",
    "evaluation",
    "before",
    "stages",
    "hooks",
    "seed",
    "deterministic",
    "threads",
    "plugins",
    *_SWITCHES,
}


def build_game(config: Any, deferred: bool = False) -> Any:
    """The Game of the main config; what the config leaves to its data set is read from there."""
    model = dict(config.model)
    if _leaves_to_data(model):
        model = fill_from_data(model, build_loader(stage_config(config, MAIN), config.get("seed", 0)).dataset)
    return build({**of_run(config), **resolve_weights(config, model, deferred)}, "model", "model")


def of_run(config: Any) -> dict[str, Any]:
    """What every game of a run is given: the seed, and the switches for speed."""
    return {"seed": config.get("seed", 0), **{name: config[name] for name in _SWITCHES if name in config}}


def build_runner(config: Any, stage: str = MAIN, resume: bool = False) -> Any:
    """mmengine's Runner for one stage.

    Raises:
        ConfigError: when the loader's batch cannot be split as the phases ask.
    """
    import_torchvision()  # mmengine's environment report imports it and does not survive a mismatched build
    own = stage_config(config, stage)
    use_safe_loader()
    _set_threads(own)
    folder = Path(own.work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    seed = own.get("seed", 0)
    check_iterations(own)
    loader = build_loader(own, seed)
    own.model = fill_from_data(own.model, loader.dataset)
    game = build({**of_run(own), **resolve_weights(config, own.model)}, "model", "model")
    check_batch(own, game)
    arguments = {
        key: own[key] for key in own if key in KEYS and key not in _OURS and key not in ("model", "work_dir")
    }
    arguments["train_dataloader"] = loader
    arguments["train_cfg"] = {"type": "GameLoop", **arguments["train_cfg"]}
    arguments["optim_wrapper"] = {"constructor": "PlayerOptimizers", **arguments["optim_wrapper"]}
    newest = newest_checkpoint(config, stage) if resume else None
    if newest is not None:
        arguments["load_from"] = str(newest)  # mmengine would take the name in last_checkpoint for a path
    name = (
        f"{folder.name}-{stage}-{os.getpid()}-{time.monotonic_ns()}"  # mmengine's singletons are keyed by it
    )
    arguments["experiment_name"] = name
    runner = quiet_runner()(
        model=game,
        **_defaults(arguments),
        randomness=dict(seed=mix(seed, "runner") % 2**31, deterministic=own.get("deterministic", False)),
        custom_hooks=[
            build_hook(key, hook)
            for key, hook in sorted((own.get("hooks") or {}).items())
            if hook is not None
        ],
        work_dir=str(folder),
        resume=newest is not None,
        cfg=own,
    )
    return runner


def build_loader(config: Any, seed: int) -> Any:
    """The training loader of a stage's config: a seeded stream of items, stacked.

    ``batch_size`` counts the images of an iteration on all processes together; the loader gives this one's
    share.
    """
    from mmengine.runner import Runner

    arguments = dict(config.train_dataloader)
    known = inspect.signature(DataLoader).parameters
    for key in arguments:
        if key not in known:
            raise ConfigError(
                f"train_dataloader has no key {key!r}{near_miss(key, known)}; it has: {', '.join(known)}"
            )
    arguments["dataset"] = build(arguments["dataset"], "dataset", "train_dataloader.dataset")
    arguments.setdefault("num_workers", 0)
    arguments.setdefault("collate_fn", dict(type="default_collate"))  # mmengine's default gives lists
    arguments["batch_size"] = int(arguments["batch_size"]) // ranks.world()
    parts = max(int(phase.get("repeat", 1)) for phase in config.model["phases"])
    arguments["sampler"] = {
        "type": "StreamSampler",
        "batch_size": arguments["batch_size"],
        "parts": parts,
        **arguments.get("sampler", {}),
        "seed": mix(seed, "data"),
    }
    arguments["sampler"] = build(
        arguments["sampler"], "data_sampler", "train_dataloader.sampler", dataset=arguments["dataset"]
    )
    if arguments.get("batch_sampler"):
        arguments["batch_sampler"] = build(
            arguments["batch_sampler"],
            "data_sampler",
            "train_dataloader.batch_sampler",
            sampler=arguments["sampler"],
            batch_size=arguments.pop("batch_size"),
        )
    try:
        loader = Runner.build_dataloader(arguments)
    except (ValueError, TypeError) as error:  # torch's
        raise ConfigError(f"train_dataloader: {error}") from error
    if arguments["num_workers"] and "worker_init_fn" not in arguments:
        loader.worker_init_fn = (
            leave_signals_to_the_parent  # mmengine's default seeds generators that no item draws from
        )
    return loader


def fill_from_data(model: Any, stream: Any) -> Any:
    """Replace what a config leaves to the data set, so that it fits any:

    ``'data:classes'`` (names), ``'data:n_classes'``, ``'data:part_names'`` (of the masks),
    ``'data:n_conditions'`` (clusters of all classes, or classes where the conditioner has no clusters),
    ``'conditioner:clusters'``.
    """
    classes = list(stream.source.classes) if hasattr(stream, "source") else []
    clusters = (model.get("conditioner") or {}).get("clusters", 1)
    total = sum(clusters.values()) if isinstance(clusters, Mapping) else len(classes) * clusters
    parts = list(getattr(getattr(stream, "source", None), "part_names", ()))
    known = {
        "data:classes": classes,
        "data:n_classes": len(classes),
        "data:part_names": parts,
        "data:n_conditions": total,
        "conditioner:clusters": clusters,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [fill(item) for item in value]
        if isinstance(value, str) and value.startswith(_FROM_DATA):
            if value not in known:
                raise ConfigError(
                    f"{value!r} is not known{near_miss(value, known)}; known: {', '.join(known)}"
                )
            return known[value]
        return value

    return fill(model)


def _leaves_to_data(value: Any) -> bool:
    if isinstance(value, (Mapping, list, tuple)):
        return any(
            _leaves_to_data(item) for item in (value.values() if isinstance(value, Mapping) else value)
        )
    return isinstance(value, str) and value.startswith(_FROM_DATA)


def build_hook(name: str, config: Any) -> Any:
    return build(config, "hook", f"hooks.{name}")


def _defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    quiet = dict(
        checkpoint=None,
        sampler_seed=None,
        timer=dict(type="IterTimerHook"),
        runtime_info=dict(type="RuntimeInfoHook"),
        param_scheduler=dict(type="ParamSchedulerHook"),
        logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    )
    arguments["log_processor"] = {
        "by_epoch": False,
        **arguments.get("log_processor", {}),
    }  # the default counts epochs, silently
    arguments["default_hooks"] = override(quiet, arguments.get("default_hooks", {}))
    if "param_scheduler" in arguments:
        arguments["param_scheduler"] = _by_iteration(arguments["param_scheduler"])
    return arguments


def _by_iteration(schedulers: Any) -> Any:
    """Schedules that count iterations: mmengine's default counts epochs, and would step once in the whole
    run.
    """
    if isinstance(schedulers, (list, tuple)):
        return [_by_iteration(scheduler) for scheduler in schedulers]
    if "type" not in schedulers:
        return {player: _by_iteration(own) for player, own in schedulers.items()}
    if schedulers.get("by_epoch"):
        raise ConfigError(
            f"param_scheduler {schedulers['type']}: by_epoch=True never takes effect here, a run has no "
            "epochs; "
            "leave it out and count in iterations"
        )
    return {**schedulers, "by_epoch": False}


def _set_threads(config: Any) -> None:
    if config.get("threads"):
        torch.set_num_threads(int(config.threads))


def check_batch(config: Any, game: Any) -> None:
    """Raise ConfigError for a batch that the processes, parts and splits of an iteration cannot share
    equally.
    """
    batch, world = int(config.train_dataloader["batch_size"]), ranks.world()
    splits = max(step.phase.accumulate for step in game.steps)
    if batch % (game.repeats * splits * world):
        shares = [
            (world, "processes"),
            (game.repeats, "parts, since phases repeat"),
            (splits, "splits, since phases accumulate"),
        ]
        reason = " x ".join(f"{n} {what}" for n, what in shares if n > 1)
        raise ConfigError(
            f"train_dataloader.batch_size={batch} must be a multiple of {game.repeats * splits * world} "
            f"({reason})"
        )


def leave_signals_to_the_parent(worker: int) -> None:
    """A loader's process ignores Ctrl-C, which a terminal sends to it too: the batch under way is still
    needed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
