"""A run: stages in order, each an mmengine Runner around a Game."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.registry import build
from toolbox.runs.changes import check_kept_command, in_words, kept_config, refuse
from toolbox.runs.environment import environment
from toolbox.runs.files import write_text
from toolbox.runs.terminal import say
from toolbox.training import checkpoints as files
from toolbox.training.checks.config import check_config
from toolbox.training.run.build import (
    build_hook,
    build_loader,
    build_runner,
    check_batch,
    fill_from_data,
    of_run,
)
from toolbox.training.run.changes import changes_of
from toolbox.training.run.facts import data_facts, notices
from toolbox.training.run.optimizers import PlayerOptimizers
from toolbox.training.run.stages import (
    MAIN,
    iterations_done,
    newest_checkpoint,
    resolve_weights,
    stage_config,
    stage_folder,
)
from toolbox.training.run.starts import keep_record, other_surroundings, read_record


def play(config: Any, resume: bool = False, allow_changes: bool = False) -> bool:
    """Train what a loaded config describes: its earlier stages, then its game. False when the run was
    interrupted.

    Args:
        config: the loaded config.
        resume: go on where the folder's run stopped.
        allow_changes: also where its config or data have changed in what shapes the run.

    Raises:
        ConfigError, PlanError, BuildError, CheckpointError: for what cannot be used, before any time is
            spent.
    """
    check_config(config)
    folder = Path(config.work_dir)
    stages = [*config.get("stages", ()), MAIN]
    check_kept_command(folder, kept_config(folder), "train")
    if not resume and any(_would_be_lost(config, stage) for stage in stages):
        raise ConfigError(
            f"{folder} already holds a run: continue it with --resume, or name another folder with --work-dir"
        )
    data = {stage: _build_ahead(config, stage) for stage in stages}[MAIN]
    begun = stages if resume else [stage for stage in stages if _is_done(config, stage)]
    newest = {stage: path for stage in begun if (path := newest_checkpoint(config, stage, say)) is not None}
    if resume and not newest:
        say(f"nothing to continue in {folder}: starting at the beginning")
    ranks.on_main(lambda: _begin(config, folder, data, newest, allow_changes))
    for notice in data["notices"]:
        say(notice)
    labelled = f", {data['labelled']:,} labelled" if data["labelled"] < data["n"] else ""
    say(f"data: {data['title']}: {data['n']:,} images{labelled}, {len(data['classes'])} classes")
    return all(_is_done(config, stage) or _run_stage(config, stage, resume) for stage in stages)


def _run_stage(config: Any, stage: str, resume: bool) -> bool:
    """Play one game to its end; False when it was interrupted."""
    runner = build_runner(config, stage, resume)
    runner.train()
    loop = runner.train_loop
    if loop.stopped_by:
        say(
            f"{loop.stopped_by}: stopped after iteration {loop.iter}, checkpoint saved. "
            f"Continue with --resume --work-dir {config.work_dir}"
        )
        return False
    ranks.on_main(
        lambda: write_text(json.dumps(dict(iterations=loop.iter)), stage_folder(config, stage) / "done.json")
    )
    return True


def _is_done(config: Any, stage: str) -> bool:
    """A finished stage says so; one whose last checkpoint has gone, or is torn, is continued. The first
    process looks.
    """

    def finished() -> bool:
        folder = stage_folder(config, stage)
        done = iterations_done(folder)
        newest = files.latest_checkpoint(folder) if done else None
        if newest is None:
            return False
        wanted = int(stage_config(config, stage).train_cfg.get("max_iters", 0))
        return min(done, files.iteration_of(newest)) >= wanted

    return ranks.on_main(finished)


def _would_be_lost(config: Any, stage: str) -> bool:
    """Whether starting anew would write over checkpoints; a finished earlier stage is taken as it is."""
    return bool(files.checkpoint_files(stage_folder(config, stage))) and (
        stage == MAIN or not _is_done(config, stage)
    )


def _begin(
    config: Any, folder: Path, data: dict[str, Any], newest: dict[str, Path], allow_changes: bool
) -> None:
    """Keep config and record with the run, unless it was begun as another."""
    kept = read_record(folder)
    changes = changes_of(folder, config, list(newest)) if newest else {}
    fingerprint = kept.get("data", {}).get("fingerprint")
    if newest and fingerprint not in (None, data["fingerprint"]):
        changes["data (fingerprint)"] = (fingerprint, data["fingerprint"])
    if not allow_changes:
        refuse(changes, folder)
    if changes:
        say(f"changed knowingly: {in_words(changes)}")
    if newest and (others := other_surroundings(kept, environment(config))):
        say(f"begun in other surroundings: {'; '.join(others)}")
    folder.mkdir(parents=True, exist_ok=True)
    keep_record(
        folder, config, data, {stage: files.iteration_of(path) for stage, path in newest.items()}, changes
    )
    write_text(config.pretty_text, folder / "config.py")


def _build_ahead(config: Any, stage: str) -> dict[str, Any]:
    """Build a stage once and throw it away, so that a fault costs no training; facts of what it
    learns from.
    """
    own = stage_config(config, stage)
    stream = build_loader(own, own.get("seed", 0)).dataset
    own.model = fill_from_data(own.model, stream)
    if stage == MAIN:
        config.model = own.model
    game = build({**of_run(own), **resolve_weights(config, own.model, deferred=True)}, "model", "model")
    check_batch(own, game)
    PlayerOptimizers(
        {key: player for key, player in own.get("optim_wrapper", {}).items() if key != "constructor"}
    )(game)
    for name, hook in (own.get("hooks") or {}).items():
        built = build_hook(name, hook)
        if hasattr(built, "check_config"):
            built.check_config(own)
    facts = data_facts(stream)
    return {**facts, "notices": [notice for notice in [facts["notice"], *notices(game)] if notice]}


__all__ = ["play", "say"]
