"""``environment.json``: what a run was made with, one entry for each start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.runs.changes import Changes
from toolbox.runs.environment import environment, read_record
from toolbox.runs.files import write_text

if TYPE_CHECKING:
    from mmengine import Config

_COMPARED = ("python", "versions", "git", "device", "plugins", "processes")
_OF_EACH_START = ("starts", "goes_on_from", "changes", "data_fingerprint")


def keep_record(
    folder: Path, config: Config, data: Mapping[str, Any], goes_on_from: Mapping[str, int], changes: Changes
) -> None:
    """Add a start. What stands beside ``starts`` is of the start that the run's first iteration belongs to.

    Args:
        folder: the run's.
        config: the resolved config.
        data: description of the training data.
        goes_on_from: {stage: iteration} that has checkpoints.
        changes: what was changed knowingly.
    """
    before = read_record(folder)
    now = dict(
        environment(config),
        goes_on_from=dict(goes_on_from),
        data_fingerprint=data.get("fingerprint"),
        changes={key: [_plain(value) for value in pair] for key, pair in changes.items()},
    )
    first = {"data": dict(data), **(before if goes_on_from and before else now)}
    record = {key: value for key, value in first.items() if key not in _OF_EACH_START}
    record["starts"] = [*before.get("starts", ()), now]
    write_text(json.dumps(record, indent=2), folder / "environment.json")


def other_surroundings(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """``what: old -> new`` of versions, machine, plugins and code that differ between two environments."""
    lines = []
    for key in _COMPARED:
        old, new = kept.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
            lines += [f"{name}: {old.get(name)} -> {new.get(name)}" for name in names]
        elif old is not None and old != new:
            lines.append(f"{key}: {old} -> {new}")
    if "dirty" in str(kept.get("git")) and kept.get("git") == now.get("git"):
        lines.append(f"git: {kept['git']} had uncommitted changes, which the record does not hold")
    return lines


def _plain(value: Any) -> Any:
    try:
        json.dumps(value)
    except TypeError:
        return repr(value)
    return value
