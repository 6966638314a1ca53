"""The measurements of a run, one a line: ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from toolbox import ranks
from toolbox.runs.files import write_text

ORIGIN = "training"  # marks, in a line of metrics.jsonl, what the hook Evaluation measured during training


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``, without torn ones; [] where there is no such file."""
    records = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace ``metrics.jsonl``."""
    write_text("".join(f"{json.dumps(record)}\n" for record in records), path)


def append_records(path: Path, records: Iterable[Mapping[str, Any]], **facts: Any) -> None:
    """Add lines to ``metrics.jsonl``: all of them or none, on the first process (collective)."""
    ranks.on_main(
        lambda: write_records(path, [*read_records(path), *({**record, **facts} for record in records)])
    )


def drop_after(iteration: int, path: Path) -> None:
    """Remove from a ``metrics.jsonl`` what was measured during training after an iteration (collective)."""

    def drop() -> None:
        records = read_records(path)
        kept = [
            line for line in records if line.get("during") != ORIGIN or int(line["iteration"]) <= iteration
        ]
        if len(kept) < len(records):
            write_records(path, kept)

    ranks.on_main(drop)
