"""Names that a config chooses freely: an override or a removal of what is not there is a slip."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.registry import check


def named(entries: Any, where: str, typed: bool = True) -> Iterator[tuple[str, Any]]:
    """The entries of a dict by name, without removed ones.

    Args:
        entries: the dict.
        where: its place in the config.
        typed: where one entry has a type, all need one.

    Raises:
        ConfigError: for an override or a removal of what is not there.
    """
    if not isinstance(entries, Mapping):
        raise ConfigError(f"{where}={entries!r} must be a dict by name")
    of_components = typed and any(
        isinstance(entry, Mapping) and "type" in entry for entry in entries.values()
    )
    for name, entry in entries.items():
        check_removal(name, entry, entries, where)
        if of_components and isinstance(entry, Mapping) and "type" not in entry:
            explain_override(entry, f"{where}.{name}", [other for other in entries if other != name])
        if entry is not None:
            yield name, entry


def check_removal(name: str, entry: Any, entries: Mapping[str, Any], where: str) -> None:
    """Refuse to remove (None) what is nearly called like another entry: that one was meant."""
    if entry is None and (meant := meant_name(name, entries)):
        raise ConfigError(f"{where}.{name}=None removes nothing - did you mean {meant!r}?")


def meant_name(name: str, entries: Mapping[str, Any]) -> str | None:
    """Another entry, not removed, of nearly this name: nearer than a near miss, for names are free."""
    others = [other for other, own in entries.items() if own is not None and other != name]
    return next(iter(difflib.get_close_matches(name, others, n=1, cutoff=0.85)), None)


def explain_override(entry: Mapping[str, Any], where: str, siblings: Iterable[str]) -> None:
    """Raise for an entry without a type: it overrides what is not there, or lacks the type."""
    hint = near_miss(where.rpartition(".")[2], siblings)
    if hint:
        raise ConfigError(f"{where} overrides {', '.join(sorted(entry))} of what is not there{hint}")
    check(entry, None, where)  # raises: no type
