"""mmengine's Runner around a game: what it is given, and what it would do in silence."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from pathlib import Path
from typing import Any

import torch

from toolbox.compat import import_torchvision
from toolbox.config import ConfigError, override
from toolbox.randomness import mix
from toolbox.registry import build
from toolbox.training.checkpoints import use_safe_loader
from toolbox.training.run.prepare import Stage
from toolbox.training.run.resume import newest_checkpoint

#: Keys of a config that go to mmengine's Runner as they are.
_PASSED_ON = (
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "load_from",
    "default_scope",
    "default_hooks",
    "env_cfg",
    "log_processor",
    "log_level",
)


def build_runner(stage: Stage, resume: bool = False) -> Any:
    """mmengine's Runner for one stage.

    Args:
        stage: checked.
        resume: go on from the newest checkpoint of its folder, where there is one.
    """
    import_torchvision()  # mmengine's environment report imports it and does not survive a mismatched build
    use_safe_loader()
    config = stage.config
    config.model = stage.model
    if config.get("threads"):
        torch.set_num_threads(int(config.threads))
    stage.folder.mkdir(parents=True, exist_ok=True)
    arguments = _arguments(config)
    newest = newest_checkpoint(stage.folder) if resume else None
    if newest is not None:
        arguments["load_from"] = str(newest)  # mmengine would take the name in last_checkpoint for a path
    # mmengine's singletons (logger, message hub) are kept by this name: no two runs of a process may share it
    name = f"{stage.folder.name}-{stage.name}-{os.getpid()}-{time.monotonic_ns()}"
    deterministic = config.get("deterministic", False)
    return quiet_runner()(
        model=stage.build_game(restored=newest is not None),
        train_dataloader=stage.loader,
        custom_hooks=[*stage.hooks().values(), *_tracking(config)],
        work_dir=str(stage.folder),
        resume=newest is not None,
        experiment_name=name,
        randomness=dict(seed=mix(stage.seed, "runner") % 2**31, deterministic=deterministic),
        cfg=config,
        **arguments,
    )


def _tracking(config: Any) -> list[Any]:
    """What feeds the back ends of ``visualizer``: mmengine's own way is every 50th iteration, without metrics
    and grids, into a new folder at each start.
    """
    return [build(dict(type="Tracking"), "hook")] if config.get("visualizer") else []


def _arguments(config: Any) -> dict[str, Any]:
    """What the config says to the Runner, with defaults that count iterations and keep quiet."""
    arguments = {key: config[key] for key in _PASSED_ON if key in config}
    arguments["train_cfg"] = {"type": "GameLoop", **arguments["train_cfg"]}
    # convolutions of one shape come again and again; deterministic runs take none that is chosen by its pace
    benchmark = not config.get("deterministic", False)
    arguments["env_cfg"] = {"cudnn_benchmark": benchmark, **arguments.get("env_cfg", {})}
    arguments["optim_wrapper"] = {"constructor": "PlayerOptimizers", **arguments["optim_wrapper"]}
    # the default counts epochs, silently
    arguments["log_processor"] = {"by_epoch": False, **arguments.get("log_processor", {})}
    quiet = dict(
        checkpoint=None,
        sampler_seed=None,
        timer=dict(type="IterTimerHook"),
        runtime_info=dict(type="RuntimeInfoHook"),
        param_scheduler=dict(type="ParamSchedulerHook"),
        logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    )
    arguments["default_hooks"] = override(quiet, arguments.get("default_hooks", {}))
    if arguments.get("param_scheduler") is not None:
        arguments["param_scheduler"] = _by_iteration(arguments["param_scheduler"])
    return arguments


def _by_iteration(schedulers: Any) -> Any:
    """Schedules that count iterations: mmengine's default counts epochs, and would step once in a run."""
    if isinstance(schedulers, (list, tuple)):
        return [_by_iteration(scheduler) for scheduler in schedulers]
    if "type" not in schedulers:
        return {player: _by_iteration(own) for player, own in schedulers.items()}
    if schedulers.get("by_epoch"):
        raise ConfigError(
            f"param_scheduler {schedulers['type']}: by_epoch=True never takes effect here, a run has no "
            "epochs; leave it out and count in iterations"
        )
    return {**schedulers, "by_epoch": False}


def quiet_runner() -> type:
    """mmengine's Runner, with its some 90 lines at start going to the run's ``log.txt`` instead of the
    terminal.
    """
    from mmengine.logging import MMLogger
    from mmengine.runner import Runner

    class QuietRunner(Runner):
        """Errors alone reach the terminal; what is compiled is the game's own affair."""

        def build_logger(self, log_level: Any = "INFO", log_file: Any = None, **arguments: Any) -> MMLogger:
            """mmengine's logger, its terminal side silenced."""
            logger = MMLogger.get_instance(
                name=self._experiment_name,
                log_level=log_level,
                file_mode="a",
                log_file=str(Path(self.work_dir) / "log.txt"),
                **arguments,
            )
            for handler in logger.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.handleError = _stop_here  # type: ignore[method-assign]
                else:
                    handler.setLevel(logging.ERROR)
            return logger

        def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
            """Without the line about its file backend."""
            with contextlib.redirect_stdout(io.StringIO()):
                return super().load_checkpoint(*args, **kwargs)

        def wrap_model(self, wrapper: Any, model: Any) -> Any:
            """On the config's device: mmengine takes the GPU wherever there is one."""
            device = self.cfg.get("device")
            if device is None or (self.distributed and device != "cpu"):
                return super().wrap_model(wrapper, model)
            return model.to(device)

        def _maybe_compile(self, target: str) -> None:
            """A game compiles its networks itself; mmengine, which reads the same key, would compile the
            whole iteration.
            """

    return QuietRunner


def _stop_here(record: logging.LogRecord) -> None:
    """A log that cannot be written stops the run; logging's own way is a traceback for each line, and to go
    on.
    """
    raise
