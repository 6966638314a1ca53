"""One optimiser a player."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIMIZERS
from torch import nn

from toolbox.catalog import near_miss
from toolbox.checking import check_call, check_is_dict, check_known, check_type, find_registered
from toolbox.config import ConfigError
from toolbox.ranges import check_in, check_not_negative, check_positive
from toolbox.registry import REGISTRIES, Config
from toolbox.training.game.optim_wrappers import PatientOptimizer, ScaledOptimizer
from toolbox.training.game.phases import PlanError

_CLIPPING = ("type", "max_norm", "norm_type", "error_if_nonfinite", "foreach", "clip_value", "networks")


class Players(Protocol):
    """What optimisers ask of a game."""

    networks: nn.ModuleDict

    @property
    def players(self) -> Mapping[str, Sequence[str]]: ...

    @property
    def device(self) -> torch.device: ...

    def precisions(self, player: str) -> set[str]: ...

    def trained_parameters(self, player: str) -> list[nn.Parameter]: ...


class PlayerOptimizers:
    """mmengine's constructor for a game's optimisers.

    ``optim_wrapper = dict(constructor='PlayerOptimizers', <player>=dict(...))``: each player's entry is an
    optimizer wrapper's config, ``dict(optimizer=dict(type='Adam', lr=2e-4, ...))``, to which ``lr_mult``
    ({network: factor}) may be added. ``clip_grad`` may name the networks whose gradients are clipped,
    together: ``clip_grad=dict(max_norm=0.25, networks=['text_encoder'])``.
    """

    def __init__(self, optim_wrapper_cfg: Config, paramwise_cfg: Any = None) -> None:
        named = {name: config for name, config in optim_wrapper_cfg.items() if name != "constructor"}
        self.configs = {name: dict(config) for name, config in named.items() if config is not None}

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Wrappers by player.

        Raises:
            PlanError, ConfigError: see :func:`check_optimizers`; or for a player without an optimiser.
        """
        game: Any = getattr(model, "module", model)
        check_optimizers(self.configs, game.players)
        for name in game.players:
            if name not in self.configs:
                raise PlanError(
                    f"optim_wrapper has no entry for the player {name!r}: add "
                    f"{name}=dict(optimizer=dict(type='Adam', lr=...))"
                )
        built = {name: _build(game, name, config) for name, config in sorted(self.configs.items())}
        return OptimWrapperDict(**built)


def check_optimizers(configs: Mapping[str, Config | None], players: Mapping[str, Sequence[str]]) -> None:
    """``optim_wrapper``: players, wrappers, optimisers; nothing is built.

    Args:
        configs: {player: config}.
        players: {player: its networks}.

    Raises:
        PlanError: for an unknown player, or no optimiser.
        ConfigError: for an unknown optimiser or argument, with the near miss.
    """
    for player, config in configs.items():
        if player == "constructor" or config is None:
            continue
        where = f"optim_wrapper.{player}"
        if player not in players:
            raise PlanError(
                f"optim_wrapper has the player {player!r}{near_miss(player, players)}, which the game has "
                f"not; players: {', '.join(players)}"
            )
        check_is_dict(config, where)
        _check_wrapper(config, players[player], where)
        optimizer = config.get("optimizer")
        needed = f"{where} needs optimizer=dict(type='Adam', lr=...), got {optimizer}"
        if not isinstance(optimizer, Mapping) or "type" not in optimizer:
            raise PlanError(needed)
        found = find_registered(OPTIMIZERS, optimizer["type"], f"{where}.optimizer.type")
        if "lr" not in optimizer:
            raise PlanError(needed)
        check_call(optimizer, found, f"{where}.optimizer", besides=("type",), filled=("params",))
        _check_numbers(optimizer, f"{where}.optimizer")


def _check_wrapper(config: Config, networks: Sequence[str], where: str) -> None:
    """What a player's entry says beside the optimiser."""
    wrapper: Any = OptimWrapper
    if "type" in config:
        wrapper = find_registered(REGISTRIES["optim_wrapper"], config["type"], f"{where}.type")
    if "accumulative_counts" in config:
        raise PlanError(
            f"{where}: accumulative_counts has no effect in a game, where a step is a phase: give the phase "
            "accumulate=..."
        )
    check_call(config, wrapper, where, besides=("type", "optimizer", "lr_mult"))
    check_known(config.get("clip_grad") or {}, _CLIPPING, f"{where}.clip_grad")
    check_known(config.get("lr_mult") or {}, networks, f"{where}.lr_mult")
    for part in ("clip_grad", "lr_mult"):
        for key, value in (config.get(part) or {}).items():
            if key == "networks" and part == "clip_grad":
                _check_clipped(config[part], networks, wrapper, f"{where}.{part}")
            else:
                _check_factor(part, key, value, f"{where}.{part}.{key}")


def _check_clipped(clipping: Config, networks: Sequence[str], wrapper: Any, where: str) -> None:
    """A ``clip_grad`` that names the networks whose gradients are clipped."""
    names = clipping["networks"]
    of_player = f"networks of the player: {', '.join(networks)}"
    if not isinstance(names, (list, tuple)) or not names:
        raise ConfigError(f"{where}.networks={names!r} must be a list of {of_player}")
    for name in names:
        if name not in networks:
            raise ConfigError(
                f"{where}.networks: {name!r}{near_miss(str(name), networks)} is not among {of_player}"
            )
    if not {"max_norm", "clip_value"} & set(clipping):
        raise ConfigError(f"{where}={dict(clipping)} clips nothing: add max_norm=...")
    if wrapper is not OptimWrapper and not issubclass(wrapper, PatientOptimizer):
        raise ConfigError(
            f"{where}.networks: {wrapper.__name__} is no PatientOptimizer, it clips all networks or none"
        )


def _check_factor(part: str, key: str, value: Any, where: str) -> None:
    """An entry of ``clip_grad`` or ``lr_mult``."""
    if part == "lr_mult":
        _checked(check_not_negative, where, value)
    elif key in ("max_norm", "clip_value"):
        _checked(check_positive, where, value)
    elif key == "norm_type":
        _checked(partial(check_in, "(0, inf]"), where, value)
    else:
        check_type(value, str if key == "type" else bool | None, where)


def _check_numbers(optimizer: Config, where: str) -> None:
    """An optimiser's: torch checks some of them, and says less."""
    for key, value in optimizer.items():
        if isinstance(value, (float, int)) and not isinstance(value, bool):
            _checked(check_not_negative, f"{where}.{key}", value)
    if isinstance(optimizer.get("betas"), (list, tuple)):
        for number, beta in enumerate(optimizer["betas"]):
            _checked(partial(check_in, "[0, 1)"), f"{where}.betas.{number}", beta)


def _checked(check: Callable[..., None], where: str, value: Any) -> None:
    try:
        check(**{where: value})
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _build(game: Players, player: str, config: dict[str, Any]) -> OptimWrapper:
    arguments = dict(config)
    optimizer = dict(arguments.pop("optimizer"))
    factors = arguments.pop("lr_mult", None) or {}
    clipping = dict(arguments.pop("clip_grad", None) or {})
    clipped = clipping.pop("networks", None)
    if clipping:
        arguments["clip_grad"] = clipping
    if "betas" in optimizer:  # torch refuses a mixture such as (0, 0.999)
        optimizer["betas"] = tuple(float(beta) for beta in optimizer["betas"])
    optimizer["params"] = _groups(game, player, factors, float(optimizer["lr"]))
    try:
        built = OPTIMIZERS.build(_fused(optimizer, game.device))
        built.register_step_post_hook(_count_versions)
        wrapper = _wrapped(game, player, built, arguments)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        # mmengine's and torch's, which do not say where in the config it was
        raise PlanError(f"optim_wrapper.{player}: {error.args[0] if error.args else error}") from error
    if clipped is not None:
        assert isinstance(wrapper, PatientOptimizer)
        wrapper.clip_only(p for name in clipped for p in game.networks[name].parameters())
    return wrapper


def _wrapped(
    game: Players, player: str, optimizer: torch.optim.Optimizer, arguments: dict[str, Any]
) -> OptimWrapper:
    kind = arguments.pop("type", "OptimWrapper")
    if kind == "OptimWrapper" and "fp16" in game.precisions(player):
        return ScaledOptimizer(game.device.type, optimizer=optimizer, **arguments)
    if kind == "OptimWrapper":
        return PatientOptimizer(optimizer=optimizer, **arguments)
    wrapper: OptimWrapper = REGISTRIES["optim_wrapper"].build(
        {"type": kind, **arguments}, default_args=dict(optimizer=optimizer)
    )
    return wrapper


def _fused(optimizer: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """With one kernel for all parameters, where torch has one and the config asks for no other way.

    A step of Adam takes a seventh of the time on a CPU; on a GPU the host launches one kernel.
    """
    known = inspect.signature(find_registered(OPTIMIZERS, optimizer["type"], "optimizer.type")).parameters
    chosen = {"fused", "foreach", "capturable", "differentiable"} & set(optimizer)
    if "fused" not in known or chosen or device.type not in ("cpu", "cuda"):
        return optimizer
    return {**optimizer, "fused": True}


def _count_versions(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Tell whoever keeps what parameters gave that these have changed: torch's fused steps do not."""
    for group in optimizer.param_groups:
        if group.get("fused"):
            torch.autograd.graph.increment_version([p for p in group["params"] if p.grad is not None])


def _groups(game: Players, player: str, factors: Mapping[str, float], rate: float) -> list[dict[str, Any]]:
    """Parameter groups: networks with a learning rate of their own, and the rest."""
    special = {name: {id(p) for p in game.networks[name].parameters()} for name in factors}
    taken = set().union(*special.values())
    parameters = game.trained_parameters(player)
    groups: list[dict[str, Any]] = [dict(params=[p for p in parameters if id(p) not in taken])]
    for name, factor in factors.items():
        own = [p for p in parameters if id(p) in special[name]]
        groups.append(dict(params=own, lr=rate * factor))
    return [group for group in groups if group["params"]]
