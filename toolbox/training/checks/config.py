"""Checking a whole config before any time is spent: every key of every level, with the near miss."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader

from toolbox.catalog import near_miss
from toolbox.checking import check_call, check_known, check_type, check_types
from toolbox.config import ConfigError, check_keys
from toolbox.registry import BuildError, accepted, check
from toolbox.training.checks.components import check_component, check_inside
from toolbox.training.checks.mmengine_parts import check_optimizers, check_runner, check_schedules
from toolbox.training.checks.values import check_is_dict, check_values
from toolbox.training.evaluation.settings import check_evaluation
from toolbox.training.game.average import Average
from toolbox.training.game.phases import Phase, PlanError, Weight
from toolbox.training.run.stages import MAIN, stage_config

_BORROWED = ("uses", "weights", "frozen", "freeze_layers")  # of a network's entry, beside its own arguments
_NOT_OF_A_STAGE = ("before", "stages", "quick", "plugins", "work_dir", "default_scope")
_TOP = {
    "title": str,
    "seed": int,
    "deterministic": bool,
    "threads": int,
    "work_dir": str,
    "load_from": str | None,
    "log_level": str,
    "channels_last": bool,
    "precision": str,
}


def check_config(config: Any) -> None:
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


def _check_stages(config: Any, before: Mapping[str, Any]) -> None:
    stages = config.get("stages", ())
    if not isinstance(stages, (list, tuple)):
        raise ConfigError(f"stages={stages!r} must be a list of names out of 'before'")
    if len(set(stages)) < len(stages):
        raise ConfigError(f"stages={list(stages)} names one of them twice; a stage is played once")
    for stage in stages:
        if before.get(stage) is None:
            raise ConfigError(
                f"stages names {stage!r}{near_miss(str(stage), before)}, "
                f"'before' describes {', '.join(before) or 'none'}"
            )
    for name, own in before.items():
        _check_removal(name, own, before, "before")
        if own is not None and name not in stages and (meant := _meant(name, before)):
            raise ConfigError(f"before.{name} is not in stages={list(stages)} - did you mean {meant!r}?")
        for key in own or ():
            if key in _NOT_OF_A_STAGE:
                raise ConfigError(f"before.{name}.{key} has no effect: it can be said of the whole run only")


def _check_one(config: Any, before: Mapping[str, Any]) -> None:
    for key, hint in _TOP.items():
        if key in config:
            check_type(config[key], hint, key)
    for key in ("model", "train_dataloader", "optim_wrapper"):
        if not isinstance(config.get(key), Mapping):
            raise ConfigError(f"the config needs {key}=dict(...), got {config.get(key)!r}")
    check_iterations(config)
    for key in ("conditioner", "augment"):
        check_is_dict(config.model.get(key), f"model.{key}")
    _check_model(config.model, before)
    _check_loader(config.train_dataloader)
    players = dict(_named(config.model["players"], "model.players"))
    check_optimizers(dict(_named(config.optim_wrapper, "optim_wrapper")), players)
    if config.get("param_scheduler"):
        check_schedules(config.param_scheduler, players)
    check_values(config)
    for name, hook in _named(config.get("hooks") or {}, "hooks"):
        check_is_dict(hook, f"hooks.{name}")
        check_component(hook, "hook", f"hooks.{name}")
    check_runner(config)


def check_iterations(config: Any) -> None:
    """``train_cfg`` says how long.

    Raises:
        ConfigError: for an unknown key, or less than one iteration.
    """
    for key in config.get("train_cfg", {}):
        if key not in ("type", "max_iters"):
            raise ConfigError(
                f"train_cfg has no key {key!r}{near_miss(key, ['max_iters'])}; it has: max_iters"
            )
    if config.get("train_cfg", {}).get("type", "GameLoop") != "GameLoop":
        raise ConfigError(
            f"train_cfg.type={config.train_cfg.type!r}: a game is played by GameLoop alone; leave it out"
        )
    if "train_cfg" not in config or "max_iters" not in config.train_cfg:
        raise ConfigError("train_cfg=dict(max_iters=...) must say how many iterations to train, 1 or more")
    check_type(config.train_cfg.max_iters, int, "train_cfg.max_iters")
    if int(config.train_cfg.max_iters) < 1:
        raise ConfigError(f"train_cfg.max_iters={config.train_cfg.max_iters} must be 1 or more")


# -- the game ------------------------------------------------------------------------------------------------


def _check_model(model: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    game = check(model, "model", "model")
    check_types({key: value for key, value in model.items() if key != "type"}, game, "model")
    for key in ("networks", "players", "objectives"):
        if not isinstance(model.get(key), Mapping):
            raise ConfigError(f"model.{key} must be a dict by name, got {model.get(key)!r}")
    networks = {name for name, config in _named(model["networks"], "model.networks")}
    if "generator" in model:
        _check_members([model["generator"]], networks, "model.generator")
    for name, config in _named(model["networks"], "model.networks"):
        check_is_dict(config, f"model.networks.{name}")
        _check_network(config, f"model.networks.{name}", networks, before)
    for player, members in _named(model["players"], "model.players"):
        _check_members(members, networks, f"model.players.{player}")
    _check_phases(model.get("phases") or (), [name for name, _ in _named(model["players"], "model.players")])
    for name, config in _named(model["objectives"], "model.objectives"):
        check_is_dict(config, f"model.objectives.{name}")
        _check_weight(config.get("weight", 1.0), f"model.objectives.{name}.weight")
        check_component(config, "objective", f"model.objectives.{name}", besides=["weight"])
    check_component(model.get("conditioner"), "conditioner", "model.conditioner")
    _check_augment(model.get("augment"), networks)
    for name, arguments in _named(model.get("average") or {}, "model.average"):
        _check_members([name], networks, "model.average")
        check_call(arguments, Average, f"model.average.{name}", filled=["network"])
    _check_all_are_used(model)


def _check_network(
    config: Mapping[str, Any], where: str, networks: Iterable[str], before: Mapping[str, Any]
) -> None:
    if "type" not in config:
        _explain_override(config, where, networks)
    own = accepted(check({"type": config["type"]}, None, where)) or {}
    weights = config.get("weights")
    beside = [
        key for key in _BORROWED if key not in own or (key == "weights" and isinstance(weights, Mapping))
    ]
    check_component(config, None, where, besides=beside)
    uses = config.get("uses") or {} if "uses" in beside else {}
    if own:
        check_known(uses, own, f"{where}.uses")
    _check_members(uses.values(), networks, f"{where}.uses")
    if isinstance(weights, Mapping):
        check_known(weights, ("stage", "network", "checkpoint"), f"{where}.weights")
        if "stage" in weights and weights["stage"] not in before:
            raise ConfigError(
                f"{where}.weights.stage={weights['stage']!r}: there is no such stage"
                f"{near_miss(str(weights['stage']), before)}; 'before' describes "
                f"{', '.join(before) or 'none'}"
            )
        if "stage" in weights:
            made = ((before[weights["stage"]] or {}).get("model") or {}).get("networks") or {}
            meant = weights.get("network", where.rpartition(".")[2])
            _check_members([meant], made, f"{where}.weights (of stage {weights['stage']})")


def _check_phases(phases: Any, players: list[str]) -> None:
    for number, phase in enumerate(phases):
        check_is_dict(phase, f"model.phases.{number}")
        check_types(phase, Phase, f"model.phases.{number}")
        Phase.read(phase)
    moving = {phase["player"] for phase in phases}
    for player in players:
        if player not in moving:
            raise PlanError(
                f"model.players.{player} never moves: no phase names "
                f"it{near_miss(player, set(players) - {player})}"
            )


def _check_members(names: Any, networks: Iterable[str], where: str) -> None:
    if isinstance(names, str):
        raise ConfigError(f"{where}={names!r} must be a list of networks, such as [{names!r}]")
    for name in names:
        if name not in networks:
            raise PlanError(
                f"{where} names the network {name!r}, which does not exist{near_miss(str(name), networks)}; "
                f"networks: {', '.join(sorted(networks))}"
            )


def _check_weight(weight: Any, where: str) -> None:
    if isinstance(weight, Mapping):
        check_call(weight, Weight, where)
    else:
        check_type(weight, float, where)


def _check_augment(config: Any, networks: Iterable[str]) -> None:
    if config is not None:
        check_component(config, "augment", "model.augment", besides=["discriminators"])
        _check_members(config.get("discriminators") or (), networks, "model.augment.discriminators")


def _check_all_are_used(model: Mapping[str, Any]) -> None:
    """A network that nobody moves or names, and that is called nearly like another, is there by a slip."""
    named = set(_strings({key: value for key, value in model.items() if key != "networks"}))
    named |= {text for config in model["networks"].values() for text in _strings((config or {}).get("uses"))}
    named.add(model.get("generator", "generator"))
    for name, config in model["networks"].items():
        if config is not None and name not in named and (meant := _meant(name, model["networks"])):
            raise ConfigError(
                f"model.networks.{name} is of no use, no player moves it and nothing names it - "
                f"did you mean {meant!r}?"
            )


def _strings(value: Any) -> Iterator[str]:
    """All strings inside, and those that components have as defaults (an objective's
    ``discriminator='discriminator'``).
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            defaults = (accepted(check({"type": value["type"]})) or {}).values()
            yield from (p.default for p in defaults if isinstance(p.default, str))
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)


# -- what trains it ------------------------------------------------------------------------------------------


def _check_loader(config: Mapping[str, Any]) -> None:
    known = inspect.signature(DataLoader).parameters
    check_known(config, known, "train_dataloader")
    for key in ("dataset", "batch_size"):
        if key not in config:
            raise ConfigError(f"train_dataloader.{key} is missing")
    for key, hint in (
        ("batch_size", int),
        ("num_workers", int),
        ("persistent_workers", bool),
        ("pin_memory", bool),
    ):
        if key in config:
            check_type(config[key], hint, f"train_dataloader.{key}")
    check_component(config["dataset"], "dataset", "train_dataloader.dataset")
    sampler = {"type": "StreamSampler", **(config.get("sampler") or {})}
    check_component(sampler, "data_sampler", "train_dataloader.sampler", filled=("dataset", "seed"))
    check_component(
        config.get("batch_sampler"),
        "data_sampler",
        "train_dataloader.batch_sampler",
        filled=("sampler", "batch_size"),
    )


def _check_measurements(evaluation: Mapping[str, Any]) -> None:
    for name, metric in _named(evaluation.get("metrics") or {}, "evaluation.metrics"):
        check_is_dict(metric, f"evaluation.metrics.{name}")
        check_component(metric, "metric", f"evaluation.metrics.{name}")
    check_evaluation(evaluation)
    check_type(evaluation.get("seed", 0), int, "evaluation.seed")
    check_type(evaluation.get("cache_dir"), str | None, "evaluation.cache_dir")
    for key, kind in (("real", "dataset"), ("test", "dataset")):
        check_component(evaluation.get(key), kind, f"evaluation.{key}")
    check_is_dict(evaluation.get("extractor"), "evaluation.extractor")
    check_inside(evaluation.get("extractor"), "evaluation.extractor")
    if isinstance(evaluation.get("extractor"), Mapping) and "type" not in evaluation["extractor"]:
        check(evaluation["extractor"], None, "evaluation.extractor")  # raises: no type


# -- names that are free -------------------------------------------------------------------------------------


def _named(entries: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The entries of a dict by name, without removed ones; an override or removal of what is not there is a
    slip.
    """
    if not isinstance(entries, Mapping):
        raise ConfigError(f"{where}={entries!r} must be a dict by name")
    for name, entry in entries.items():
        _check_removal(name, entry, entries, where)
        of_components = any(isinstance(other, Mapping) and "type" in other for other in entries.values())
        if of_components and isinstance(entry, Mapping) and "type" not in entry:
            _explain_override(entry, f"{where}.{name}", [other for other in entries if other != name])
        if entry is not None:
            yield name, entry


def _check_removal(name: str, entry: Any, entries: Mapping[str, Any], where: str) -> None:
    if entry is None and (meant := _meant(name, entries)):
        raise ConfigError(f"{where}.{name}=None removes nothing - did you mean {meant!r}?")


def _meant(name: str, entries: Mapping[str, Any]) -> str | None:
    """Another entry, not removed, of nearly this name: nearer than a near miss, for names are free."""
    others = [other for other, own in entries.items() if own is not None and other != name]
    return next(iter(difflib.get_close_matches(name, others, n=1, cutoff=0.85)), None)


def _explain_override(entry: Mapping[str, Any], where: str, siblings: Iterable[str]) -> None:
    hint = near_miss(where.rpartition(".")[2], siblings)
    if hint:
        raise ConfigError(f"{where} overrides {', '.join(sorted(entry))} of what is not there{hint}")
    check(entry, None, where)  # raises: no type
