"""Stages: the games of one run, in order, and what each inherits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.config import ConfigError, override

if TYPE_CHECKING:
    from mmengine import Config

MAIN = "main"
_NOT_INHERITED = ("model", "evaluation", "param_scheduler", "load_from", "title")
_MERGED = ("hooks", "train_cfg", "train_dataloader")


def stage_folder(config: Config, stage: str) -> Path:
    """The main game lives in the run's folder, earlier stages in ``stages/<name>`` below it."""
    folder = Path(config.get("work_dir") or "runs/unnamed")
    return folder if stage == MAIN else folder / "stages" / stage


def stage_config(config: Config, stage: str) -> Config:
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
        plain = _with_inherited(before[stage], plain)
    plain["work_dir"] = str(stage_folder(config, stage))
    plain.pop("stages", None)
    return Config(plain, format_python_code=False)


def _with_inherited(own: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's config over what it inherits of the run's: some keys not, some merged, others as they are."""
    inherited = {
        key: value
        for key, value in run.items()
        if key not in _NOT_INHERITED and (key in _MERGED or key not in own)
    }
    return dict(override(inherited, own))
