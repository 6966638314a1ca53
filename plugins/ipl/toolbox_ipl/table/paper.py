"""The paper's ten rows, trained by their configs; own values beside the published ones."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolbox.runs.files import write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_ipl.published import METHODS, published_table
from toolbox_ipl.table.run import trained

#: {metric, as results name it: its column}; stand-ins have other names, and no column.
_COLUMNS = {"is": "IS", "scs": "SCS", "id": "ID"}
_SIFID = {"type": "SIFID", "weights": "weights/inception_v3_google-0cc3c7bd.pth"}


def make_paper(out: Path, rows: Sequence[str], seeds: Iterable[int], references: Path, quick: bool) -> str:
    """Train and measure what is not there yet of ``rows``; write ``paper.md`` and ``own.json``.

    Args:
        out: folder; a run in ``out/<row>/<method>/seed<seed>``. Each is trained once; the same call goes on.
        rows: names of the table's rows, such as 'ffhq_disney'.
        seeds: of the runs; own values are means over them.
        references: SIFID is measured of the rows of which this folder has pictures, ``<row>/*.png``. The
            paper's are not published.
        quick: rehearse: no file is needed, and values of stand-ins have no column.

    Returns:
        The table, as Markdown.

    Raises:
        ConfigError: naming the files that a row needs and that are not there.
    """
    own: dict[str, dict[str, dict[str, float]]] = {}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        for row in rows:
            for method in METHODS:
                options = _options(row, references)
                runs = [_cell(out, row, method, seed, options, quick) for seed in seeds]
                own.setdefault(row, {})[method] = _means(runs)
                write_text(json.dumps(own, indent=2) + "\n", out / "own.json")
    text = published_table(own)
    write_text(text, out / "paper.md")
    return text


def _options(row: str, references: Path) -> dict[str, Any]:
    pictures = references / row
    if not pictures.is_dir():
        return {}
    return {"evaluation.metrics.sifid": {**_SIFID, "references": str(pictures)}}


def _cell(
    out: Path, row: str, method: str, seed: int, options: Mapping[str, Any], quick: bool
) -> dict[str, float]:
    """{column: value} of a run, which is trained unless that was done."""
    folder = out / row / method / f"seed{seed}"
    kept = folder / "result.json"
    made = dict(quick=quick, sifid="evaluation.metrics.sifid" in options)
    if kept.is_file() and (known := json.loads(kept.read_text(encoding="utf-8")))["made"] == made:
        return dict(known["values"])
    trained(folder, f"ipl/{method}_{row}", {"seed": seed, **options}, quick=quick)
    values = _read(folder / "metrics.jsonl")
    write_text(json.dumps(dict(values=values, made=made)), kept)
    say(f"{row}, {method}, seed {seed}: done")
    return values


def _read(file: Path) -> dict[str, float]:
    """What a run measured, of the table's columns."""
    found: dict[str, float] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        title = record["metric"].split("[")[0]
        if title in _COLUMNS:
            found[_COLUMNS[title]] = float(record["value"])
        if title == "sifid" and "inception" in record["metric"]:
            found |= {
                f"SIFID R{n}": record["values"][f"R{n}"] for n in (1, 2, 3) if f"R{n}" in record["values"]
            }
    return found


def _means(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {column: statistics.mean(run[column] for run in runs) for column in runs[0]}
