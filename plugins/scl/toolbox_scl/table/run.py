"""Training and judging cell by cell; what is done stays done."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from toolbox.config import ConfigError
from toolbox.runs.files import write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_scl.table.judging import Judge
from toolbox_scl.table.plan import Budget, Cell, cells
from toolbox_scl.table.report import Tables, Values
from toolbox_scl.table.training import config_of


def make(out: Path, parts: Sequence[str], seeds: Sequence[int], budget: Budget) -> Tables:
    """Train and judge what is not there yet, and write the tables after each cell.

    Args:
        out: folder of runs, results and tables.
        parts: of PARTS.
        seeds: one run of every row for each.
        budget: of all rows.

    Raises:
        ConfigError: for a folder with results of another budget.
        LockedError: when another command is at work in it.
        Stopped: on Ctrl-C; the same call goes on with the cell that was being trained.
    """
    wanted = cells(parts, seeds)
    found = {cell: _known(cell, budget, out) for cell in wanted}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        judge = Judge(budget.n_fake)
        references = _references(out, judge)
        for number, cell in enumerate(wanted, start=1):
            if not found[cell]:
                start = time.perf_counter()
                found[cell] = _measured(cell, budget, out, judge)
                seconds = time.perf_counter() - start
                say(f"{number} of {len(wanted)}: seed {cell.seed}, {cell.name}: {seconds:.0f} s")
            done = {cell: values for cell, values in found.items() if values}
            tables = Tables(done, references, parts, seeds, budget)
            tables.write(out)
    return tables


def _measured(cell: Cell, budget: Budget, out: Path, judge: Judge) -> Values:
    """Train a cell, judge it, and keep ``result.json`` beside its run."""
    from toolbox.pipeline import train

    start, folder = time.process_time(), cell.folder(out)
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off
    folder.mkdir(parents=True)
    log = (folder / "terminal.txt").open("w", encoding="utf-8")
    try:
        with log, contextlib.redirect_stdout(log):
            train(config_of(cell, budget, out), work_dir=folder, evaluate=False, report=False)
    except KeyboardInterrupt:
        say(f"seed {cell.seed}, {cell.name}: broken off; the same command begins it anew and goes on")
        raise
    values: dict[str, float] = {}
    if cell.model == "damsm":
        values = judge.encoders(folder)
    elif cell.model != "heads":
        values = judge.gan(folder, cell.seed)
    values["seconds"] = round(time.process_time() - start, 1)
    write_text(json.dumps(dict(values=values, budget=budget.of(cell))), folder / "result.json")
    return values


def _known(cell: Cell, budget: Budget, out: Path) -> Values:
    """The result of a cell that is done, else nothing."""
    kept = cell.folder(out) / "result.json"
    if not kept.is_file():
        return {}
    known, own = json.loads(kept.read_text(encoding="utf-8")), budget.of(cell)
    if known["budget"] != own:
        there = ", ".join(f"{key}={value}" for key, value in known["budget"].items() if own[key] != value)
        raise ConfigError(f"{kept} was made with {there}: take that budget again, or another folder")
    return dict(known["values"])


def _references(out: Path, judge: Judge) -> dict[str, dict[str, Values]]:
    """Of this number of images, kept too."""
    kept = out / f"references_{judge.n}.json"
    if not kept.is_file():
        found = {"encoders": judge.reference_encoders(), "gans": judge.references()}
        write_text(json.dumps(found, indent=2), kept)
    return dict(json.loads(kept.read_text(encoding="utf-8")))
