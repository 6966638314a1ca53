"""Checking a game's config: what it names, and what is handed to whom.

Who moves when, on which terms, is checked by the plan itself
(:meth:`toolbox.training.game.phases.Plan.read`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_call, check_is_dict, check_known, check_type, check_types
from toolbox.config import ConfigError
from toolbox.registry import Config, accepted, check
from toolbox.training.checks.components import check_component
from toolbox.training.checks.names import explain_override, meant_name, named
from toolbox.training.game.average import Average
from toolbox.training.game.phases import LossWeight, Phase, check_members
from toolbox.training.pretrained import OF_THE_GAME


def check_model(model: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """A game's config; nothing is built.

    Args:
        model: the config.
        before: earlier stages by name, which a network's ``weights`` may name.

    Raises:
        ConfigError, BuildError, PlanError: naming the key, its value, and the near miss or what is allowed.
    """
    game = check(model, "model", "model")
    check_types({key: value for key, value in model.items() if key != "type"}, game, "model")
    for key in ("networks", "players", "objectives"):
        if not isinstance(model.get(key), Mapping):
            raise ConfigError(f"model.{key} must be a dict by name, got {model.get(key)!r}")
    _check_networks(model, before)
    dict(named(model["players"], "model.players"))  # refuses an override of what is not there
    _check_phases(model)
    for name, config in named(model["objectives"], "model.objectives"):
        where = f"model.objectives.{name}"
        check_is_dict(config, where)
        _check_weight(config.get("weight", 1.0), f"{where}.weight")
        check_component(config, "objective", where, besides=["weight"])
    for key in ("conditioner", "augment"):
        beside = ["discriminators"] if key == "augment" else ["uses"]
        check_component(model.get(key), key, f"model.{key}", besides=beside)
    check_component(model.get("latents"), "latents", "model.latents")
    _check_lent_to_conditioner(model.get("conditioner") or {}, model["networks"])
    _check_all_are_used(model)


def _check_lent_to_conditioner(config: Config, networks: Iterable[str]) -> None:
    uses = config.get("uses") or {}
    if uses:
        own = accepted(check({"type": config["type"]}, "conditioner", "model.conditioner"))
        if own:
            check_known(uses, own, "model.conditioner.uses")
    check_members(uses.values(), networks, "model.conditioner.uses")


def _check_networks(model: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """The networks, and those that name some of them."""
    networks = dict(named(model["networks"], "model.networks"))
    if "generator" in model:
        check_members([model["generator"]], networks, "model.generator")
    for name, config in networks.items():
        check_is_dict(config, f"model.networks.{name}")
        _check_network(name, config, networks, before)
    for name, arguments in named(model.get("average") or {}, "model.average"):
        check_members([name], networks, "model.average")
        check_call(arguments, Average, f"model.average.{name}", filled=["network"])
    augment = model.get("augment")
    if isinstance(augment, Mapping):
        check_members(augment.get("discriminators") or (), networks, "model.augment.discriminators")


def _check_network(name: str, config: Config, networks: Iterable[str], before: Mapping[str, Any]) -> None:
    where = f"model.networks.{name}"
    if "type" not in config:
        explain_override(config, where, networks)
    own = accepted(check({"type": config["type"]}, None, where)) or {}
    weights = config.get("weights")
    beside = [key for key in OF_THE_GAME if key not in own]
    if isinstance(weights, Mapping) and "weights" not in beside:
        beside.append("weights")  # of a stage or a checkpoint: the game's, whatever the network takes itself
    check_component(config, None, where, besides=beside)
    uses = (config.get("uses") or {}) if "uses" in beside else {}
    if own:
        check_known(uses, own, f"{where}.uses")
    check_members(uses.values(), networks, f"{where}.uses")
    if isinstance(weights, Mapping) and "url" in weights:
        check_known(weights, ("url", "sha256", "network"), f"{where}.weights")
    elif isinstance(weights, Mapping):
        _check_weights_of_stage(weights, name, before, where)


def _check_weights_of_stage(weights: Config, name: str, before: Mapping[str, Any], where: str) -> None:
    check_known(weights, ("stage", "network", "checkpoint"), f"{where}.weights")
    if "stage" not in weights:
        return
    stage = weights["stage"]
    if stage not in before:
        hint = near_miss(str(stage), before)
        raise ConfigError(
            f"{where}.weights.stage={stage!r}: there is no such stage{hint}; "
            f"'before' describes {', '.join(before) or 'none'}"
        )
    made = ((before[stage] or {}).get("model") or {}).get("networks") or {}
    check_members([weights.get("network", name)], made, f"{where}.weights (of stage {stage})")


def _check_phases(model: Mapping[str, Any]) -> None:
    for number, phase in enumerate(model.get("phases") or ()):
        check_is_dict(phase, f"model.phases.{number}")
        check_types(phase, Phase, f"model.phases.{number}")
        Phase.read(phase)
        if phase.get("moves") is not None:
            check_component(phase["moves"], "choice", f"model.phases.{number}.moves")


def _check_weight(weight: Any, where: str) -> None:
    if isinstance(weight, Mapping):
        check_call(weight, LossWeight, where)
    else:
        check_type(weight, float, where)


def _check_all_are_used(model: Mapping[str, Any]) -> None:
    """A network that nobody moves or names, and that is called nearly like another, is there by a slip."""
    elsewhere = set(_strings({key: value for key, value in model.items() if key != "networks"}))
    elsewhere.add(model.get("generator", "generator"))
    for config in model["networks"].values():
        elsewhere |= set(_strings((config or {}).get("uses")))
    for name, config in model["networks"].items():
        meant = meant_name(name, model["networks"])
        if config is not None and name not in elsewhere and meant:
            raise ConfigError(
                f"model.networks.{name} is of no use, no player moves it and nothing names it - "
                f"did you mean {meant!r}?"
            )


def _strings(value: Any) -> Iterator[str]:
    """All strings inside, and defaults of components (an objective's ``discriminator='discriminator'``)."""
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
