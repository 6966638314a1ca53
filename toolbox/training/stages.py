"""Stages: the games of one run, in order, and what each inherits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.config import ConfigError

MAIN = "main"


def stage_folder(config: Any, stage: str) -> Path:
    """The main game lives in the run's folder, earlier stages in ``stages/<name>`` below it."""
    folder = Path(config.get("work_dir") or "runs/unnamed")
    return folder if stage == MAIN else folder / "stages" / stage


def stage_config(config: Any, stage: str) -> Any:
    """The config of one game: the run's own, or that of an earlier stage with what it inherits.

    Raises:
        ConfigError: for a stage that ``before`` does not describe.
    """
    from mmengine import Config

    plain = config.to_dict()
    before = plain.pop("before", None) or {}
    if stage != MAIN:
        if before.get(stage) is None:
            raise ConfigError(f"stages names {stage!r}, 'before' describes {', '.join(before) or 'none'}")
        own = ("model", "evaluation", "param_scheduler", "load_from", "title")
        shared = ("hooks", "train_cfg", "train_dataloader")
        inherited = {key: plain[key] for key in plain if key not in own}
        merged = Config(inherited)
        merged.merge_from_dict({k: v for k, v in before[stage].items() if k in shared})
        plain = {**merged.to_dict(), **{k: v for k, v in before[stage].items() if k not in shared}}
    plain["work_dir"] = str(stage_folder(config, stage))
    plain.pop("stages", None)
    return Config(plain)
