"""The tables: what each change does, on each sample, and what the samples are like."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolbox_klish.table.table import METRICS
from toolbox_klish.why.measure import PIECES
from toolbox_klish.why.variants import VARIANTS

Row = Mapping[str, Any]  # a cell: data, variant, seed, facts, at = {K: values}

_COLUMNS = (*METRICS, "ARI without wall", "ARI, wall joined", "ARI, parts joined", "pieces")
_NOTE = (
    "Percent, mean ± standard deviation over seeds. 'ARI without wall': of the pixels of other parts. 'Wall "
    "joined', 'parts joined': after clusters that show mostly the wall, or mostly the same part, were made "
    "one, by the truth. 'Pieces': clusters that show mostly wall. Metrics as in Table IV."
)


def markdown(cells: Sequence[Row], clusters: Sequence[int], curve: Sequence[int]) -> str:
    """All tables of the cells that are done."""
    done = [cell for cell in cells if cell["at"]]
    if not done:
        return "Nothing was measured yet.\n"
    lines = [_NOTE, ""]
    for name in _in_order(cell["data"] for cell in done):
        own = [cell for cell in done if cell["data"] == name]
        lines += [f"## {name}", "", *_facts(own)]
        for k in clusters:
            lines += [*_table(own, k), *_losses(own, k)]
        lines += _curve(own, curve)
    return "\n".join(lines).rstrip() + "\n"


def _table(cells: Sequence[Row], k: int) -> list[str]:
    """A row for each variant."""
    columns = [name for name in _COLUMNS if any(name in _at(cell, k) for cell in cells)]
    lines = [_line([f"K = {k}", *columns]), "|" + "---|" * (len(columns) + 1)]
    for variant in _in_order(cell["variant"] for cell in cells):
        own = [_at(cell, k) for cell in cells if cell["variant"] == variant]
        if any(own):
            values = [_value([one[name] for one in own if name in one]) for name in columns]
            lines.append(_line([VARIANTS[variant].words, *values]))
    return [*lines, ""]


def _losses(cells: Sequence[Row], k: int) -> list[str]:
    """Which parts are torn and which are mixed, for AHC by angle and KLiSH."""
    lines = []
    for variant in ("ahc-angle", "klish"):
        own = [_at(cell, k) for cell in cells if cell["variant"] == variant and _at(cell, k)]
        if own:
            torn, mixed = (statistics.mean(one[f"{key} pairs"] for one in own) for key in ("torn", "mixed"))
            lines.append(
                f"* {VARIANTS[variant].words}: pairs of one part in two clusters {torn:.1f} % of all pairs "
                f"of one part ({_named(own, 'torn')}); of two parts in one cluster {mixed:.1f} % "
                f"({_named(own, 'mixed')})."
            )
    return [*lines, ""] if lines else []


def _named(found: Sequence[Mapping[str, Any]], key: str) -> str:
    """Mean shares of the seeds, the largest three."""
    names = {name for one in found for name in one[key]}
    shares = {name: sum(one[key].get(name, 0.0) for one in found) / len(found) for name in names}
    largest = sorted(shares, key=lambda name: -shares[name])[:3]
    return ", ".join(f"{name} {shares[name]:.0f} %" for name in largest)


def _curve(cells: Sequence[Row], curve: Sequence[int]) -> list[str]:
    """ARI, and pieces of the wall, over K."""
    lines = [_line(["ARI (pieces) at K =", *map(str, curve)]), "|" + "---|" * (len(curve) + 1)]
    for variant in _in_order(cell["variant"] for cell in cells):
        texts = []
        for k in curve:
            own = [_at(cell, k) for cell in cells if cell["variant"] == variant and _at(cell, k)]
            pieces = [one["pieces"] for one in own if "pieces" in one]
            beside = f" ({statistics.mean(pieces):.1f})" if pieces else ""
            texts.append(f"{statistics.mean(one['ARI'] for one in own):.1f}{beside}" if own else "-")
        lines.append(_line([VARIANTS[variant].words, *texts]))
    return [*lines, ""] if curve else []


def _facts(cells: Sequence[Row]) -> list[str]:
    known = [cell["facts"] for cell in cells if cell["facts"]]
    if not known:
        return []
    mean = {name: statistics.mean(one[name] for one in known) for name in known[0]}
    return [
        f"The wall has {mean['wall']:.0f} % of the pixels, and {mean['pairs of wall']:.0f} % of the pairs of "
        f"pixels of one part. A linear map finds a pixel's place in its features with an R^2 of "
        f"{mean['place in wall'] / 100:.2f} in the wall, {mean['place in parts'] / 100:.2f} elsewhere. Rows "
        f"lie {mean['spread in wall']:.0f} degrees from the wall's mean, {mean['spread in parts']:.0f} from "
        f"those of other parts; the nearest of these lies {mean['between parts']:.0f} degrees from the "
        f"wall's. Machines trained on the true parts, with the wall cut in {PIECES} by k-means, have an IoU "
        f"of {mean['IoU of wall pieces']:.0f} % for pieces of the wall, {mean['IoU of parts']:.0f} % for "
        f"other parts (mean; lowest: {mean['lowest IoU of pieces']:.0f} %, "
        f"{mean['lowest IoU of parts']:.0f} %). {mean['less separable']:.1f} parts are less separable than "
        "any piece of the wall.",
        "",
    ]


def _at(cell: Row, k: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = cell["at"].get(str(k), {})
    return found


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"
