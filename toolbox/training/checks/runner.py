"""Checking what is handed to mmengine, which ignores or misreads much of what it does not know."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from toolbox.checking import check_call, check_known, find_registered
from toolbox.config import ConfigError

if TYPE_CHECKING:
    from mmengine import Config

#: Back ends of ``visualizer`` that need a package of their own.
PACKAGES = {"TensorboardVisBackend": "tensorboard", "WandbVisBackend": "wandb"}
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
        found = find_registered(PARAM_SCHEDULERS, config["type"], f"{where}.type")
        check_call(config, found, where, besides=("type", "convert_to_iter_based"), filled=("optimizer",))
    elif not players:
        raise ConfigError(f"{where} needs a 'type', got only {sorted(config)}")
    else:
        check_known(config, players, where)
        for player, own in config.items():
            check_schedules(own, (), f"{where}.{player}")


def check_runner(config: Config) -> None:
    """What mmengine's Runner gets as is: ``default_hooks``, ``env_cfg``, ``log_processor``, ``visualizer``.

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
        if hook is None:
            continue
        where = f"default_hooks.{name}"
        if name in _REPLACED:
            raise ConfigError(f"{where} has no effect here; instead: {_REPLACED[name]}")
        kind = hook.get("type", _HOOKS[name])
        found = getattr(mmengine.hooks, str(kind), None)
        if found is None:
            found = find_registered(HOOKS, kind, f"{where}.type")
        check_call(hook, found, where, besides=("type", "priority"))


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

    found = find_registered(VISUALIZERS, config.get("type", "Visualizer"), "visualizer.type")
    check_call(config, found, "visualizer", besides=("type",))
    for number, backend in enumerate(config.get("vis_backends") or ()):
        where = f"visualizer.vis_backends.{number}"
        found = find_registered(VISBACKENDS, backend.get("type", ""), f"{where}.type")
        check_call(backend, found, where, besides=("type", "name"))
        _check_package(str(backend.get("type")), where)


def _check_package(backend: str, where: str) -> None:
    package = PACKAGES.get(backend)
    if package and importlib.util.find_spec(package) is None:
        raise ConfigError(f"{where}: {backend} needs the package {package}: pip install {package}")
