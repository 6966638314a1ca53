"""How a run is continued, in the order in which it happens.

1. :func:`is_done`: a stage that has come to its end is not played again; it says so in ``done.json``.
2. :func:`newest_checkpoint`: another goes on from its newest good checkpoint. Torn ones are passed over.
3. :func:`begin`: config and data are compared with those that the run was begun with, and the start is noted
   in ``environment.json``. What shapes the run may not change, unless that is asked for.
4. mmengine's Runner reads the checkpoint (through :mod:`toolbox.training.checkpoints`) and restores
   optimisers, schedules and the iteration; the hook ``Checkpoints`` calls :func:`restore`, which fills the
   game whole or not at all.
5. :func:`drop_after`: hooks forget what was logged and measured after the checkpoint.
6. :func:`start_stream`: the data stream begins at the iteration, without reading what came before it.

Nothing else is kept: every draw is a function of the seed and the iteration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.runs.changes import Changes, differences, in_words, refuse
from toolbox.runs.environment import environment, read_record
from toolbox.runs.files import write_text
from toolbox.runs.kept import keep_config, kept_config
from toolbox.runs.terminal import say
from toolbox.training.checkpoints import (
    check_fit,
    checkpoint_files,
    iteration_of,
    latest_checkpoint,
    load_whole,
)
from toolbox.training.game.state import check_frozen, frozen_state
from toolbox.training.run.resumable import check_contents
from toolbox.training.run.starts import keep_record, other_surroundings
from toolbox.training.stages import MAIN, stage_config

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game
    from toolbox.training.run.prepare import Stage


def is_done(stage: Stage) -> bool:
    """A finished stage says so; one whose last checkpoint has gone, or is torn, is continued. Rank
    0 looks.
    """

    def finished() -> bool:
        done = iterations_done(stage.folder)
        newest = latest_checkpoint(stage.folder) if done else None
        return newest is not None and min(done, iteration_of(newest)) >= stage.length

    return ranks.on_main(finished)


def iterations_done(folder: Path) -> int:
    """What ``done.json`` says; 0 where there is none, or a damaged one: its checkpoints say where
    to go on.
    """
    path = folder / "done.json"
    try:
        return int(json.loads(path.read_text())["iterations"]) if path.is_file() else 0
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, OSError):
        return 0


def refuse_to_overwrite(stages: Sequence[Stage], folder: Path) -> None:
    """Raise ConfigError where starting anew would write over checkpoints; a finished earlier stage
    is kept.
    """
    for stage in stages:
        if checkpoint_files(stage.folder) and (stage.is_main or not is_done(stage)):
            raise ConfigError(
                f"{folder} already holds a run: continue it with --resume, or name another folder with "
                "--work-dir"
            )


def newest_checkpoint(folder: Path, tell: Callable[[str], None] | None = None) -> Path | None:
    """The checkpoint that a stage goes on from: the first process looks, all take the same."""
    return ranks.on_main(lambda: latest_checkpoint(folder, tell))


def begin(config: Config, stages: Sequence[Stage], resume: bool, allow_changes: bool) -> None:
    """Keep config and record with the run, unless it was begun as another. On the first process.

    Args:
        config: of the run, filled from its data.
        stages: of the run, the main one last.
        resume: go on from what is there; else only earlier stages that are done are kept.
        allow_changes: also where config or data have changed in what shapes the run.

    Raises:
        ConfigError: for a run that was begun with another config or other data.
    """
    kept = stages if resume else [stage for stage in stages if is_done(stage)]
    newest = {stage.name: newest_checkpoint(stage.folder, say) for stage in kept}
    goes_on = {name: iteration_of(path) for name, path in newest.items() if path is not None}
    folder = Path(config.work_dir)
    if resume and not goes_on:
        say(f"nothing to continue in {folder}: starting at the beginning")
    data = stages[-1].data
    ranks.on_main(lambda: _keep(config, folder, data, goes_on, allow_changes))


def _keep(
    config: Config, folder: Path, data: Mapping[str, Any], goes_on: Mapping[str, int], allow_changes: bool
) -> None:
    record = read_record(folder)
    changes = changes_of(folder, config, list(goes_on)) if goes_on else {}
    fingerprint = record.get("data", {}).get("fingerprint")
    now = data.get("fingerprint")
    if goes_on and fingerprint not in (None, now):
        changes["data (fingerprint)"] = (fingerprint, now)
    if not allow_changes:
        refuse(changes, folder)
    if changes:
        say(f"changed knowingly: {in_words(changes)}")
    if goes_on and (others := other_surroundings(record, environment(config))):
        say(f"begun in other surroundings: {'; '.join(others)}")
    folder.mkdir(parents=True, exist_ok=True)
    keep_record(folder, config, data, goes_on, changes)
    keep_config(config, folder)


def changes_of(folder: Path, config: Config, stages: Sequence[str]) -> Changes:
    """What differs, in the given stages, from the config that the folder's run was begun with.

    ``config.model`` must be filled from the data, as the folder's config is.
    """
    kept = kept_config(folder)
    if kept is None:
        return {}
    found: Changes = {}
    for stage in stages:
        if stage != MAIN and (kept.get("before") or {}).get(stage) is None:
            continue
        old, new = (stage_config(one, stage).to_dict() for one in (kept, config))
        prefix = "" if stage == MAIN else f"before.{stage}."
        inherited = set(found)  # what an earlier stage has from the run is said once
        found |= {prefix + key: pair for key, pair in differences(old, new) if key not in inherited}
    return found


def restore(game: Game, checkpoint: Mapping[str, Any], what: str = "the checkpoint") -> dict[str, Any]:
    """Fill a game from a checkpoint, whole or not at all; its state dict, with networks from outside.

    Args:
        game: of the config that the checkpoint belongs to.
        checkpoint: its contents.
        what: it is called in an error.

    Raises:
        CheckpointError: for another frozen network, or tensors that do not fit.
    """
    state = fitting_state(game, checkpoint, what)
    load_whole(game, state, what)
    return state


def fitting_state(game: Game, checkpoint: Mapping[str, Any], what: str = "the checkpoint") -> dict[str, Any]:
    """What :func:`restore` would load, checked."""
    check_contents(checkpoint, what)
    check_frozen(game, checkpoint.get("frozen", {}))
    state = {**frozen_state(game), **checkpoint["state_dict"]}
    check_fit(state, game, what)
    return state


def drop_after(
    iteration: int, path: Path, concerns: Callable[[Mapping[str, Any]], bool] = lambda record: True
) -> None:
    """Remove from a file of JSON lines what was written after an iteration, and torn lines (collective).

    Args:
        iteration: of the checkpoint that the run goes on from.
        path: the file; nothing happens where there is none.
        concerns: which records are asked for their iteration; the others stay.
    """

    def stays(line: str) -> bool:
        try:
            record = json.loads(line)
            return not concerns(record) or int(record["iteration"]) <= iteration
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError):
            # a torn last line of a killed run, or no record at all
            return False

    def drop() -> None:
        lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
        kept = [line for line in lines if stays(line)]
        if len(kept) < len(lines):
            write_text("".join(f"{line}\n" for line in kept), path)

    ranks.on_main(drop)


def start_stream(loader: Any, iteration: int) -> None:
    """Let a loader begin at an iteration. mmengine's own loop would decode every image before it again."""
    if hasattr(loader.batch_sampler, "begin_at"):
        loader.batch_sampler.begin_at(iteration)
    elif hasattr(loader.sampler, "start"):
        loader.sampler.start = iteration * loader.batch_size
