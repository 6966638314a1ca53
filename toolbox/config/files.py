"""Finding config files, and reading what each of them says itself.

A config is mmengine's text style: Python, which is executed. ``_base_`` names what it goes over: files, or
``<plugin>/<config>``. ``{{ fileDirname }}``, ``{{ _base_.key }}`` and ``{{ $VARIABLE:default }}`` are filled
in.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config.data import DATA_NAME, PYTHON_NAME, read_data
from toolbox.config.errors import ConfigError
from toolbox.plugins import host

_RESERVED = ("filename", "text", "pretty_text", "env_variables")  # attributes of mmengine's Config
_PREDEFINED: dict[str, Callable[[Path], str]] = {
    "fileDirname": lambda path: path.parent.as_posix(),
    "fileBasename": lambda path: path.name,
    "fileBasenameNoExtension": lambda path: path.stem,
    "fileExtname": lambda path: path.suffix,
}


@dataclass(frozen=True)
class FileLayer:
    """What one file says itself.

    Attributes:
        file: absolute.
        values: without what its bases say; helper variables (``_name``) and ``quick`` are among them.
    """

    file: Path
    values: dict[str, Any]


def find_config(name: str | Path) -> Path:
    """The file of a config: a path, ``<plugin>/<config>``, or a run's folder (what it keeps).

    Raises:
        ConfigError: when there is none, with near misses, or the plugin to install.
    """
    path = Path(name)
    if path.suffix in (".py", ".json") and path.is_file():
        return path
    if Path(f"{path}.py").is_file():
        return Path(f"{path}.py")
    known = host().configs()
    key = str(name).removesuffix(".py")
    if key in known:
        return known[key]
    kept = kept_file(path)
    if kept is not None:
        return kept
    raise ConfigError(_not_found(str(name), key, known))


def kept_file(folder: Path) -> Path | None:
    """The config that a run's folder keeps: ``config.json``; of an older run ``config.py``, or None."""
    return next((folder / name for name in (DATA_NAME, PYTHON_NAME) if (folder / name).is_file()), None)


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


def read_layers(
    path: Path, merged: Callable[[Sequence[FileLayer]], Mapping[str, Any]], above: tuple[Path, ...] = ()
) -> list[FileLayer]:
    """The layers of a config: its bases', then its own.

    Args:
        path: the file.
        merged: what layers are together; a file reads it as ``_base_``.
        above: files that this one is a base of.

    Raises:
        ConfigError: for a file that cannot be read, a base that is not there, or one that is its own base.
    """
    path = Path(os.path.abspath(path))
    if path in above:
        raise ConfigError(f"config {str(above[-1])!r}: its base {str(path)!r} is based on it in turn")
    try:
        return _read_layers(path, merged, above)
    except ConfigError:
        raise
    except Exception as error:  # a config is Python: it may raise anything
        raise ConfigError(f"config {str(path)!r} cannot be read: {type(error).__name__}: {error}") from error


def _read_layers(
    path: Path, merged: Callable[[Sequence[FileLayer]], Mapping[str, Any]], above: tuple[Path, ...]
) -> list[FileLayer]:
    if path.suffix == ".json":
        return [FileLayer(path, read_data(path))]
    tree = ast.parse(_filled_in(path.read_text(encoding="utf-8"), path), str(path))
    layers: list[FileLayer] = []
    for base in _take_bases(tree):
        file = path.parent / base if (path.parent / base).is_file() else find_config(base)
        more = read_layers(file, merged, (*above, path))
        _refuse_shared_keys(path, layers, more)
        layers += more
    values = _execute(tree, path, merged(layers))
    if values.get("plugins"):
        values["plugins"] = [_beside(plugin, path) for plugin in values["plugins"]]
    return [*layers, FileLayer(path, values)]


def _filled_in(text: str, path: Path) -> str:
    """The text with its ``{{ ... }}`` filled in."""
    names = "|".join(_PREDEFINED)
    text = re.sub(rf"\{{\{{\s*({names})\s*\}}\}}", lambda found: _PREDEFINED[found[1]](path), text)
    text = re.sub(r"\{\{\s*(_base_\.[\w.]+)\s*\}\}", r"\1", text)
    return re.sub(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}", _of_environment, text)


def _of_environment(found: re.Match[str]) -> str:
    value = os.environ.get(found[1], found[2])
    if not value:
        raise ConfigError(f"environment variable {found[1]} is not set, and {found[0]} gives no default")
    return value


def _take_bases(tree: ast.Module) -> list[str]:
    """The value of the statement ``_base_ = ...``, which is taken out."""
    for node in tree.body:
        if isinstance(node, ast.With):
            raise ConfigError("`with read_base()` is not read here: write _base_ = 'file.py'")
        if isinstance(node, ast.Assign) and any(_is_base(target) for target in node.targets):
            tree.body.remove(node)
            value = ast.literal_eval(node.value)
            return [value] if isinstance(value, str) else list(value)
    return []


def _is_base(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "_base_"


def _refuse_shared_keys(path: Path, some: Sequence[FileLayer], others: Sequence[FileLayer]) -> None:
    """Which of two bases would win is not said anywhere."""
    keys = [{key for layer in layers for key in layer.values} for layers in (some, others)]
    shared = sorted(key for key in keys[0] & keys[1] if key != "quick" and not key.startswith("_"))
    if shared:
        raise ConfigError(f"config {str(path)!r}: several of its bases set {', '.join(shared)}")


def _execute(tree: ast.Module, path: Path, base: Mapping[str, Any]) -> dict[str, Any]:
    from mmengine import ConfigDict

    names: dict[str, Any] = {"_base_": ConfigDict(base)}
    exec(compile(tree, str(path), "exec"), names)
    values = {
        key: value
        for key, value in names.items()
        if key != "_base_" and not key.startswith("__") and not isinstance(value, (FunctionType, ModuleType))
    }
    for key in _RESERVED:
        if key in values:
            raise KeyError(f"{key} is reserved")
    return values


def _beside(plugin: Any, path: Path) -> Any:
    """The whole path of a plugin file that lies beside its config, or in the current folder."""
    if not str(plugin).endswith(".py"):
        return plugin  # a module
    file = path.parent / plugin
    return str(file if file.is_file() else Path(plugin).resolve())


def label(path: Path) -> str:
    """A config file for people: below the current folder, below a plugin's configs, or whole."""
    if not str(path).isprintable():  # a terminal obeys what is not
        return repr(str(path))
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    for name, file in host().configs().items():
        folder = Path(os.path.abspath(file)).parent
        if path.is_relative_to(folder):
            return f"{name.split('/')[0]}/{path.relative_to(folder)}"
    return str(path)
