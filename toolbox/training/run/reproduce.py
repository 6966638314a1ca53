"""Before a run is played again: what of its surroundings is not as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.config import ConfigError
from toolbox.runs.changes import in_words
from toolbox.runs.environment import environment
from toolbox.runs.terminal import say
from toolbox.training.checkpoints import iteration_of, latest_checkpoint
from toolbox.training.run.prepare import prepare
from toolbox.training.run.resume import iterations_done
from toolbox.training.run.starts import other_surroundings
from toolbox.training.stages import MAIN

if TYPE_CHECKING:
    from mmengine import Config


def check_reproducible(folder: Path, config: Config, record: Mapping[str, Any], allow_data: bool) -> None:
    """Say what may make a difference; refuse what will.

    Raises:
        ConfigError: for a run that is not finished, or training data that have changed (unless allowed).
    """
    stages = prepare(config)
    places = stage_folders(config)
    for stage in stages:
        _check_length(folder / places[stage.name], stage.length)
    kept = (record.get("data") or {}).get("fingerprint")
    now = stages[-1].data.get("fingerprint")
    if kept and now and kept != now and not allow_data:
        raise ConfigError(
            f"the training data of {folder} have changed: fingerprint {kept[:16]} -> {now[:16]}; "
            "bring the old data back, or go on with --allow-data"
        )
    for warning in _warnings(config, record, kept, now):
        say(f"may differ: {warning}")


def _check_length(folder: Path, length: int) -> None:
    """Refuse a run that was not played as long as its config says: interrupted, or resumed to be longer."""
    done = iterations_done(folder)
    newest = latest_checkpoint(folder)
    if not done or newest is None:
        raise ConfigError(f"{folder} holds no finished run (no done.json): continue it with --resume first")
    if not done == iteration_of(newest) == length:
        longest = max(length, done, iteration_of(newest))
        cure = f"continue it with --resume --cfg-options train_cfg.max_iters={longest} first"
        raise ConfigError(
            f"{folder}: its config asks for {length} iterations, it was finished after {done}, its newest "
            f"checkpoint is {newest.name}: {cure}"
        )


def stage_folders(config: Config) -> dict[str, str]:
    """{stage: its folder below the run's}."""
    places = {stage: f"stages/{stage}" for stage in config.get("stages", ())}
    places[MAIN] = "."
    return places


def _warnings(config: Config, record: Mapping[str, Any], kept: str | None, now: str | None) -> list[str]:
    found = other_surroundings(record, environment(config))
    if not config.get("deterministic"):
        found.append("the run was not made with --deterministic")
    if kept != now:
        found.append(f"training data: {kept or 'not recorded'} -> {now}")
    for start in record.get("starts", ()):
        changes = {key: tuple(pair) for key, pair in (start.get("changes") or {}).items()}
        if changes:
            found.append(f"the run was changed on its way ({start.get('started')}): {in_words(changes)}")
    return found
