"""The conformance check of plugins."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

from toolbox.catalog import Entry
from toolbox.plugins import PluginHost, PluginRecord
from toolbox.testing.common import require


def check_plugin(plugin: ModuleType | str | Path) -> PluginRecord:
    """Load a plugin beside the toolbox's own components, alone, and check what it brings.

    - it loads: imports, has no unknown hook, declares a known API version, takes no name that is taken;
    - ``plugin_info`` gives a title;
    - every component imports, fits the interface of its kind, and has a docstring;
    - every config is there, parses, and opens with a docstring.

    Args:
        plugin: the module, its name, or a Python file.

    Returns:
        What became of it.

    Raises:
        AssertionError: naming what is broken.
    """
    host = PluginHost(disabled=["*"])
    host.load_installed()
    host.records = [record for record in host.records if record.state == "loaded"]
    record = host.load_file(plugin.__name__ if isinstance(plugin, ModuleType) else plugin)
    require(record.state == "loaded", f"plugin {record.name}: {record.state}: {record.reason}")
    unmarked = f"plugin {record.name} implements no hook: mark its functions with @toolbox.hookimpl"
    require(record.hooks, unmarked)
    require(record.title, f"plugin {record.name}: plugin_info() gives no title")
    for entry in host.catalog.entries(plugin=record.name):
        _check_component(f"plugin {record.name}: {entry.kind} {entry.name}", entry)
    for name, file in host.configs().items():
        if name.startswith(f"{record.name}/"):
            _check_config(name, file)
    return record


def _check_component(what: str, entry: Entry) -> None:
    try:
        found = entry.load()
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    require(vars(found).get("__doc__"), f"{what} ({entry.address}) has no docstring")


def _check_config(name: str, file: Path) -> None:
    require(file.is_file(), f"config {name}: {file} does not exist")
    try:
        text = ast.get_docstring(ast.parse(file.read_text()))
    except SyntaxError as error:
        raise AssertionError(f"config {name}: {error}") from error
    require(
        text, f"config {name} ({file}) does not open with a docstring; 'toolbox configs' shows its first line"
    )
