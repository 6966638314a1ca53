"""Checking a whole config before any time is spent: every key of every level, with the near miss."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from toolbox.catalog import near_miss
from toolbox.checking import check_at_least, check_call, check_is_dict, check_known, check_type
from toolbox.config import ConfigError, check_keys
from toolbox.registry import BuildError, check
from toolbox.training.checks.components import check_component, check_inside
from toolbox.training.checks.model import check_model
from toolbox.training.checks.names import check_removal, meant_name, named
from toolbox.training.checks.runner import check_runner, check_schedules
from toolbox.training.evaluation.settings import REAL, check_evaluation
from toolbox.training.game.optimizers import check_optimizers
from toolbox.training.game.phases import PlanError
from toolbox.training.stages import MAIN, stage_config

if TYPE_CHECKING:
    from mmengine import Config

_NOT_OF_A_STAGE = ("before", "stages", "quick", "plugins", "work_dir", "default_scope", "device")
_TYPES = {
    "title": str,
    "seed": int,
    "deterministic": bool,
    "threads": int,
    "device": str | None,
    "work_dir": str,
    "load_from": str | None,
    "log_level": str,
    "channels_last": bool,
    "precision": str,
}
_LOADER_TYPES = {"batch_size": int, "num_workers": int, "persistent_workers": bool, "pin_memory": bool}


def check_config(config: Config) -> None:
    """Every key, name and plain type of a loaded config and of its stages; nothing is built.

    Raises:
        ConfigError, BuildError, PlanError: naming the key (dotted), its value, and the near miss or what is
            allowed.
    """
    check_keys(config)
    check_type(config.get("work_dir", ""), str | None, "work_dir")
    before = config.get("before") or {}
    _check_stages(config, before)
    for stage in [MAIN, *(name for name, own in before.items() if own is not None)]:
        own = stage_config(config, stage)
        try:
            _check_one(own, before)
        except (ConfigError, BuildError, PlanError) as error:
            if stage == MAIN:
                raise
            raise type(error)(f"before.{stage}: {error}") from error
    check_is_dict(config.get("evaluation"), "evaluation")
    if config.get("evaluation"):
        _check_measurements(config.evaluation)


def _check_stages(config: Config, before: Mapping[str, Any]) -> None:
    stages = config.get("stages", ())
    if not isinstance(stages, (list, tuple)):
        raise ConfigError(f"stages={stages!r} must be a list of names out of 'before'")
    if len(set(stages)) < len(stages):
        raise ConfigError(f"stages={list(stages)} names one of them twice; a stage is played once")
    for stage in stages:
        if before.get(stage) is None:
            hint = near_miss(str(stage), before)
            raise ConfigError(
                f"stages names {stage!r}{hint}, 'before' describes {', '.join(before) or 'none'}"
            )
    for name, own in before.items():
        check_removal(name, own, before, "before")
        if own is not None and name not in stages and (meant := meant_name(name, before)):
            raise ConfigError(f"before.{name} is not in stages={list(stages)} - did you mean {meant!r}?")
        for key in own or ():
            if key in _NOT_OF_A_STAGE:
                raise ConfigError(f"before.{name}.{key} has no effect: it can be said of the whole run only")


def _check_one(config: Config, before: Mapping[str, Any]) -> None:
    """One stage."""
    for key, hint in _TYPES.items():
        if key in config:
            check_type(config[key], hint, key)
    for key in ("model", "train_dataloader", "optim_wrapper"):
        if not isinstance(config.get(key), Mapping):
            raise ConfigError(f"the config needs {key}=dict(...), got {config.get(key)!r}")
    _check_iterations(config.get("train_cfg", {}))
    check_model(config.model, before)
    _check_loader(config.train_dataloader)
    players = dict(named(config.model["players"], "model.players"))
    check_optimizers(dict(named(config.optim_wrapper, "optim_wrapper", typed=False)), players)
    if config.get("param_scheduler"):
        check_schedules(config.param_scheduler, players)
    _check_values(config)
    for name, hook in named(config.get("hooks") or {}, "hooks"):
        check_is_dict(hook, f"hooks.{name}")
        check_component(hook, "hook", f"hooks.{name}")
    check_runner(config)


def _check_iterations(train: Mapping[str, Any]) -> None:
    """``train_cfg`` says how long."""
    check_known(train, ("max_iters", "type"), "train_cfg")
    if train.get("type", "GameLoop") != "GameLoop":
        raise ConfigError(
            f"train_cfg.type={train['type']!r}: a game is played by GameLoop alone; leave it out"
        )
    if "max_iters" not in train:
        raise ConfigError("train_cfg=dict(max_iters=...) must say how many iterations to train, 1 or more")
    check_at_least(1, train["max_iters"], "train_cfg.max_iters")


def _check_loader(config: Mapping[str, Any]) -> None:
    known = inspect.signature(DataLoader).parameters
    check_known(config, known, "train_dataloader")
    for key in ("dataset", "batch_size"):
        if key not in config:
            none = " (None: a game without images)" if key == "dataset" else ""
            raise ConfigError(f"train_dataloader.{key} is missing{none}")
    for key, hint in _LOADER_TYPES.items():
        if key in config:
            check_type(config[key], hint, f"train_dataloader.{key}")
    if config["dataset"] is None:
        _check_without_data(config)
        return
    for key in ("dataset", "sampler", "batch_sampler"):
        check_is_dict(config.get(key), f"train_dataloader.{key}")
    check_component(config["dataset"], "dataset", "train_dataloader.dataset")
    sampler = {"type": "StreamSampler", **(config.get("sampler") or {})}
    check_component(sampler, "data_sampler", "train_dataloader.sampler", filled=("dataset", "seed"))
    batches = config.get("batch_sampler")
    filled = ("sampler", "batch_size")
    check_component(batches, "data_sampler", "train_dataloader.batch_sampler", filled=filled)


def _check_without_data(config: Mapping[str, Any]) -> None:
    """A game without images: nothing is read."""
    for key in ("sampler", "batch_sampler"):
        if config.get(key) is not None:
            raise ConfigError(
                f"train_dataloader.{key} has nothing to choose from: dataset=None trains without images. "
                f"Name a data set, or set {key}=None"
            )


def _check_measurements(evaluation: Mapping[str, Any]) -> None:
    for name, metric in named(evaluation.get("metrics") or {}, "evaluation.metrics"):
        check_is_dict(metric, f"evaluation.metrics.{name}")
        check_component(metric, "metric", f"evaluation.metrics.{name}", besides=["uses"])
    check_evaluation(evaluation)
    check_type(evaluation.get("seed", 0), int, "evaluation.seed")
    check_type(evaluation.get("cache_dir"), str | None, "evaluation.cache_dir")
    for key in ("real", "captions", "test"):
        if evaluation.get(key) != REAL:
            check_component(evaluation.get(key), "dataset", f"evaluation.{key}")
    extractor = evaluation.get("extractor")
    check_is_dict(extractor, "evaluation.extractor")
    check_inside(extractor, "evaluation.extractor")
    if extractor is not None and "type" not in extractor:
        check(extractor, None, "evaluation.extractor")  # raises: no type


def _check_values(config: Config) -> None:
    """Numbers that are too small, files that are not there, what the run's own keys may hold."""
    _check_compile(config.get("compile", False), "compile")
    _check_compile(config.model.get("compile", False), "model.compile")
    check_at_least(0, config.get("threads", 0), "threads")
    check_at_least(1, config.model.get("log_every", 1), "model.log_every")
    loader = config.train_dataloader
    check_at_least(1, loader["batch_size"], "train_dataloader.batch_size")
    check_at_least(0, loader.get("num_workers", 0), "train_dataloader.num_workers")
    if config.get("load_from") and not Path(config.load_from).exists():
        raise ConfigError(f"load_from={config.load_from!r} does not exist")
    if "seed" in config.model:
        raise ConfigError(
            f"model.seed={config.model['seed']!r}: the seed is the whole run's, say seed=... (or --seed)"
        )


def _check_compile(option: Any, where: str) -> None:
    """True, False, or arguments of torch.compile."""
    if isinstance(option, bool):
        return
    if not isinstance(option, Mapping):
        raise ConfigError(
            f"{where}={option!r} must be True, False, or arguments of torch.compile: dict(mode=...)"
        )
    check_call(option, torch.compile, where, filled=("model",))
    backend = option.get("backend")
    if isinstance(backend, str):
        import torch._dynamo as dynamo

        known = dynamo.list_backends(exclude_tags=())
        if backend not in known:
            hint = near_miss(backend, known)
            raise ConfigError(f"{where}.backend={backend!r} is not known{hint}; known: {', '.join(known)}")
