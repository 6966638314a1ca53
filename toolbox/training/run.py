"""A run: stages in order, each an mmengine Runner around a Game."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.training import checkpoints as files
from toolbox.training.building import (
    build_game,
    build_hook,
    build_loader,
    build_runner,
    check_batch,
    check_iterations,
    fill_from_data,
)
from toolbox.training.facts import data_facts, environment, notices
from toolbox.training.optimizers import PlayerOptimizers
from toolbox.training.stages import MAIN, newest_checkpoint, stage_config, stage_folder
from toolbox.training.terminal import say
from toolbox.training.writing import on_main, write_text


def play(config: Any, resume: bool = False) -> bool:
    """Train what a loaded config describes: its earlier stages, then its game. False when the run was interrupted.

    Raises:
        ConfigError, PlanError, BuildError, CheckpointError: for what cannot be used, before any time is spent.
    """
    folder = Path(config.work_dir)
    stages = [*config.get("stages", ()), MAIN]
    if not resume and any(_would_be_lost(config, stage) for stage in stages):
        raise ConfigError(f"{folder} already holds a run: continue it with --resume, or name another folder with --work-dir")
    if resume and not any(newest_checkpoint(config, stage, say) for stage in stages):
        say(f"nothing to continue in {folder}: starting at the beginning")
    _begin(config, folder)
    _announce(config, folder)
    return all(_is_done(config, stage) or _run_stage(config, stage, resume) for stage in stages)


def _run_stage(config: Any, stage: str, resume: bool) -> bool:
    """Play one game to its end; False when it was interrupted."""
    runner = build_runner(config, stage, resume)
    runner.train()
    loop = runner.train_loop
    if loop.stopped_by:
        say(f"{loop.stopped_by}: stopped after iteration {loop.iter}, checkpoint saved. "
            f"Continue with --resume --work-dir {config.work_dir}")
        return False
    on_main(lambda: write_text(json.dumps(dict(iterations=loop.iter)), stage_folder(config, stage) / "done.json"))
    return True


def _is_done(config: Any, stage: str) -> bool:
    """A finished stage says so; one whose last checkpoint has gone, or is torn, is continued. The first process looks."""
    def finished() -> bool:
        folder = stage_folder(config, stage)
        done = folder / "done.json"
        newest = files.latest_checkpoint(folder) if done.is_file() else None
        if newest is None:
            return False
        wanted = int(stage_config(config, stage).train_cfg.get("max_iters", 0))
        return min(int(json.loads(done.read_text())["iterations"]), files.iteration_of(newest)) >= wanted

    return on_main(finished)


def _would_be_lost(config: Any, stage: str) -> bool:
    """Whether starting anew would write over checkpoints; a finished earlier stage is taken as it is."""
    return bool(files.checkpoint_files(stage_folder(config, stage))) and (stage == MAIN or not _is_done(config, stage))


def _begin(config: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(config.pretty_text, folder / "config.py")
    write_text(json.dumps(environment(config), indent=2), folder / "environment.json")


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
    check_iterations(config)
    check_batch(config, game)
    PlayerOptimizers({key: own for key, own in config.get("optim_wrapper", {}).items() if key != "constructor"})(game)
    for name, hook in (config.get("hooks") or {}).items():
        built = build_hook(name, hook)
        if hasattr(built, "check_config"):
            built.check_config(config)


__all__ = ["play", "say"]
