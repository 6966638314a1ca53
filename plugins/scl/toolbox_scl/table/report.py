"""The tables of the cells that are done, as text and as numbers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolbox.runs.files import write_text
from toolbox_scl.table.judging import OF_ENCODERS, OF_GANS
from toolbox_scl.table.plan import GANS, LOSSES, PLACED, PLACES, Budget, Cell, encoders, gan, placed

Values = Mapping[str, float]
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
        """All tables, mean ± standard deviation over the seeds that are there."""
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
        rows = [([_NAMES[loss]], self._found(lambda seed, n=loss: encoders(n, seed))) for loss in LOSSES]
        return _table("DAMSM", ["label loss"], rows, OF_ENCODERS, self.references["encoders"])

    def _of_gans(self) -> str:
        rows = [
            ([_NAMES[model], _NAMES[loss]], self._found(lambda seed, m=model, n=loss: gan(m, n, seed)))
            for model in GANS
            for loss in LOSSES
        ]
        return _table("GANs", ["model", "label loss"], rows, OF_GANS, self.references["gans"])

    def _of_placement(self) -> str:
        rows = [([place], self._found(lambda seed, p=place: placed(p, seed))) for place in PLACES]
        title = f"{_NAMES[PLACED]}: where SCL is"
        return _table(title, ["SCL in"], rows, OF_GANS, self.references["gans"])

    def _found(self, cell: Any) -> list[Values]:
        return [self.results[cell(seed)] for seed in self.seeds if cell(seed) in self.results]


def _table(
    title: str,
    heads: Sequence[str],
    rows: Sequence[tuple[Sequence[str], Sequence[Values]]],
    columns: Mapping[str, str],
    references: Mapping[str, Values],
) -> str:
    names = [*heads, *columns.values(), "seeds"]
    lines = [f"**{title}**", "", f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for words, runs in rows:
        values = [_value([run[key] for run in runs]) for key in columns]
        lines.append(f"| {' | '.join([*words, *values, str(len(runs))])} |")
    for name, known in references.items():
        words = [name, *[""] * (len(heads) - 1)]
        values = [_value([known[key]] if key in known else []) for key in columns]
        lines.append(f"| {' | '.join([*words, *values, ''])} |")
    return "\n".join(lines)


def _value(values: Sequence[float]) -> str:
    """Mean ± standard deviation, or a dash for none."""
    if not values:
        return "-"
    mean = statistics.mean(values)
    digits = 3 if abs(mean) < 10 else 1
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{spread}"
