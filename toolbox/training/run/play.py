"""A run: stages in order, each an mmengine Runner around a game."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from toolbox import ranks
from toolbox.runs.changes import check_kept_command
from toolbox.runs.files import write_text
from toolbox.runs.kept import kept_config
from toolbox.runs.stopping import Stopped, StopRequest
from toolbox.runs.terminal import say
from toolbox.training.run.prepare import Stage, prepare
from toolbox.training.run.rehearse import rehearse
from toolbox.training.run.resume import begin, is_done, refuse_to_overwrite
from toolbox.training.run.runner import build_runner

if TYPE_CHECKING:
    from mmengine import Config


def play(
    config: Config,
    resume: bool = False,
    allow_changes: bool = False,
    stop_request: StopRequest | None = None,
    measured: bool = True,
) -> None:
    """Train what a loaded config describes: its earlier stages, then its game.

    Args:
        config: the loaded config.
        resume: go on where the folder's run stopped.
        allow_changes: also where its config or data have changed in what shapes the run.
        stop_request: of whoever watches for signals already.
        measured: the run will be measured: its ``evaluation`` must be possible.

    Raises:
        ConfigError, PlanError, BuildError, CheckpointError: for what cannot be used, before any time is
            spent.
        Stopped: when a signal ended it; a checkpoint is saved.
    """
    say("checking config, networks and data ...")
    stages = prepare(config)
    folder = Path(config.work_dir)
    check_kept_command(folder, kept_config(folder), "train")
    if not resume:
        refuse_to_overwrite(stages, folder)
    said = [line for one in rehearse(stages, measured, not resume, resume) for line in one.lines]
    config.model = stages[-1].model  # what the data set fills is part of the run's record
    begin(config, stages, resume, allow_changes)
    for line in dict.fromkeys(said):
        say(line)
    say(_in_a_line(stages[-1]))
    stop_request = stop_request or StopRequest()
    for stage in stages:
        if not is_done(stage):
            stop_request.check()
            _play_stage(stage, resume, stop_request)


def _in_a_line(stage: Stage) -> str:
    data = stage.data
    if not data:
        return "data: none, the game generates its own images"
    labelled = f", {data['labelled']:,} labelled" if data["labelled"] < data["n"] else ""
    return f"data: {data['title']}: {data['n']:,} images{labelled}, {len(data['classes'])} classes"


def _play_stage(stage: Stage, resume: bool, stop_request: StopRequest) -> None:
    """Play one game to its end."""
    runner = build_runner(stage, resume)
    loop = runner.train_loop
    loop.stop_request = stop_request
    try:
        runner.train()
    finally:
        for hook in runner.hooks:
            if hasattr(hook, "close"):
                hook.close()  # a bar: else what is said of an error stands behind the bar
    if loop.stopped_by:
        say(
            f"{loop.stopped_by}: stopped after iteration {loop.iter}, checkpoint saved. "
            f"Continue with --resume --work-dir {stage.run.work_dir}"
        )
        stop_request.check()
        raise Stopped  # another process was asked
    ranks.on_main(lambda: write_text(json.dumps(dict(iterations=loop.iter)), stage.folder / "done.json"))
