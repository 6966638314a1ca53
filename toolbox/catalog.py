"""What is on the shelves: every component's name, kind and address, without importing any of them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

#: kind -> address of the interface its classes must implement (None: any class).
KINDS: dict[str, str | None] = {
    "generator": "toolbox.interfaces:Generator",
    "discriminator": "toolbox.interfaces:Discriminator",
    "prompt_learner": "toolbox.interfaces:PromptLearner",
    "clusterer": "toolbox.interfaces:Clusterer",
    "metric": "toolbox.interfaces:Metric",
    "objective": "toolbox.interfaces:Objective",
    "conditioner": "toolbox.interfaces:Conditioner",
    "augment": "toolbox.interfaces:Augment",
    "choice": "toolbox.interfaces:Choice",
    "latents": "toolbox.interfaces:Latents",
    "extractor": "toolbox.interfaces:FeatureExtractor",
    "segmenter": "toolbox.interfaces:Segmenter",
    "network": "torch.nn:Module",
    "component": None,
    "model": "mmengine.model:BaseModel",
    "dataset": "torch.utils.data:Dataset",
    "data_sampler": "torch.utils.data:Sampler",
    "transform": None,
    "hook": "mmengine.hooks:Hook",
    "loop": "mmengine.runner:BaseLoop",
    "optim_wrapper": "mmengine.optim:OptimWrapper",
    "optim_constructor": None,
}

_LONGEST_NAME, _MOST_CANDIDATES = 200, 2000  # of what near_miss compares


class CatalogError(KeyError):
    """A name, kind or address that cannot be used; the message says why and what to do."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Entry:
    """One component: ``name`` in configs, its ``kind``, its address 'module:Class', and who brought it."""

    name: str
    kind: str
    address: str
    plugin: str

    def load(self) -> type:
        """Import the class and check that it fits the interface of its kind.

        Raises:
            CatalogError: when the module or class is not there.
            TypeError: when the class does not implement the interface, naming what is missing.
        """
        found = _import(self.address, f"{self.kind} {self.name!r} of plugin {self.plugin!r}")
        check_interface(found, self.kind, self.name)
        return found


class Catalog:
    """Names are unique over all kinds, so that a config needs to say only ``type='Name'``.

    Args:
        absent: gives {plugin: why} of installed plugins that are not loaded, for the error of an unknown
            name.
    """

    def __init__(self, absent: Callable[[], Mapping[str, str]] = dict) -> None:
        self._entries: dict[str, Entry] = {}
        self._absent = absent

    def add(self, kind: str, name: str, address: str, plugin: str) -> None:
        """Put a component on its shelf.

        Raises:
            CatalogError: for an unknown kind, a dot in the name, an address that is not 'module:Class', a
                taken name.
        """
        if kind not in KINDS:
            raise CatalogError(
                f"kind {kind!r} of {name!r} is unknown{near_miss(kind, KINDS)}; kinds: {', '.join(KINDS)}"
            )
        if "." in name or not name.isidentifier():
            raise CatalogError(
                f"component name {name!r} must be an identifier without dots "
                "(mmengine reads a dot as a scope)"
            )
        if address.count(":") != 1:
            raise CatalogError(f"address {address!r} of {name!r} must read 'module:Class'")
        taken = self._entries.get(name)
        if taken and (taken.kind, taken.address) != (kind, address):
            raise CatalogError(
                f"name {name!r} is taken by {taken.address} ({taken.kind}, plugin {taken.plugin!r}); "
                f"plugin {plugin!r} must choose another"
            )
        self._entries[name] = Entry(name, kind, address, plugin)

    def remove_plugin(self, plugin: str) -> None:
        """Take everything of a plugin off the shelves."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.plugin != plugin}

    def find(self, name: str, kind: str | None = None) -> Entry:
        """The entry of a name.

        Raises:
            CatalogError: when there is none, or one of another kind, naming near misses or the plugin to
                install.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise CatalogError(self._unknown(name, kind))
        if kind is not None and entry.kind != kind:
            names = ", ".join(other.name for other in self.entries(kind)) or "none"
            raise CatalogError(f"{name!r} is a {entry.kind}, a {kind} is needed here; there are: {names}")
        return entry

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def entries(self, kind: str | None = None, plugin: str | None = None) -> list[Entry]:
        """All entries, sorted by kind and name, of one kind and plugin if asked."""
        chosen = list(self._entries.values())
        if kind is not None:
            chosen = [entry for entry in chosen if entry.kind == kind]
        if plugin is not None:
            chosen = [entry for entry in chosen if entry.plugin == plugin]
        return sorted(chosen, key=lambda entry: (list(KINDS).index(entry.kind), entry.name))

    def _unknown(self, name: str, kind: str | None) -> str:
        candidates = [entry.name for entry in self.entries(kind)]
        hint = near_miss(name, candidates)
        if not hint and kind is not None:
            hint = f"; there are: {', '.join(candidates)}"
        absent = "".join(f"; plugin {plugin} is {why}" for plugin, why in self._absent().items())
        return (
            f"no {kind or 'component'} is called {name!r}{hint}{absent} "
            "('toolbox plugins' lists what is installed)"
        )


def near_miss(name: str, candidates: Iterable[str]) -> str:
    """`` - did you mean 'x'?``, or nothing when no candidate is near."""
    if len(name) > _LONGEST_NAME:  # comparing takes length times length
        return ""
    candidates = [item for item in islice(candidates, _MOST_CANDIDATES) if len(item) <= _LONGEST_NAME]
    lowered = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name, candidates, n=2)
    if not found:
        found = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=2)]
    return f" - did you mean {' or '.join(repr(item) for item in found)}?" if found else ""


def check_interface(found: object, kind: str, name: str) -> None:
    """Raise TypeError, naming what is missing, if a class does not implement the interface of its kind."""
    interface_address = KINDS[kind]
    if interface_address is None:
        if not callable(found):
            raise TypeError(f"{name!r} is registered as {kind} but is not callable: {found!r}")
        return
    interface = _import(interface_address, f"interface of {kind}")
    if not isinstance(found, type) or not issubclass(found, interface):
        wanted = interface_address.replace(":", ".")
        raise TypeError(f"{name!r} is registered as {kind} but {found!r} does not inherit {wanted}")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise TypeError(f"{name!r} ({kind}) does not implement: {', '.join(missing)}")


def _import(address: str, what: str) -> type:
    module_name, _, attribute = address.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise CatalogError(f"{what}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, attribute):
        raise CatalogError(
            f"{what}: module {module_name!r} has no {attribute!r}{near_miss(attribute, dir(module))}"
        )
    return getattr(module, attribute)
