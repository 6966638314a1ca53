"""Finding, reading and checking configs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.config.errors import ConfigError
from toolbox.config.files import find_config, kept_file
from toolbox.config.layers import override, plain
from toolbox.config.resolved import Resolved, merged, read, resolve
from toolbox.plugins import host

if TYPE_CHECKING:
    from mmengine import Config

__all__ = [
    "KEYS",
    "ConfigError",
    "check_command",
    "check_keys",
    "find_config",
    "kept_file",
    "load_config",
    "override",
    "resolve_config",
]

#: Top-level keys of a config. A helper variable of a config file starts with an underscore.
KEYS: dict[str, str] = {
    "title": "one line that says what the config is for",
    "command": "the toolbox command that reads the config; default 'train'",
    "model": "the game",
    "train_dataloader": "training data, mmengine's form",
    "optim_wrapper": "one optimiser a player",
    "param_scheduler": "learning-rate schedules, mmengine's form",
    "train_cfg": "dict(max_iters=...)",
    "evaluation": "what is measured at the end: metrics by name, n_fake, batch_size, bn, real",
    "before": "{stage: config} of games played before this one",
    "stages": "names out of 'before', in the order they are played",
    "hooks": "{name: hook}; None removes one",
    "quick": "overrides of --quick",
    "seed": "of every draw",
    "deterministic": "deterministic algorithms only",
    "precision": "of every game: float32, bf16 or fp16",
    "compile": "torch.compile for the networks of every game: True, or its arguments",
    "channels_last": "keep images as (N, H, W, C) in memory",
    "threads": "CPU threads of torch; 0 = torch's choice",
    "device": "cpu, cuda or cuda:1; default the GPU where there is one",
    "plugins": "plugin files to load",
    "work_dir": "where the run is kept; default runs/<config>",
    "load_from": "checkpoint to start from",
    "files": "{file: where it comes from}, of the files that the config needs",
    "default_scope": "mmengine's",
    "default_hooks": "mmengine's",
    "env_cfg": "mmengine's",
    "log_processor": "mmengine's",
    "log_level": "mmengine's",
    "visualizer": "mmengine's",
}


def load_config(
    name: str | Path,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    command: str = "train",
    keys: Mapping[str, str] = KEYS,
    tell: Callable[[str], None] | None = None,
) -> Config:
    """A resolved, checked config.

    Args:
        name: a path, ``<plugin>/<config>``, or a run's folder.
        quick: apply the config's ``quick`` blocks.
        options: overrides by dotted key, applied last.
        plugins: plugin files to load beside the config's own; they become part of the config.
        command: who reads it; a config that is for another command is refused. A plugin's command has a name
            and ``keys`` of its own, and its configs name it.
        keys: the top-level keys that there are.
        tell: takes the lines that say what ``quick`` swapped and left; default standard error.

    Raises:
        ConfigError: for a file that is not there or does not parse, an unknown key (with the near miss), a
            config for another command, or ``quick`` where the config has no such block.
    """
    found = resolve_config(name, quick, options, plugins, command)
    for note in found.notes:
        (tell or _say_aside)(note)
    config = found.config()
    check_command(config, name, command)
    check_keys(config, keys=keys)
    config.setdefault("default_scope", "toolbox")
    return config


def resolve_config(
    name: str | Path,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    command: str | None = None,
) -> Resolved:
    """A config's values, each with where it comes from; its top-level keys are not checked.

    Args:
        name, quick, options, plugins: as of :func:`load_config`.
        command: who reads it; None = whoever.

    Raises:
        ConfigError: as :func:`load_config`.
    """
    _load_plugins(plugins, "--plugin")
    file = find_config(name)
    layers = read(file)
    values = plain(merged(layers)[0])
    if command is not None:
        check_command(values, name, command)
    own_plugins = values.get("plugins") or ()
    _load_plugins(own_plugins, f"config {str(name)!r}")
    found = resolve(file, layers, quick, options or {})
    if plugins:
        together = list(dict.fromkeys([*own_plugins, *map(_absolute, plugins)]))
        found.set("plugins", together, "--plugin")
    return found


def _say_aside(line: str) -> None:
    if ranks.is_main():
        sys.stderr.write(f"{line}\n")


def _load_plugins(files: Sequence[str | Path], who: str) -> None:
    for file in files:
        record = host().load_file(file)
        if record.state != "loaded":
            raise ConfigError(f"{who}: plugin {file}: {record.state}: {record.reason}")


def _absolute(file: str | Path) -> str:
    """A file's whole path; a module's name as it is."""
    return str(Path(file).resolve()) if Path(file).suffix == ".py" else str(file)


def check_command(config: Mapping[str, Any], name: str | Path, command: str) -> None:
    """Raise ConfigError for a config that another command reads, naming that."""
    own = config.get("command", "train")
    if own != command:
        raise ConfigError(
            f"config {str(name)!r} is not for 'toolbox {command}': it is read by `toolbox {own} {name}`"
        )


def check_keys(config: Mapping[str, Any], where: str = "", keys: Mapping[str, str] = KEYS) -> None:
    """Raise ConfigError for an unknown top-level key, of the config or of one of its earlier stages."""
    for key in config:
        if key not in keys:
            place = f"key {key!r} in {where}" if where else f"top-level key {key!r}"
            raise ConfigError(
                f"unknown {place}{near_miss(key, keys)}; a helper variable must start with an underscore. "
                f"Known: {', '.join(keys)}"
            )
    before = config.get("before") or {}
    if not isinstance(before, Mapping):
        raise ConfigError(f"before={before!r} must be a dict of stages by name")
    for stage, own in before.items():
        if own is not None and not isinstance(own, Mapping):
            raise ConfigError(f"before.{stage}={own!r} must be a dict: the config of a stage")
        if own is not None:
            check_keys(own, f"before.{stage}")
