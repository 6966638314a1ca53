"""Stages: the games of one run, in order, and what each inherits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.training import checkpoints as files

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


def resolve_weights(config: Any, model: dict[str, Any], deferred: bool = False) -> dict[str, Any]:
    """Replace ``weights=dict(stage=...)`` by the stage's checkpoint; ``deferred`` leaves the filling to a
    checkpoint.
    """
    networks = {}
    for name, network in model["networks"].items():
        network = dict(network) if network is not None else None
        weights = network.get("weights") if network else None
        if isinstance(weights, Mapping) and "stage" in weights:
            assert network is not None
            folder = stage_folder(config, weights["stage"])
            path = None if deferred else files.latest_checkpoint(folder)
            if path is None and not deferred:
                raise ConfigError(
                    f"model.networks.{name}.weights: stage {weights['stage']!r} has no checkpoint in "
                    f"{folder}; "
                    f"is it in 'stages'? stages={list(config.get('stages', ()))}"
                )
            network["weights"] = dict(
                checkpoint=str(path) if path else None, network=weights.get("network", name)
            )
        networks[name] = network
    return {**model, "networks": networks}


def iterations_done(folder: Path) -> int:
    """What ``done.json`` says; 0 where there is none, or a damaged one: its checkpoints say where
    to go on.
    """
    path = folder / "done.json"
    try:
        return int(json.loads(path.read_text())["iterations"]) if path.is_file() else 0
    except (ValueError, TypeError, LookupError):
        return 0


def newest_checkpoint(config: Any, stage: str, tell: Callable[[str], None] | None = None) -> Path | None:
    """The checkpoint that a stage goes on from: the first process looks, all take the same."""
    return ranks.on_main(lambda: files.latest_checkpoint(stage_folder(config, stage), tell))
