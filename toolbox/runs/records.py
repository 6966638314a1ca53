"""Records that a run keeps one a line, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``, without what is torn or no record; [] where there is no such file."""
    if not path.is_file():
        return []
    found = map(_record_of, path.read_text(errors="replace").splitlines())
    return [record for record in found if record is not None]


def _record_of(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
