"""The measurements of a run, one a line: ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from toolbox import ranks
from toolbox.runs.files import write_text
from toolbox.runs.records import read_records as read_records

ORIGIN = "training"  # marks, in a line of metrics.jsonl, what the hook Evaluation measured during training


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace ``metrics.jsonl``."""
    write_text("".join(f"{json.dumps(record)}\n" for record in records), path)


def of_training(record: Mapping[str, Any]) -> bool:
    """Whether a line is of a measurement during training, not at its end."""
    return record.get("during") == ORIGIN


def append_records(path: Path, records: Iterable[Mapping[str, Any]], **of_all: Any) -> None:
    """Add lines to ``metrics.jsonl``: all of them or none, on the first process (collective).

    Args:
        path: the file.
        records: one a line.
        **of_all: further keys of every line.
    """
    added = [{**record, **of_all} for record in records]
    ranks.on_main(lambda: write_records(path, [*read_records(path), *added]))


def values_of(records: Iterable[Mapping[str, Any]], iteration: int) -> dict[str, float]:
    """{metric's name with protocol: value} of what was measured at an iteration, the newest of each.

    A metric of several equal numbers (precision and recall) has an entry for each, ``name.key``; others have
    one beside their own for what they must be compared with: 'real' images, 'chance'.
    """
    found: dict[str, float] = {}
    for record in records:
        values = record.get("values") or {"": record.get("value")}
        if record.get("iteration", iteration) != iteration or "metric" not in record or "error" in record:
            continue
        kept = ("", "real", "chance") if "" in values else tuple(values)
        shown = {key: values[key] for key in kept if key in values}
        named = {f"{record['metric']}.{key}" if key else str(record["metric"]): v for key, v in shown.items()}
        found |= {name: value for name, value in named.items() if isinstance(value, (int, float))}
    return found
