"""The table of the cells that are done: mean and standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from toolbox_ipl.table.plan import TARGETS, Cell

COLUMNS = {
    "judged": "judged target",
    "fid": "Frechet distance to the target set",
    "pairwise-distance": "diversity",
    "kept-hair": "hair kept",
    "scs-sobel": "edges kept (SCS, Sobel)",
    "seconds": "seconds",
}


def markdown(found: Mapping[Cell, Mapping[str, float]]) -> str:
    """Rows are target and method; then IPL's differences from NADA at equal seeds, where there are both."""
    rows: dict[tuple[str, str], dict[int, Mapping[str, float]]] = {}
    for cell, values in found.items():
        rows.setdefault((cell.target, cell.method), {})[cell.seed] = values
    head = [_line(["target", "method", *COLUMNS.values(), "seeds"]), "|" + "---|" * (len(COLUMNS) + 3)]
    lines = [*head, *(_row([*words], list(runs.values())) for words, runs in rows.items())]
    differences = [
        _row([target, "ipl - nada"], _less(rows[target, "ipl"], rows[target, "nada"]), sign="+")
        for target in TARGETS
        if (target, "ipl") in rows and (target, "nada") in rows
    ]
    if differences:
        lines += ["", "Differences at equal seeds:", "", *head, *differences]
    return "\n".join(lines) + "\n"


def _less(
    one: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]]
) -> list[dict[str, float]]:
    both = [seed for seed in one if seed in other]
    return [
        {key: one[seed][key] - other[seed][key] for key in COLUMNS if key in one[seed] and key in other[seed]}
        for seed in both
    ]


def _row(words: Sequence[str], runs: Sequence[Mapping[str, float]], sign: str = "") -> str:
    values = (_value([run[key] for run in runs if key in run], sign) for key in COLUMNS)
    return _line([*words, *values, str(len(runs))])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(values: Sequence[float], sign: str) -> str:
    """Mean ± standard deviation, or a dash for none."""
    if not values:
        return "-"
    mean = statistics.mean(values)
    digits = 3 if abs(mean) < 2 else 1
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:{sign}.{digits}f}{spread}"
