"""Overrides of the command line, by dotted key: the last layer of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config.errors import ConfigError
from toolbox.config.layers import Choices, Items, Leaf, Node, Origin, Tree, dotted, marked


def as_layer(options: Mapping[str, Any], origin: Origin) -> Node:
    """``{'a.b': 1}`` as ``{'a': {'b': 1}}``."""
    layer = Node({}, origin)
    for key, value in options.items():
        place = layer
        *way, last = key.split(".")
        for part in way:
            below = place.setdefault(part, Node({}, origin))
            if not isinstance(below, Node):
                raise ConfigError(f"--cfg-options {key}: {part!r} is set to {below!r} beside it")
            place = below
        place[last] = marked(value, origin, key)
    return layer


def check_places(options: Mapping[str, Any], config: Node) -> None:
    """Each option must name a place that exists, or a new key of an existing dict.

    Raises:
        ConfigError: naming the part that is missing, and the near miss.
    """
    for key in options:
        place: Tree = config
        *way, last = key.split(".")
        for depth, part in enumerate(way):
            below = _below(place, part)
            if below is None:
                siblings = list(place) if isinstance(place, Node) else []
                missing = dotted(tuple(way[: depth + 1]))
                raise ConfigError(f"--cfg-options {key}: there is no {missing!r}{near_miss(part, siblings)}")
            place = below
        if not isinstance(place, Node) and _below(place, last) is None:
            raise ConfigError(f"--cfg-options {key} cannot be merged into the config: {_what(place, way)}")


def _what(place: Tree, way: list[str]) -> str:
    name = dotted(tuple(way))
    return f"{name} has {len(place)} entries" if isinstance(place, Items) else f"{name} is no dict"


def _below(place: Tree, part: str) -> Tree | None:
    if isinstance(place, Items):
        return place[int(part)] if part.isdigit() and int(part) < len(place) else None
    return place.get(part) if isinstance(place, Node) else None


def known_options(options: Mapping[str, Any], config: Node, choices: Choices) -> dict[str, Any]:
    """Those that speak of what the config describes in full, not of what ``quick`` puts there."""

    def known(key: str) -> bool:
        place: Tree | None = config
        *way, last = key.split(".")
        for part in way:
            place = None if place is None else _below(place, part)
        if place is None or isinstance(place, Leaf):
            return False
        names = ("type", "root", *choices.get(dotted(tuple(way)), ()))
        return _below(place, last) is not None or (isinstance(place, Node) and last in names)

    return {key: value for key, value in options.items() if known(key)}
