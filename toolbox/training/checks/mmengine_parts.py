"""Checking what is handed to mmengine, which ignores or misreads much of what it does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_call, check_known, check_type
from toolbox.config import ConfigError
from toolbox.registry import REGISTRIES
from toolbox.training.game.phases import PlanError

_HOOKS = {
    "timer": "IterTimerHook",
    "runtime_info": "RuntimeInfoHook",
    "param_scheduler": "ParamSchedulerHook",
    "logger": "LoggerHook",
}
_REPLACED = {
    "checkpoint": "hooks=dict(checkpoints=dict(type='Checkpoints', ...))",
    "sampler_seed": "nothing, draws are functions of the seed",
}
_CLIPPING = ("type", "max_norm", "norm_type", "error_if_nonfinite", "foreach", "clip_value")


def check_optimizers(config: Mapping[str, Any], players: Mapping[str, Any]) -> None:
    """``optim_wrapper``: players, wrappers, optimisers.

    Args:
        config: {player: config}.
        players: {player: its networks}.

    Raises:
        PlanError: for an unknown player, or no optimiser.
        ConfigError: for an unknown optimiser or argument, with the near miss.
    """
    from mmengine.optim import OptimWrapper
    from mmengine.registry import OPTIMIZERS

    for name, own in config.items():
        if name == "constructor" or own is None:
            continue
        where = f"optim_wrapper.{name}"
        if name not in players:
            raise PlanError(
                f"optim_wrapper has the player {name!r}{near_miss(name, players)}, which the game has not; "
                f"players: {', '.join(players)}"
            )
        wrapper = (
            _find(REGISTRIES["optim_wrapper"], own["type"], f"{where}.type")
            if "type" in own
            else OptimWrapper
        )
        check_call(own, wrapper, where, besides=("type", "optimizer", "lr_mult", "initial"))
        check_known(own.get("clip_grad") or {}, _CLIPPING, f"{where}.clip_grad")
        check_known(own.get("lr_mult") or {}, players[name], f"{where}.lr_mult")
        for part in ("clip_grad", "lr_mult"):
            for key, value in (own.get(part) or {}).items():
                check_type(value, str if key == "type" else float | bool | None, f"{where}.{part}.{key}")
        optimizer = own.get("optimizer")
        if not isinstance(optimizer, Mapping) or not {"type", "lr"} <= set(optimizer):
            raise PlanError(f"{where} needs optimizer=dict(type='Adam', lr=...), got {optimizer}")
        found = _find(OPTIMIZERS, optimizer["type"], f"{where}.optimizer.type")
        check_call(optimizer, found, f"{where}.optimizer", besides=("type",), filled=("params",))


def check_schedules(config: Any, players: Iterable[str], where: str = "param_scheduler") -> None:
    """``param_scheduler``: one schedule, a list of them, or {player: schedules}.

    Raises:
        ConfigError: for an unknown schedule, player or argument, with the near miss.
    """
    from mmengine.registry import PARAM_SCHEDULERS

    if isinstance(config, (list, tuple)):
        for number, one in enumerate(config):
            check_schedules(one, (), f"{where}.{number}")
    elif "type" in config:
        found = _find(PARAM_SCHEDULERS, config["type"], f"{where}.type")
        check_call(config, found, where, besides=("type", "convert_to_iter_based"), filled=("optimizer",))
    elif not players:
        raise ConfigError(f"{where} needs a 'type', got only {sorted(config)}")
    else:
        check_known(config, players, where)
        for player, own in config.items():
            check_schedules(own, (), f"{where}.{player}")


def check_runner(config: Any) -> None:
    """What mmengine's Runner gets as it is: ``default_hooks``, ``env_cfg``, ``log_processor``,
    ``visualizer``.

    Raises:
        ConfigError: for an unknown key, with the near miss, or one that would have no effect.
    """
    _check_hooks(config.get("default_hooks") or {})
    _check_environment(config.get("env_cfg") or {})
    _check_log(config.get("log_processor") or {})
    if config.get("visualizer") is not None:
        _check_visualizer(config.visualizer)


def _check_hooks(hooks: Mapping[str, Any]) -> None:
    import mmengine.hooks
    from mmengine.registry import HOOKS

    check_known(hooks, [*_HOOKS, *_REPLACED], "default_hooks")
    for name, hook in hooks.items():
        if hook is not None and name in _REPLACED:
            raise ConfigError(f"default_hooks.{name} has no effect here; instead: {_REPLACED[name]}")
        if hook is not None:
            kind = hook.get("type", _HOOKS[name])
            found = getattr(mmengine.hooks, str(kind), None) or _find(
                HOOKS, kind, f"default_hooks.{name}.type"
            )
            check_call(hook, found, f"default_hooks.{name}", besides=("type", "priority"))


def _check_environment(environment: Mapping[str, Any]) -> None:
    if "dist_cfg" in environment:
        raise ConfigError(
            "env_cfg.dist_cfg has no effect here: a run of several processes is started with --launcher"
        )
    check_known(environment, ("cudnn_benchmark", "mp_cfg", "resource_limit"), "env_cfg")
    check_known(environment.get("mp_cfg") or {}, ("mp_start_method", "opencv_num_threads"), "env_cfg.mp_cfg")


def _check_log(processor: Mapping[str, Any]) -> None:
    from mmengine.runner import LogProcessor

    check_call(processor, LogProcessor, "log_processor", besides=("type",))
    if processor.get("by_epoch"):
        raise ConfigError(
            "log_processor.by_epoch=True never takes effect here, a run has no epochs; leave it out"
        )


def _check_visualizer(config: Mapping[str, Any]) -> None:
    from mmengine.registry import VISBACKENDS, VISUALIZERS

    found = _find(VISUALIZERS, config.get("type", "Visualizer"), "visualizer.type")
    check_call(config, found, "visualizer", besides=("type",))
    for number, backend in enumerate(config.get("vis_backends") or ()):
        where = f"visualizer.vis_backends.{number}"
        check_call(
            backend, _find(VISBACKENDS, backend.get("type", ""), f"{where}.type"), where, besides=("type",)
        )


def _find(registry: Any, name: Any, where: str) -> Any:
    found = registry.get(name) if isinstance(name, str) else name
    if found is None:
        names = {
            key for place in (registry, registry.parent) if place is not None for key in place.module_dict
        }
        raise ConfigError(f"{where}={name!r} is not known{near_miss(str(name), names)}")
    return found
