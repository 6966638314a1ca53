"""Finding, reading and checking configs."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.catalog import near_miss
from toolbox.plugins import host

if TYPE_CHECKING:
    from mmengine import Config

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
    "default_scope": "mmengine's",
    "default_hooks": "mmengine's",
    "env_cfg": "mmengine's",
    "log_processor": "mmengine's",
    "log_level": "mmengine's",
    "visualizer": "mmengine's",
}


class ConfigError(ValueError):
    """A config that cannot be used; the message names the key and what is allowed."""


def find_config(name: str | Path) -> Path:
    """The file of a config: a path, or ``<plugin>/<config>``.

    Raises:
        ConfigError: when there is none, with near misses, or the plugin to install.
    """
    path = Path(name)
    if path.suffix == ".py" and path.is_file():
        return path
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    known = host().configs()
    key = str(name).removesuffix(".py")
    if key in known:
        return known[key]
    raise ConfigError(_not_found(str(name), key, known))


def _not_found(name: str, key: str, known: Mapping[str, Path]) -> str:
    plugin = key.split("/")[0] if "/" in key else ""
    records = {record.name: record for record in host().records}
    if plugin in records and records[plugin].state != "loaded":
        record = records[plugin]
        return f"config {name!r}: plugin {plugin!r} is {record.state}: {record.reason}"
    folder = Path(name).parent
    siblings = [str(p) for p in folder.glob("*.py")] if folder.is_dir() else []
    both = [near_miss(name, siblings), near_miss(key, known)]
    hint = next(filter(None, reversed(both) if plugin in records else both), "")
    if plugin and not folder.is_dir() and plugin not in records and not (hint and near_miss(plugin, records)):
        hint = f"; no plugin {plugin!r} is installed (pip install toolbox-{plugin}; see 'toolbox plugins')"
    return f"config {name!r} is neither a file nor '<plugin>/<config>'{hint} ('toolbox configs' lists them)"


def load_config(
    name: str | Path,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    command: str = "train",
    keys: Mapping[str, str] = KEYS,
) -> Config:
    """A resolved, checked config.

    Args:
        name: a path, or ``<plugin>/<config>``.
        quick: apply the config's ``quick`` block.
        options: overrides by dotted key, applied last.
        plugins: plugin files to load beside the config's own; they become part of the config.
        command: who reads it; a config that is for another command is refused. A plugin's command has a name
            and ``keys`` of its own, and its configs name it.
        keys: the top-level keys that there are.

    Raises:
        ConfigError: for a file that is not there or does not parse, an unknown key (with the near miss), a
            config for another command, or ``quick`` where the config has no such block.
    """
    _load_plugins(plugins, "--plugin")
    config = _read(find_config(name))
    for key in [key for key in config if key.startswith("_")]:
        config.pop(key)
    check_command(config, name, command)
    own_plugins = config.get("plugins") or ()
    _load_plugins(own_plugins, f"config {str(name)!r}")
    if plugins:
        config.plugins = list(dict.fromkeys([*own_plugins, *map(_absolute, plugins)]))
    overrides = config.pop("quick", None)
    if quick:
        if not overrides:
            raise ConfigError(f"config {str(name)!r} has no 'quick' block")
        config = type(config)(override(config.to_dict(), dict(overrides)), filename=config.filename)
    _merge_options(config, options or {})
    check_command(config, name, command)
    check_keys(config, keys=keys)
    config.setdefault("default_scope", "toolbox")
    return config


def _load_plugins(files: Sequence[str | Path], who: str) -> None:
    for file in files:
        record = host().load_file(file)
        if record.state != "loaded":
            raise ConfigError(f"{who}: plugin {file}: {record.state}: {record.reason}")


def _absolute(file: str | Path) -> str:
    """A file's whole path; a module's name as it is."""
    return str(Path(file).resolve()) if Path(file).suffix == ".py" else str(file)


def override(base: Any, changes: Any) -> Any:
    """``base`` with ``changes`` merged in, dict by dict.

    A component of another ``type`` replaces the old one whole; what a config removed (None) stays removed.
    """
    if base is None and isinstance(changes, Mapping):
        return None
    if not isinstance(base, Mapping) or not isinstance(changes, Mapping):
        return changes
    changes = dict(changes)
    another = "type" in changes and "type" in base and changes["type"] != base["type"]
    if changes.pop("_delete_", False) or another:
        return _without_marks(changes)
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = override(base[key], value) if key in base else _without_marks(value)
    return merged


def _without_marks(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_marks(item) for key, item in value.items() if key != "_delete_"}
    return value


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
    for stage, own in (config.get("before") or {}).items():
        if own is not None:
            check_keys(own, f"before.{stage}")


def _merge_options(config: Config, options: Mapping[str, Any]) -> None:
    """Apply overrides. Each must name a place that exists, or a new key of an existing dict."""
    _check_options(config, options)
    try:
        config.merge_from_dict(dict(options))
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"--cfg-options {', '.join(options)} cannot be merged into the config: {error}"
        ) from error


def _check_options(config: Config, options: Mapping[str, Any]) -> None:
    for dotted in options:
        place: Any = config.to_dict()
        *way, _ = dotted.split(".")
        for depth, part in enumerate(way):
            if isinstance(place, (list, tuple)) and part.isdigit() and int(part) < len(place):
                place = place[int(part)]
            elif isinstance(place, Mapping) and part in place:
                place = place[part]
            else:
                siblings = list(place) if isinstance(place, Mapping) else []
                missing = ".".join(way[: depth + 1])
                raise ConfigError(
                    f"--cfg-options {dotted}: there is no {missing!r}{near_miss(part, siblings)}"
                )


def _read(path: Path) -> Config:
    from mmengine import Config

    try:
        with tempfile.TemporaryDirectory() as scratch:
            found = Config.fromfile(_with_plain_bases(path, Path(scratch)))
        return Config(found.to_dict(), filename=str(path))  # not that of a copy, which is gone
    except ConfigError:
        raise
    except Exception as error:  # a config is Python: it may raise anything
        raise ConfigError(f"config {str(path)!r} cannot be read: {type(error).__name__}: {error}") from error


def _with_plain_bases(path: Path, scratch: Path) -> str:
    """The file, or a copy of it in which bases ``<plugin>/<config>``, unknown to mmengine, are paths."""
    text = path.read_text(encoding="utf-8")
    node = _base_assignment(text)
    if node is None:
        return str(path)
    value = ast.literal_eval(node.value)
    bases = [value] if isinstance(value, str) else list(value)
    files = [path.parent / base if (path.parent / base).is_file() else find_config(base) for base in bases]
    plain = [Path(_with_plain_bases(file, scratch)) for file in files]
    if plain == [path.parent / base for base in bases]:
        return str(path)  # every base is a file that mmengine finds as it is
    lines = text.splitlines(keepends=True)
    lines[node.lineno - 1 : node.end_lineno] = [f"_base_ = {[str(file.resolve()) for file in plain]!r}\n"]
    copy = scratch / str(len(list(scratch.iterdir()))) / path.name
    copy.parent.mkdir()
    copy.write_text("".join(lines), encoding="utf-8")
    return str(copy)


def _base_assignment(text: str) -> ast.Assign | None:
    """The statement ``_base_ = ...`` of a config's source."""
    assignments = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    for node in assignments:
        if any(isinstance(target, ast.Name) and target.id == "_base_" for target in node.targets):
            return node
    return None
