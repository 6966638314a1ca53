"""What differs between a run's stages and the config that it was begun with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.runs.changes import Changes, differences, kept_config
from toolbox.training.run.stages import MAIN, stage_config


def changes_of(folder: Path, config: Any, stages: list[str]) -> Changes:
    """What differs from the config that the folder's run was made from, in the given stages, but for FREE
    keys.

    ``config.model`` must be filled from the data, as the folder's ``config.py`` is.
    """
    kept = kept_config(folder)
    if kept is None:
        return {}
    found: Changes = {}
    for stage in stages:
        if stage == MAIN or (kept.get("before") or {}).get(stage) is not None:
            old, new = stage_config(kept, stage).to_dict(), stage_config(config, stage).to_dict()
            prefix = "" if stage == MAIN else f"before.{stage}."
            shared = set(found)
            found |= {prefix + key: pair for key, pair in differences(old, new) if key not in shared}
    return found
