"""Training and judging cell by cell; what is done stays done."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.runs.files import write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_ipl.table.plan import Budget, Cell, cells, options_of
from toolbox_ipl.table.report import markdown

Values = Mapping[str, float]


def make(
    out: Path, targets: Sequence[str], methods: Sequence[str], seeds: Sequence[int], budget: Budget
) -> str:
    """Train and judge what is not there yet; write ``table.md`` and ``table.json`` after each cell.

    Returns:
        The table, as Markdown.

    Raises:
        ConfigError: for a folder with results of another budget.
        LockedError: when another command is at work in it.
        Stopped: on Ctrl-C; the same call goes on with the cell that was being trained.
    """
    wanted = cells(targets, methods, seeds)
    found = {cell: _known(cell, budget, out) for cell in wanted}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        for number, cell in enumerate(wanted, start=1):
            if not found[cell]:
                found[cell] = _measured(cell, budget, out)
                seconds = found[cell]["seconds"]
                name = f"{cell.target}, {cell.method}, seed {cell.seed}"
                say(f"{number} of {len(wanted)}: {name}: {seconds:.0f} s")
            text = _written({c: v for c, v in found.items() if v}, budget, out)
    return text


def _measured(cell: Cell, budget: Budget, out: Path) -> dict[str, float]:
    """Train a cell, with its measurements, and keep ``result.json`` beside its run."""
    start, folder = time.process_time(), cell.folder(out)
    trained(folder, *options_of(cell, **asdict(budget)))
    values = _read(folder / "metrics.jsonl")
    values["seconds"] = round(time.process_time() - start, 1)
    write_text(json.dumps(dict(values=values, budget=asdict(budget))), folder / "result.json")
    return values


def trained(folder: Path, config: str, options: Mapping[str, Any], quick: bool = False) -> None:
    """Train and measure in a folder, from the start; what the run says goes to its ``terminal.txt``."""
    from toolbox.pipeline import train

    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off
    folder.mkdir(parents=True)
    with (folder / "terminal.txt").open("w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        train(config, work_dir=folder, quick=quick, options=options, report=False)


def _read(file: Path) -> dict[str, float]:
    """{metric, without its protocol: value} of a run's measurements."""
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = {}
    for record in records:
        title = record["metric"].split("[")[0]
        found["judged" if title.startswith("judged-") else title] = float(record["value"])
    return found


def _known(cell: Cell, budget: Budget, out: Path) -> dict[str, float]:
    """The result of a cell that is done, else nothing."""
    kept = cell.folder(out) / "result.json"
    if not kept.is_file():
        return {}
    known, own = json.loads(kept.read_text(encoding="utf-8")), asdict(budget)
    if known["budget"] != own:
        there = ", ".join(f"{key}={value}" for key, value in known["budget"].items() if own[key] != value)
        raise ConfigError(f"{kept} was made with {there}: take that budget again, or another folder")
    return dict(known["values"])


def _written(found: Mapping[Cell, Values], budget: Budget, out: Path) -> str:
    text = markdown(found)
    rows = [dict(**asdict(cell), values=dict(values)) for cell, values in found.items()]
    write_text(text, out / "table.md")
    write_text(json.dumps(dict(budget=asdict(budget), cells=rows), indent=2) + "\n", out / "table.json")
    return text
