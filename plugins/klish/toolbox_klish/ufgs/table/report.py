"""The tables of the cells that are done, and the paper's: mean and standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolbox_klish.ufgs.table import published
from toolbox_klish.ufgs.table.plan import Budget, Cell, in_words

Record = Mapping[str, Any]
_OURS = {
    "real": "mIoU, real",
    "official": "by the official protocol",
    "hindsight": "labels in hindsight",
    "pooled": "pooled",
    "generated": "generated",
    "gap": "generated - real",
    "masks": "its masks, generated",
}


def markdown(found: Mapping[Cell, Record], part_names: Sequence[str], budget: Budget) -> str:
    """All tables.

    Args:
        found: {cell: its record} of those that are done.
        part_names: of the drawn portraits.
        budget: that they were made with.
    """
    methods: dict[str, list[Record]] = {}
    for cell, record in found.items():
        methods.setdefault(cell.method, []).append(record)
    parts = [
        "# Segmenters of drawn portraits (embedded data)",
        f"Percent, mean ± standard deviation over seeds. {budget.iterations} iterations of "
        f"{budget.batch_size}, K = {budget.clusters}, {budget.validation} images to match by.",
        _means(methods),
        "IoU of each part on real images:",
        _per_part(methods, part_names),
        "# The paper: CelebAMask-HQ, mean IoU (Table V)",
        _paper_means(),
        "# The paper: IoU of each part (Table VI)",
        _paper_parts(),
    ]
    return "\n\n".join(parts) + "\n"


def chosen(record: Record, where: str) -> Mapping[str, Any]:
    """A record's scores on 'real' or 'generated' images: by the paper's protocol, or of labels."""
    return dict(record[where].get("paper") or record[where]["labels"])


def _means(methods: Mapping[str, Sequence[Record]]) -> str:
    rows = [[in_words(name), *_values(records), str(len(records))] for name, records in methods.items()]
    return _table(["segmenter", *_OURS.values(), "seeds"], rows)


def _values(records: Sequence[Record]) -> list[str]:
    real = [chosen(record, "real")["miou-klish"] for record in records]
    generated = [chosen(record, "generated")["miou-klish"] for record in records]
    found = {
        "real": real,
        "official": _of(records, "official"),
        "hindsight": _of(records, "hindsight"),
        "pooled": [chosen(record, "real")["miou-pooled"] for record in records],
        "generated": generated,
        "gap": [g - r for g, r in zip(generated, real, strict=True)],
        "masks": [record["masks"]["miou-klish"] for record in records if "masks" in record],
    }
    return [_mean(found[key]) for key in _OURS]


def _of(records: Sequence[Record], key: str) -> list[float]:
    return [record["real"][key]["miou-klish"] for record in records if key in record["real"]]


def _per_part(methods: Mapping[str, Sequence[Record]], part_names: Sequence[str]) -> str:
    rows = []
    for name, records in methods.items():
        each = [chosen(record, "real")["iou-klish"] for record in records]
        values = ([part for part in column if part is not None] for column in zip(*each, strict=True))
        rows.append([in_words(name), *[_mean(column) for column in values][1:]])
    return _table(["segmenter", *part_names[1:]], rows)


def _paper_means() -> str:
    rows = []
    for name, (shots, parts, mean, spread, quoted) in published.MEANS.items():
        value = f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}"
        rows.append([f"{name} (quoted)" if quoted else name, str(shots), str(parts), value])
    return _table(["segmenter", "annotated", "parts", "mIoU"], rows)


def _paper_parts() -> str:
    rows = []
    for name, values in published.PER_PART.items():
        mouth = published.MOUTH.get(name)
        cells = ["-" if value is None else f"{value:.1f}" for value in (*values, mouth)]
        rows.append([name, *cells])
    return _table(["segmenter", *published.PARTS, "mouth"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(head), "|" + "---|" * len(head), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean(values: Sequence[float]) -> str:
    """Percent, or a dash for none."""
    if not values:
        return "-"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread}"
