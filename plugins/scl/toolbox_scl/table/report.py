"""The tables of the cells that are done, as text and as numbers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolbox.runs.files import write_text
from toolbox_scl.table.judging import OF_ENCODERS, OF_GANS
from toolbox_scl.table.plan import GANS, LOSSES, PLACED, PLACES, Budget, Cell, encoders, gan, placed

Values = Mapping[str, float]
Runs = Mapping[int, Values]  # by seed
Rows = dict[tuple[str, ...], Runs]  # by the words that a row begins with
_WITHOUT = ("none", "neither")  # rows that the others are compared with
_NAMES = {
    "none": "none",
    "scl": "SCL",
    "unicl": "UniCL",
    "ce": "cross-entropy",
    "attngan": "AttnGAN",
    "dmgan": "DM-GAN",
    "ssagan": "SSA-GAN",
    "galip": "GALIP",
}


@dataclass(frozen=True)
class Tables:
    """What was found.

    Attributes:
        results: of the cells that are done.
        references: {'encoders' or 'gans': {row: values}}: chance, real images, a network of another kind.
        parts: those that are shown.
        seeds: of the rows.
        budget: of every row.
    """

    results: Mapping[Cell, Values]
    references: Mapping[str, Mapping[str, Values]]
    parts: Sequence[str]
    seeds: Sequence[int]
    budget: Budget

    def markdown(self) -> str:
        """All tables, mean ± standard deviation over the seeds that are there, and differences."""
        made = {"encoders": self._of_encoders, "gans": self._of_gans, "placement": self._of_placement}
        return "\n\n".join(made[part]() for part in made if part in self.parts) + "\n"

    def record(self) -> dict[str, Any]:
        """The JSON file: the values of single seeds."""
        cells = [dict(cell=cell.name, seed=cell.seed, values=dict(v)) for cell, v in self.results.items()]
        return dict(
            budget=asdict(self.budget), seeds=list(self.seeds), references=self.references, cells=cells
        )

    def write(self, folder: Path) -> None:
        """``table.md`` and ``table.json``."""
        write_text(self.markdown(), folder / "table.md")
        write_text(json.dumps(self.record(), indent=2) + "\n", folder / "table.json")

    def _of_encoders(self) -> str:
        rows: Rows = {(_NAMES[loss],): self._found(partial(encoders, loss)) for loss in LOSSES}
        return _table("DAMSM", ["label loss"], rows, OF_ENCODERS, self.references["encoders"])

    def _of_gans(self) -> str:
        rows: Rows = {
            (_NAMES[m], _NAMES[loss]): self._found(partial(gan, m, loss)) for m in GANS for loss in LOSSES
        }
        return _table("GANs", ["model", "label loss"], rows, OF_GANS, self.references["gans"])

    def _of_placement(self) -> str:
        rows: Rows = {(place,): self._found(partial(placed, place)) for place in PLACES}
        title = f"{_NAMES[PLACED]}: where SCL is"
        return _table(title, ["SCL in"], rows, OF_GANS, self.references["gans"])

    def _found(self, cell: Callable[[int], Cell]) -> Runs:
        return {seed: self.results[cell(seed)] for seed in self.seeds if cell(seed) in self.results}


def _table(
    title: str,
    heads: Sequence[str],
    rows: Rows,
    columns: Mapping[str, str],
    references: Mapping[str, Values],
) -> str:
    """Values; then differences from the row above them without a label loss, at equal seeds."""
    known = {(name, *[""] * (len(heads) - 1)): {0: values} for name, values in references.items()}
    lines = [_line([*heads, *columns.values(), "seeds"]), "|" + "---|" * (len(heads) + len(columns) + 1)]
    lines += [_row(words, list(runs.values()), columns, str(len(runs))) for words, runs in rows.items()]
    lines += [_row(words, list(runs.values()), columns, "") for words, runs in known.items()]
    base = next(words[-1] for words in rows if words[-1] in _WITHOUT)
    lines += ["", f"{title}: differences from {base!r} at equal seeds", "", *lines[:2]]
    without: Runs = {}
    for words, runs in rows.items():
        if words[-1] in _WITHOUT:
            without = runs
            continue
        paired = [_less(runs[seed], without[seed], columns) for seed in runs if seed in without]
        lines.append(_row(words, paired, columns, str(len(paired)), sign="+"))
    return "\n".join([f"**{title}**", "", *lines])


def _less(one: Values, other: Values, columns: Iterable[str]) -> Values:
    return {key: one[key] - other[key] for key in columns}


def _row(
    words: Sequence[str], runs: Sequence[Values], columns: Iterable[str], last: str, sign: str = ""
) -> str:
    return _line([*words, *(_value([run[key] for run in runs if key in run], sign) for key in columns), last])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(values: Sequence[float], sign: str = "") -> str:
    """Mean ± standard deviation, or a dash for none."""
    if not values:
        return "-"
    mean = statistics.mean(values)
    digits = 3 if abs(mean) < 10 else 1
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:{sign}.{digits}f}{spread}"
