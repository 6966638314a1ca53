"""Building a game's networks: each from (seed, its name), borrowing others, loading weights, freezing."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

from torch import nn

from toolbox.catalog import near_miss
from toolbox.interfaces import Conditioner
from toolbox.models.borrowing import lend
from toolbox.randomness import seeded
from toolbox.registry import Config, build, check
from toolbox.training.game.conditioners import NoConditions
from toolbox.training.game.phases import PlanError
from toolbox.training.pretrained import load_network_weights


def build_networks(
    configs: Mapping[str, Config | None], moving: Collection[str], seed: int
) -> tuple[nn.ModuleDict, dict[str, str]]:
    """Networks by name, and {name: file} of those that come from outside the run ('' = no file).

    Each is initialised from (seed, its name), so that adding one changes no other. A frozen network that is
    not made by this run (no ``weights`` of an earlier stage) is saved as a fingerprint only.

    Args:
        configs: {name: config}; None removes one.
        moving: names of those that some player moves; the others stand still.
        seed: of the run.

    Raises:
        PlanError: for a ``uses`` that names no network, or a circle of them.
    """
    wanted = {name: dict(config) for name, config in configs.items() if config is not None}
    built: dict[str, nn.Module] = {}
    outside: dict[str, str] = {}
    for name in _order(wanted):
        built[name] = _build_one(name, wanted[name], built, seed)
        if name not in moving:
            built[name].requires_grad_(False).eval()
            weights = wanted[name].get("weights")
            if not _of_this_run(weights):
                outside[name] = file_of(weights)
    return nn.ModuleDict({name: built[name] for name in wanted}), outside


def build_conditioner(config: Config | None, networks: Mapping[str, nn.Module]) -> Conditioner:
    """A game's or a release's conditioner, with the networks that its ``uses`` names; None: no conditions.

    Raises:
        PlanError: for a network that does not exist.
    """
    if config is None:
        return NoConditions()
    arguments = dict(config)
    uses = dict(arguments.pop("uses", None) or {})
    for used in uses.values():
        if used not in networks:
            raise PlanError(
                f"model.conditioner uses {used!r}, which does not exist{near_miss(used, networks)}"
            )
    lent = {argument: networks[used] for argument, used in uses.items()}
    conditioner: Conditioner = build(arguments, "conditioner", "model.conditioner", **lent)
    return conditioner


def _order(configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names such that whoever is borrowed comes first."""
    ordered: list[str] = []
    waiting = sorted(configs)
    while waiting:
        ready = [name for name in waiting if _borrowed(configs[name]) <= set(ordered)]
        if not ready:
            _explain_stuck(waiting, configs)
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


def _borrowed(config: Mapping[str, Any]) -> set[str]:
    """Names of the networks that one uses."""
    return set((config.get("uses") or {}).values())


def _of_a_checkpoint(weights: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether ``weights`` name a checkpoint, such as an earlier stage's: no component reads that itself."""
    return isinstance(weights, Mapping) and "url" not in weights


def _of_this_run(weights: Any) -> bool:
    """Whether this run makes them: an earlier stage, or the checkpoint that it goes on from."""
    return _of_a_checkpoint(weights) and ("stage" in weights or weights.get("checkpoint") is None)


def file_of(weights: Any) -> str:
    """What a network's ``weights`` name, in words; '' where they name nothing."""
    if not isinstance(weights, Mapping):
        return "" if weights is None else str(weights)
    place = str(weights.get("checkpoint") or weights.get("url") or "")
    return f"network {weights['network']!r} of {place}" if weights.get("network") else place


def _explain_stuck(waiting: Sequence[str], configs: Mapping[str, Mapping[str, Any]]) -> None:
    for name in waiting:
        for used in (configs[name].get("uses") or {}).values():
            if used not in configs:
                raise PlanError(
                    f"network {name!r} uses {used!r}, which does not exist{near_miss(used, configs)}"
                )
    raise PlanError(f"networks {list(waiting)} use each other in a circle")


def _build_one(name: str, config: dict[str, Any], built: Mapping[str, nn.Module], seed: int) -> nn.Module:
    where = f"model.networks.{name}"
    arguments = dict(config)
    uses = {key: built[used] for key, used in (arguments.pop("uses", None) or {}).items()}
    # ``weights``, ``frozen`` and ``freeze_layers`` are the game's, unless the component has such an argument
    own = inspect.signature(check({"type": arguments.get("type")}, None, where)).parameters
    weights = None
    if "weights" not in own or _of_a_checkpoint(arguments.get("weights")):
        weights = arguments.pop("weights", None)
    frozen = arguments.get("frozen") if "frozen" in own else arguments.pop("frozen", False)
    freeze_layers = () if "freeze_layers" in own else arguments.pop("freeze_layers", ())
    with seeded(seed, "network", name):
        network = build(arguments, None, where, **uses)
    if not isinstance(network, nn.Module):
        raise PlanError(f"{where}: {type(network).__name__} is not a network (torch.nn.Module)")
    lend(network, uses.values())
    filled_later = _of_a_checkpoint(weights) and weights.get("checkpoint") is None  # by a whole checkpoint
    if weights is not None and not filled_later:
        load_network_weights(network, weights, name)
    if frozen:
        network.requires_grad_(False).eval()
    _freeze_layers(network, freeze_layers, where)
    return network


def _freeze_layers(network: nn.Module, prefixes: Sequence[str], where: str) -> None:
    """Fine-tuning: parameters whose name starts with one of ``prefixes`` do not move."""
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            hint = near_miss(prefix, names)
            raise PlanError(f"{where}: freeze_layers names {prefix!r}, no parameter starts with it{hint}")
    for name, parameter in network.named_parameters():
        if name.startswith(tuple(prefixes)):
            parameter.requires_grad_(False)
