"""A run: stages in order, each an mmengine Runner around a Game."""

from __future__ import annotations

import inspect
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from toolbox.catalog import near_miss
from toolbox.config import KEYS, ConfigError, override
from toolbox.guard import import_torchvision
from toolbox.registry import build
from toolbox.training import checkpoints as files
from toolbox.training.hooks import game_of
from toolbox.training.optimizers import PlayerOptimizers
from toolbox.training.randomness import mix
from toolbox.training.saving import use_safe_loader
from toolbox.training.writing import on_main, write_text

MAIN = "main"
_FROM_DATA = ("data:", "conditioner:")  # beginnings of what fill_from_data replaces
_OURS = {"title", "evaluation", "before", "stages", "hooks", "seed", "deterministic", "threads", "plugins"}


def play(config: Any, resume: bool = False) -> bool:
    """Train what a loaded config describes: its earlier stages, then its game. False when the run was interrupted.

    Raises:
        ConfigError, PlanError, BuildError, CheckpointError: for what cannot be used, before any time is spent.
    """
    folder = Path(config.work_dir)
    stages = [*config.get("stages", ()), MAIN]
    if not resume and any(_would_be_lost(config, stage) for stage in stages):
        raise ConfigError(f"{folder} already holds a run: continue it with --resume, or name another folder with --work-dir")
    if resume and not any(_newest(config, stage, say) for stage in stages):
        say(f"nothing to continue in {folder}: starting at the beginning")
    _begin(config, folder)
    _announce(config, folder)
    return all(_is_done(config, stage) or _run_stage(config, stage, resume) for stage in stages)


def stage_folder(config: Any, stage: str) -> Path:
    """The main game lives in the run's folder, earlier stages in ``stages/<name>`` below it."""
    folder = Path(config.get("work_dir") or "runs/unnamed")
    return folder if stage == MAIN else folder / "stages" / stage


def stage_config(config: Any, stage: str) -> Any:
    """The config of one game: the run's own, or that of an earlier stage with what it inherits.

    Raises:
        ConfigError: for a stage that ``before`` does not describe.
    """
    from mmengine import Config

    plain = config.to_dict()
    before = plain.pop("before", None) or {}
    if stage != MAIN:
        if before.get(stage) is None:
            raise ConfigError(f"stages names {stage!r}, 'before' describes {', '.join(before) or 'none'}")
        own = ("model", "evaluation", "param_scheduler", "load_from", "title")
        shared = ("hooks", "train_cfg", "train_dataloader")
        inherited = {key: plain[key] for key in plain if key not in own}
        merged = Config(inherited)
        merged.merge_from_dict({k: v for k, v in before[stage].items() if k in shared})
        plain = {**merged.to_dict(), **{k: v for k, v in before[stage].items() if k not in shared}}
    plain["work_dir"] = str(stage_folder(config, stage))
    plain.pop("stages", None)
    return Config(plain)


def resolve_weights(config: Any, model: dict[str, Any], deferred: bool = False) -> dict[str, Any]:
    """Replace ``weights=dict(stage=...)`` by the stage's checkpoint; ``deferred`` leaves the filling to a checkpoint."""
    networks = {}
    for name, network in model["networks"].items():
        network = dict(network) if network is not None else None
        weights = network.get("weights") if network else None
        if isinstance(weights, Mapping) and "stage" in weights:
            assert network is not None
            folder = stage_folder(config, weights["stage"])
            path = None if deferred else files.latest_checkpoint(folder)
            if path is None and not deferred:
                raise ConfigError(f"model.networks.{name}.weights: stage {weights['stage']!r} has no checkpoint in {folder}; "
                                  f"is it in 'stages'? stages={list(config.get('stages', ()))}")
            network["weights"] = dict(checkpoint=str(path) if path else None, network=weights.get("network", name))
        networks[name] = network
    return {**model, "networks": networks}


def build_game(config: Any, deferred: bool = False) -> Any:
    """The Game of the main config; what the config leaves to its data set is read from there."""
    model = dict(config.model)
    if _leaves_to_data(model):
        model = fill_from_data(model, build_loader(stage_config(config, MAIN), config.get("seed", 0)).dataset)
    model = resolve_weights(config, model, deferred)
    model["seed"] = config.get("seed", 0)
    return build(model, "model", "model")


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
    _check_iterations(own)
    loader = build_loader(own, seed)
    own.model = fill_from_data(own.model, loader.dataset)
    game = build({**resolve_weights(config, own.model), "seed": seed}, "model", "model")
    _check_batch(own, game)
    arguments = {key: own[key] for key in own if key in KEYS and key not in _OURS and key not in ("model", "work_dir")}
    arguments["train_dataloader"] = loader
    arguments["train_cfg"] = {"type": "GameLoop", **arguments["train_cfg"]}
    arguments["optim_wrapper"] = {"constructor": "PlayerOptimizers", **arguments["optim_wrapper"]}
    newest = _newest(config, stage) if resume else None
    if newest is not None:
        arguments["load_from"] = str(newest)  # mmengine would take the name in last_checkpoint for a path
    name = f"{folder.name}-{stage}-{os.getpid()}-{time.monotonic_ns()}"  # mmengine's singletons are keyed by it
    arguments["experiment_name"] = name
    runner = quiet_runner()(
        model=game, **_defaults(arguments),
        randomness=dict(seed=mix(seed, "runner") % 2**31, deterministic=own.get("deterministic", False)),
        custom_hooks=[_hook(key, hook) for key, hook in sorted((own.get("hooks") or {}).items()) if hook is not None],
        work_dir=str(folder), resume=newest is not None, cfg=own)
    return runner


def build_loader(config: Any, seed: int) -> Any:
    """The training loader of a stage's config: a seeded stream of items, stacked."""
    from mmengine.runner import Runner

    arguments = dict(config.train_dataloader)
    known = inspect.signature(DataLoader).parameters
    for key in arguments:
        if key not in known:
            raise ConfigError(f"train_dataloader has no key {key!r}{near_miss(key, known)}; it has: {', '.join(known)}")
    arguments["dataset"] = build(arguments["dataset"], "dataset", "train_dataloader.dataset")
    arguments.setdefault("num_workers", 0)
    arguments.setdefault("collate_fn", dict(type="default_collate"))  # mmengine's default gives lists
    arguments["sampler"] = {"type": "StreamSampler", "batch_size": arguments["batch_size"], **arguments.get("sampler", {}),
                            "seed": mix(seed, "data")}
    arguments["sampler"] = build(arguments["sampler"], "data_sampler", "train_dataloader.sampler", dataset=arguments["dataset"])
    return Runner.build_dataloader(arguments)


def fill_from_data(model: Any, stream: Any) -> Any:
    """Replace what a config leaves to the data set, so that it fits any:

    ``'data:classes'`` (names), ``'data:n_classes'``, ``'data:n_conditions'`` (clusters of all classes, or classes where the
    conditioner has no clusters), ``'conditioner:clusters'``.
    """
    classes = list(stream.source.classes) if hasattr(stream, "source") else []
    clusters = (model.get("conditioner") or {}).get("clusters", 1)
    total = sum(clusters.values()) if isinstance(clusters, Mapping) else len(classes) * clusters
    known = {"data:classes": classes, "data:n_classes": len(classes), "data:n_conditions": total, "conditioner:clusters": clusters}

    def fill(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [fill(item) for item in value]
        if isinstance(value, str) and value.startswith(_FROM_DATA):
            if value not in known:
                raise ConfigError(f"{value!r} is not known{near_miss(value, known)}; known: {', '.join(known)}")
            return known[value]
        return value

    return fill(model)


def _leaves_to_data(value: Any) -> bool:
    if isinstance(value, (Mapping, list, tuple)):
        return any(_leaves_to_data(item) for item in (value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, str) and value.startswith(_FROM_DATA)


def _hook(name: str, config: Any) -> Any:
    return build(config, "hook", f"hooks.{name}")


def _defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    quiet = dict(checkpoint=None, sampler_seed=None, timer=dict(type="IterTimerHook"), runtime_info=dict(type="RuntimeInfoHook"),
                 param_scheduler=dict(type="ParamSchedulerHook"),
                 logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False))
    arguments.setdefault("log_processor", dict(by_epoch=False))  # the default counts epochs, silently
    arguments["default_hooks"] = override(quiet, arguments.get("default_hooks", {}))
    if "param_scheduler" in arguments:
        arguments["param_scheduler"] = _by_iteration(arguments["param_scheduler"])
    return arguments


def _by_iteration(schedulers: Any) -> Any:
    """Schedules that count iterations: mmengine's default counts epochs, and would step once in the whole run."""
    if isinstance(schedulers, (list, tuple)):
        return [_by_iteration(scheduler) for scheduler in schedulers]
    if "type" not in schedulers:
        return {player: _by_iteration(own) for player, own in schedulers.items()}
    if schedulers.get("by_epoch"):
        raise ConfigError(f"param_scheduler {schedulers['type']}: by_epoch=True never takes effect here, a run has no epochs; "
                          "leave it out and count in iterations")
    return {**schedulers, "by_epoch": False}


def _run_stage(config: Any, stage: str, resume: bool) -> bool:
    """Play one game to its end; False when it was interrupted."""
    runner = build_runner(config, stage, resume)
    runner.train()
    loop = runner.train_loop
    if loop.stopped_by:
        say(f"{loop.stopped_by}: stopped after iteration {loop.iter}, checkpoint saved. "
            f"Continue with --resume --work-dir {config.work_dir}")
        return False
    write_text(json.dumps(dict(iterations=loop.iter)), stage_folder(config, stage) / "done.json")
    return True


def _is_done(config: Any, stage: str) -> bool:
    """A finished stage says so; one whose last checkpoint has gone, or is torn, is continued."""
    folder = stage_folder(config, stage)
    done = folder / "done.json"
    newest = _newest(config, stage) if done.is_file() else None
    if newest is None:
        return False
    wanted = int(stage_config(config, stage).train_cfg.get("max_iters", 0))
    return min(int(json.loads(done.read_text())["iterations"]), files.iteration_of(newest)) >= wanted


def _would_be_lost(config: Any, stage: str) -> bool:
    """Whether starting anew would write over checkpoints; a finished earlier stage is taken as it is."""
    return bool(files.checkpoint_files(stage_folder(config, stage))) and (stage == MAIN or not _is_done(config, stage))


def _newest(config: Any, stage: str, tell: Callable[[str], None] | None = None) -> Path | None:
    """The checkpoint that a stage goes on from: the first process looks, all take the same."""
    return on_main(lambda: files.latest_checkpoint(stage_folder(config, stage), tell))


def _begin(config: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(config.pretty_text, folder / "config.py")
    write_text(json.dumps(environment(config), indent=2), folder / "environment.json")


def environment(config: Any) -> dict[str, Any]:
    """What a run was made with: versions, machine, git state, seed, command."""
    from importlib import metadata

    versions = {}
    for name in ("torch", "torchvision", "mmengine", "open_clip_torch", "numpy", "generative-toolbox"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return dict(python=platform.python_version(), platform=platform.platform(), device=device, versions=versions, git=_git_state(),
                seed=config.get("seed", 0), command=" ".join(sys.argv), started=time.strftime("%Y-%m-%d %H:%M:%S"))


def _git_state() -> str:
    folder = Path(__file__).parent
    try:
        answer = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "not a git checkout"


def _announce(config: Any, folder: Path) -> None:
    """Build everything once, so that a fault costs no training; say what the run learns from, and keep it with the run."""
    stream = build_loader(stage_config(config, MAIN), config.get("seed", 0)).dataset
    config.model = fill_from_data(config.model, stream)
    game = build_game(config, deferred=True)
    _check_rest(config, game)
    facts = data_facts(stream)
    facts["notices"] = [notice for notice in [facts["notice"], *notices(game)] if notice]
    path = folder / "environment.json"
    write_text(json.dumps({**json.loads(path.read_text()), "data": facts}, indent=2), path)
    write_text(config.pretty_text, folder / "config.py")
    for notice in facts["notices"]:
        say(notice)
    labelled = f", {facts['labelled']:,} labelled" if facts["labelled"] < facts["n"] else ""
    say(f"data: {facts['title']}: {facts['n']:,} images{labelled}, {len(facts['classes'])} classes")


def _check_rest(config: Any, game: Any) -> None:
    """What would else show only when the earlier stages have been played."""
    _check_iterations(config)
    _check_batch(config, game)
    PlayerOptimizers({key: own for key, own in config.get("optim_wrapper", {}).items() if key != "constructor"})(game)
    for name, hook in (config.get("hooks") or {}).items():
        built = _hook(name, hook)
        if hasattr(built, "check_config"):
            built.check_config(config)


def notices(game: Any) -> list[str]:
    """What parts of a game say of themselves (a stand-in for weights that could not be had)."""
    parts = [*game.modules(), getattr(game.conditioner, "extractor", None)]
    return list(dict.fromkeys(str(part.notice) for part in parts if getattr(part, "notice", "")))


def data_facts(stream: Any) -> dict[str, Any]:
    """Title, size and fingerprint of a training stream's source."""
    source = stream.source
    visible = stream.visible_labels
    return dict(title=source.title, embedded=bool(source.embedded), notice=getattr(source, "notice", "") or "",
                fingerprint=source.fingerprint(), n=len(stream), labelled=int((visible >= 0).sum()), classes=list(source.classes))


def say(text: str) -> None:
    """One line for the person at the terminal (on the first process); also in the run's log."""
    from mmengine.dist import is_main_process
    from tqdm import tqdm

    if is_main_process():
        tqdm.write(text)


def quiet_runner() -> type:
    """mmengine's Runner, with its some 90 lines at start going to the run's ``log.txt`` instead of the terminal."""
    from mmengine.logging import MMLogger
    from mmengine.runner import Runner

    class QuietRunner(Runner):
        """Errors alone reach the terminal."""

        def build_logger(self, log_level: Any = "INFO", log_file: Any = None, **arguments: Any) -> MMLogger:
            """mmengine's logger, its terminal side silenced."""
            logger = MMLogger.get_instance(name=self._experiment_name, log_level=log_level, file_mode="a",
                                           log_file=str(Path(self.work_dir) / "log.txt"), **arguments)
            for handler in logger.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.handleError = _stop_here  # type: ignore[method-assign]
                else:
                    handler.setLevel(logging.ERROR)
            return logger

    return QuietRunner


def _stop_here(record: logging.LogRecord) -> None:
    """A log that cannot be written stops the run; logging's own way is a traceback for each line, and to go on."""
    raise


def _set_threads(config: Any) -> None:
    if config.get("threads"):
        torch.set_num_threads(int(config.threads))


def _check_iterations(config: Any) -> None:
    for key in config.get("train_cfg", {}):
        if key not in ("type", "max_iters"):
            raise ConfigError(f"train_cfg has no key {key!r}{near_miss(key, ['max_iters'])}; it has: max_iters")
    if "train_cfg" not in config or int(config.train_cfg.get("max_iters", 0)) < 1:
        raise ConfigError("train_cfg=dict(max_iters=...) must say how many iterations to train, 1 or more")


def _check_batch(config: Any, game: Any) -> None:
    batch = int(config.train_dataloader["batch_size"])
    if batch % game.repeats:
        raise ConfigError(f"train_dataloader.batch_size={batch} must be a multiple of {game.repeats}: "
                          f"the phases repeat up to {game.repeats} times and split the batch")


__all__ = ["build_game", "build_runner", "data_facts", "environment", "game_of", "play", "resolve_weights", "say", "stage_config",
           "stage_folder"]
