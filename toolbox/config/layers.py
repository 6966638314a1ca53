"""Values with where they come from, and how one layer of a config goes over another.

A layer is what one file says itself, or the command line. A list is replaced whole; a dict is merged key by
key, unless the layer above replaces it (:func:`replaces`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from toolbox.config.errors import ConfigError

DELETE = "_delete_"

#: {dotted key: the keys of which one says what is taken there}, for dicts that have no ``type`` of their own.
Choices: TypeAlias = Mapping[str, Sequence[str]]
Way: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        layer: its number; later layers go over earlier ones.
        words: for people.
    """

    layer: int
    words: str


@dataclass(frozen=True)
class Leaf:
    """A plain value."""

    value: Any
    origin: Origin


class Items(list["Tree"]):
    """A list or tuple; its origin is that of the whole."""

    def __init__(self, items: Iterator[Tree] | Sequence[Tree], kind: type, origin: Origin) -> None:
        super().__init__(items)
        self.kind = kind
        self.origin = origin


class Node(dict[Any, "Tree"]):
    """A dict.

    Attributes:
        origin: the layer that brought it, or replaced what was there.
        whole: it replaced a dict that was no component, by ``_delete_``.
    """

    def __init__(self, items: Any, origin: Origin, whole: bool = False) -> None:
        super().__init__(items)
        self.origin = origin
        self.whole = whole


Tree: TypeAlias = Node | Items | Leaf


def marked(value: Any, origin: Origin, where: str = "") -> Tree:
    """A value with its origin.

    Raises:
        ConfigError: for what is no plain value.
    """
    if isinstance(value, Mapping):
        inner = {key: marked(item, origin, _below(where, key)) for key, item in value.items()}
        return Node(inner, origin, bool(inner.get(DELETE)))
    if isinstance(value, (list, tuple)):
        items = [marked(item, origin, _below(where, number)) for number, item in enumerate(value)]
        return Items(items, list if isinstance(value, list) else tuple, origin)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is not None and not isinstance(value, (str, bool, int, float)):
        kind = type(value).__name__
        raise ConfigError(
            f"{where}={value!r} ({origin.words}): a config holds numbers, strings, True, False, None, lists "
            f"and dicts, not a {kind}; a component is named by its type='...'"
        )
    return Leaf(value, origin)


def _below(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def dotted(way: Way) -> str:
    """A way as people write it."""
    return ".".join(map(str, way))


def plain(tree: Tree, marks: bool = False) -> Any:
    """The values alone; ``marks``: ``_delete_`` stays, for whoever merges once more."""
    if isinstance(tree, Node):
        return {key: plain(item, marks) for key, item in tree.items() if marks or key != DELETE}
    if isinstance(tree, Items):
        return tree.kind(plain(item, marks) for item in tree)
    return tree.value


def leaves(tree: Tree, way: Way = ()) -> Iterator[tuple[Way, Leaf | Items]]:
    """Every value with the way to it; a list without dicts is one value."""
    if isinstance(tree, Leaf) or (isinstance(tree, Items) and not has_dicts(tree)):
        yield way, tree
        return
    for key, item in tree.items() if isinstance(tree, Node) else enumerate(tree):
        if key != DELETE:
            yield from leaves(item, (*way, key))


def has_dicts(tree: Items) -> bool:
    """Whether a list holds dicts: components, or phases."""
    return any(isinstance(item, Node) or (isinstance(item, Items) and has_dicts(item)) for item in tree)


def newest(tree: Tree) -> int:
    """The last layer that gave any value inside."""
    return max((leaf.origin.layer for _, leaf in leaves(tree)), default=-1)


def merge(base: Tree, changes: Tree, choices: Choices, way: Way = ()) -> Tree:
    """``base`` with ``changes`` over it."""
    if isinstance(base, Items) and isinstance(changes, Node) and all(str(key).isdigit() for key in changes):
        return _into_items(base, changes, choices, way)
    if not isinstance(base, Node) or not isinstance(changes, Node) or replaces(base, changes, choices, way):
        return changes
    origin = changes.origin if chosen_by(changes, choices, way) else base.origin
    merged = Node(base, origin, base.whole)
    for key, value in changes.items():
        if key != DELETE:
            merged[key] = merge(base[key], value, choices, (*way, key)) if key in base else value
    return merged


def _into_items(base: Items, changes: Node, choices: Choices, way: Way) -> Items:
    """Entries of a list by number, as the command line names them."""
    merged = Items(base, base.kind, base.origin)
    for key, value in changes.items():
        if int(key) >= len(base):
            raise ConfigError(f"there is no {dotted((*way, key))!r}: the list has {len(base)}")
        merged[int(key)] = merge(base[int(key)], value, choices, (*way, key))
    return merged


def replaces(base: Node, changes: Node, choices: Choices, way: Way) -> bool:
    """Whether a dict takes the place of another whole: by another ``type``, or by ``_delete_``."""
    if _is_set(changes.get(DELETE)):
        return True
    named = chosen_by(changes, choices, way)
    if named is not None and named not in base:
        return True
    if "type" not in changes or "type" not in base:
        return False
    return plain(changes["type"]) != plain(base["type"])


def chosen_by(node: Node, choices: Choices, way: Way) -> str | None:
    """The key that says what is taken, in a dict that has a choice of them."""
    return next((key for key in choices.get(dotted(way), ()) if key in node), None)


def _is_set(tree: Tree | None) -> bool:
    return tree is not None and bool(plain(tree))


def override(base: Any, changes: Any) -> Any:
    """Plain ``base`` with plain ``changes`` merged in, dict by dict.

    A component of another ``type`` replaces the old one whole, and so does a dict with ``_delete_=True``.
    """
    return plain(merge(marked(base, Origin(0, "")), marked(changes, Origin(1, "")), {}))
