"""Finding plugins and loading them one by one, so that a broken one is reported and harms nothing else."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pluggy

from toolbox import builtin, hookspecs
from toolbox.catalog import Catalog, near_miss

DISABLE_VARIABLE = "TOOLBOX_DISABLE_PLUGINS"  # comma list of plugin names; '*' leaves only the built-in one


@dataclass
class PluginRecord:
    """What became of one plugin. ``state``: loaded, failed, disabled or skipped (written for a newer API)."""

    name: str
    state: str
    version: str = ""
    distribution: str = ""
    source: str = ""
    reason: str = ""
    title: str = ""
    paper: str = ""
    summary: str = ""
    hooks: list[str] = field(default_factory=list)
    components: dict[str, list[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return asdict(self)


class PluginHost:
    """Loads the built-in plugin, the installed ones and single files, and keeps what each brought.

    Attributes:
        catalog: all components.
        records: one PluginRecord each, in loading order.
    """

    def __init__(self, disabled: Iterable[str] = ()) -> None:
        self.catalog = Catalog(self._not_loaded)
        self.records: list[PluginRecord] = []
        self._disabled = set(disabled)
        self._manager = pluggy.PluginManager("toolbox")
        self._manager.add_hookspecs(hookspecs)

    @property
    def hook(self) -> Any:
        """pluggy's caller of hooks."""
        return self._manager.hook

    def load_installed(self) -> None:
        """Built-in components first, then every entry point of the group ``toolbox.plugins``."""
        ours = "generative-toolbox"
        self._register(builtin, PluginRecord("toolbox", "loaded", _version(ours), ours, "built in"))
        for point in sorted(metadata.entry_points(group=hookspecs.GROUP), key=lambda p: p.name):
            distribution = point.dist.name if point.dist else ""
            version = point.dist.version if point.dist else ""
            record = PluginRecord(point.name, "loaded", version, distribution, point.value)
            if self._has(point.name):
                continue  # an editable install can list its entry point twice
            if self._is_disabled(point.name):
                record.state = "disabled"
                record.reason = f"switched off by {DISABLE_VARIABLE}"
                self.records.append(record)
                continue
            self._load(point.load, record)
        for group, point in misnamed_points():
            owner = point.dist.name if point.dist else ""
            reason = f"its entry point is in the group {group!r}, plugins are found in {hookspecs.GROUP!r}"
            if not self._has(point.name):
                self.records.append(PluginRecord(point.name, "failed", "", owner, point.value, reason))

    def load_file(self, path: str | Path) -> PluginRecord:
        """A single Python file (or module name) as a plugin, while it is being written."""
        file = Path(path)
        record = PluginRecord(file.stem, "loaded", source=str(path))
        known = next((r for r in self.records if r.name == record.name), None)
        if known is None:
            self._load(lambda: _import_file(file), record)
        elif Path(known.source).resolve() == file.resolve():
            return known
        else:
            record.state = "failed"
            owner = known.distribution or known.source
            record.reason = f"the plugin name {record.name!r} is taken by {owner}: rename the file"
        return record

    def problems(self) -> list[PluginRecord]:
        """Plugins that failed or were skipped."""
        return [record for record in self.records if record.state in ("failed", "skipped")]

    def _not_loaded(self) -> dict[str, str]:
        """{plugin: why} of plugins whose components cannot be built."""
        return {r.name: f"{r.state}: {r.reason}" for r in self.records if r.state != "loaded"}

    def check(self) -> list[str]:
        """Import every component and check its interface; one line for each fault."""
        self.configs()  # a fault there makes a problem of the plugin
        faults = [f"plugin {record.name}: {record.state}: {record.reason}" for record in self.problems()]
        for entry in self.catalog.entries():
            try:
                entry.load()
            except Exception as error:  # a third party's module may raise anything
                faults.append(f"{entry.plugin}: {entry.kind} {entry.name}: {type(error).__name__}: {error}")
        return faults

    def configs(self) -> dict[str, Path]:
        """{'<plugin>/<config>': file} of every loaded plugin."""
        found: dict[str, Path] = {}
        for name, plugin in self._loaded():
            implementation = getattr(plugin, "configs", None)
            if implementation is not None:
                try:
                    found.update({f"{name}/{key}": Path(value) for key, value in implementation().items()})
                except Exception as error:  # isolation, as in _load
                    self._switch_off(name, f"configs(): {type(error).__name__}: {error}")
        return found

    def folder_of(self, name: str) -> Path:
        """The folder of a loaded plugin's module: its own files are named relative to it.

        Raises:
            KeyError: when no such plugin is loaded, with the near miss or why it is not.
        """
        loaded = dict(self._loaded())
        file = getattr(loaded.get(name), "__file__", None)
        if file is None:
            known = {record.name: record for record in self.records}
            found = f" ({known[name].state}: {known[name].reason})" if name in known else ""
            raise KeyError(f"no plugin {name!r} is loaded{found}{near_miss(name, loaded)}")
        return Path(file).parent

    def config_choices(self, command: str) -> dict[str, tuple[str, ...]]:
        """Dicts in configs of a command that have a choice of keys, {dotted key: keys}."""
        found: dict[str, tuple[str, ...]] = {}
        for name, plugin in self._loaded():
            implementation = getattr(plugin, "config_choices", None)
            if implementation is not None:
                try:
                    found.update(implementation().get(command, {}))
                except Exception as error:  # isolation, as in _load
                    self._switch_off(name, f"config_choices(): {type(error).__name__}: {error}")
        return found

    def call_each(self, hook: str, **arguments: Any) -> dict[str, Exception]:
        """Call a hook plugin by plugin, so that a broken one harms no other; {plugin: what it raised}."""
        faults: dict[str, Exception] = {}
        for implementation in getattr(self.hook, hook).get_hookimpls():
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:  # isolation: the caller says it aloud
                faults[implementation.plugin_name] = error
        return faults

    def _switch_off(self, name: str, reason: str) -> None:
        record = next(record for record in self.records if record.name == name)
        record.state, record.reason = "failed", reason
        self.catalog.remove_plugin(name)
        self._manager.unregister(name=name)

    def _loaded(self) -> Iterator[tuple[str, Any]]:
        for record in list(self.records):
            if record.state == "loaded":
                yield record.name, self._manager.get_plugin(record.name)

    def _has(self, name: str) -> bool:
        return any(record.name == name for record in self.records)

    def _is_disabled(self, name: str) -> bool:
        return "*" in self._disabled or name in self._disabled

    def _load(self, importer: Any, record: PluginRecord) -> None:
        try:
            plugin = importer()
        except Exception as error:  # isolation: whatever a plugin raises on import stays its own problem
            record.state, record.reason = "failed", f"{type(error).__name__}: {error}"
            self.records.append(record)
            return
        self._register(plugin, record)

    def _register(self, plugin: Any, record: PluginRecord) -> None:
        self.records.append(record)

        def add(kind: str, name: str, address: str) -> None:
            self.catalog.add(kind, name, address, record.name)

        try:
            self._refuse_unknown_hooks(plugin)
            self._manager.register(plugin, name=record.name)
            self._describe(plugin, record)
            if record.state == "loaded" and hasattr(plugin, "register_components"):
                plugin.register_components(register=add)
        except Exception as error:
            record.state, record.reason = "failed", f"{type(error).__name__}: {error}"
        if record.state != "loaded":
            self.catalog.remove_plugin(record.name)
            if self._manager.has_plugin(record.name):
                self._manager.unregister(name=record.name)
        for entry in self.catalog.entries(plugin=record.name):
            record.components.setdefault(entry.kind, []).append(entry.name)

    def _refuse_unknown_hooks(self, plugin: Any) -> None:
        # pluggy accepts a misspelt hook name and never calls it
        known = [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "toolbox_spec")]
        for name in dir(plugin):
            implementation = getattr(plugin, name, None)
            if not hasattr(implementation, "toolbox_impl"):
                continue
            if name not in known:
                raise ValueError(
                    f"hook {name!r} does not exist{near_miss(name, known)}; hooks: {', '.join(known)}"
                )
            _check_hook_arguments(name, implementation)

    def _describe(self, plugin: Any, record: PluginRecord) -> None:
        record.hooks = sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
        info = plugin.plugin_info() if hasattr(plugin, "plugin_info") else {}
        record.title = info.get("title", "")
        record.paper = info.get("paper", "")
        record.summary = info.get("summary", "")
        ours = hookspecs.PLUGIN_API_VERSION
        wanted = int(info.get("api_version", ours))
        if wanted > ours:
            record.state = "skipped"
            record.reason = f"written for plugin API {wanted}, this toolbox has {ours}: upgrade it"


def _check_hook_arguments(name: str, implementation: Any) -> None:
    """Arguments of a hook are given by name, so that they must be called as the hook calls them."""
    known = list(inspect.signature(getattr(hookspecs, name)).parameters)
    parameters = inspect.signature(implementation).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    wrong = [argument for argument in needed if argument not in known]
    words = f"def {name}({', '.join(known)})"
    if wrong:
        raise ValueError(
            f"hook {name!r} has no argument {wrong[0]!r}{near_miss(wrong[0], known)}; it is {words}"
        )
    if name == "register_components" and "register" not in needed:
        raise ValueError(f"hook {name!r} does nothing without its argument 'register'; it is {words}")


def misnamed_points() -> list[tuple[str, metadata.EntryPoint]]:
    """(group, entry point) of what was meant to be a plugin, by a group that is nearly ours."""
    points = metadata.entry_points()
    return [
        (group, point)
        for group in points.groups
        if is_nearly_ours(group)
        for point in points.select(group=group)
    ]


def is_nearly_ours(group: str) -> bool:
    """'toolbox.plugin', 'toolbox_plugins', 'tolbox.plugins' and 'toolbox', but not 'other.plugins'."""
    words = re.split(r"[-_.]", group.lower())
    near = difflib.get_close_matches(group.lower(), [hookspecs.GROUP], cutoff=0.9)
    named = words[0] == "toolbox" and all(word.startswith("plugin") for word in words[1:])
    slip = bool(near) and abs(len(group) - len(hookspecs.GROUP)) <= 1
    return group != hookspecs.GROUP and (slip or named)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _import_file(path: Path) -> Any:
    if path.suffix != ".py":
        return importlib.import_module(str(path))
    if not path.is_file():
        raise FileNotFoundError(f"plugin file {str(path)!r} does not exist")
    if path.stem in sys.stdlib_module_names:
        raise ImportError(f"plugin file {str(path)!r} has the name of a module of Python: rename it")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def disabled_by_environment() -> set[str]:
    """Plugin names that the environment switches off."""
    return {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}


@functools.cache
def host() -> PluginHost:
    """The plugins of this process, loaded at the first call."""
    found = PluginHost(disabled_by_environment())
    found.load_installed()
    return found
