"""The whole job: train, measure, draw, report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbox import ranks


def train(config: Any, work_dir: str | Path | None = None, quick: bool = False, resume: bool = False,
          options: Mapping[str, Any] | None = None, evaluate: bool = True, report: bool = True) -> Path:
    """Train what a config describes, all its stages, then measure it and write the report.

    In a run of several processes all of them call it; the first one draws and writes the report, the others return.

    Args:
        config: a config's name or path, or a loaded one.
        work_dir: the run's folder; default ``runs/<config>`` (``runs/<config>-quick``).
        quick: the config's small version.
        resume: continue from the newest checkpoint of the folder; stages that are done are skipped.
        options: overrides by dotted key.
        evaluate, report: whether to do these at the end.

    Returns:
        The run's folder; ``done.json`` in it says that the run was not interrupted.

    Raises:
        ConfigError, PlanError, BuildError, CheckpointError: for what cannot be used, before any time is spent.
        WriteError, CheckpointError: when the disk is full.
    """
    from toolbox.config import load_config
    from toolbox.training.evaluation import check_evaluation
    from toolbox.training.run import play
    from toolbox.training.writing import explain_full_disk, on_main

    if not hasattr(config, "filename"):
        name = Path(str(config)).stem
        config = load_config(config, quick, options)
        config.setdefault("work_dir", f"runs/{name}-quick" if quick else f"runs/{name}")
    if evaluate and config.get("evaluation"):
        check_evaluation(config.evaluation)
    folder = Path(work_dir or config.get("work_dir") or "runs/unnamed")
    config.work_dir = str(folder)
    with explain_full_disk(folder):
        if not play(config, resume):
            return folder  # interrupted: what follows is for --resume
        if evaluate and config.get("evaluation") and not (resume and on_main(lambda: is_measured(folder))):
            measure(folder)
        if report and ranks.is_main():
            draw(folder)
    return folder


def is_measured(folder: Path) -> bool:
    """Whether the newest checkpoint's metrics are in ``metrics.jsonl`` already."""
    from toolbox.training.checkpoints import latest_checkpoint
    from toolbox.training.evaluation import read_records

    newest, path = latest_checkpoint(folder), folder / "metrics.jsonl"
    if newest is None:
        return False
    return any(record.get("checkpoint") == newest.name for record in read_records(path))


def measure(folder: Path) -> dict[str, float]:
    """The config's metrics, said aloud and kept in ``metrics.jsonl`` (collective: each rank measures its share)."""
    from toolbox.training.evaluation import evaluate_run, table
    from toolbox.training.terminal import say

    say("measuring ...")
    results = evaluate_run(folder)
    say(table(results))
    return results


def draw(folder: Path) -> Path:
    """Pictures, tables and the report."""
    from toolbox.visual.pictures import draw_run
    from toolbox.visual.report import write_report

    draw_run(folder)
    return write_report(folder)
