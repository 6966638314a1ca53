"""What ``--quick`` changes, and what it leaves alone.

A ``quick`` block speaks of what its own file and that file's bases describe. It leaves alone

* a component that a later file, or the command line, brought or replaced, and all inside it;
* a component that it would swap for another ``type``, where one of those set an argument of it that the new
  one is not given (the ``root`` of a data set, the ``weights`` of a network that is read from a file). Its
  ``image_size`` is followed all the same: networks depend on it;
* a list of components or phases that one of those set.
"""

from __future__ import annotations

from typing import Any, TypeVar

from toolbox.config.layers import (
    DELETE,
    Choices,
    Items,
    Leaf,
    Node,
    Origin,
    Tree,
    Way,
    chosen_by,
    dotted,
    has_dicts,
    leaves,
    newest,
    plain,
    replaces,
)

TreeT = TypeVar("TreeT", bound=Tree)

_SIZE, _ROOT, _WEIGHTS = "image_size", "root", "weights"
_TRAIN, _REAL = "train_dataloader.dataset.source", "evaluation.real"


def combine(earlier: Tree, later: Tree, choices: Choices, way: Way = ()) -> Tree:
    """Two quick blocks. ``_delete_`` drops the earlier one's; where that says nothing, it stays as a mark."""
    if not isinstance(earlier, Node) or not isinstance(later, Node):
        return later
    if replaces(earlier, later, choices, way):
        return Node({key: value for key, value in later.items() if key != DELETE}, later.origin)
    combined = Node(earlier, earlier.origin)
    for key, value in later.items():
        combined[key] = combine(earlier[key], value, choices, (*way, key)) if key in earlier else value
    return combined


class Quick:
    """One application of ``quick`` blocks to a config.

    Attributes:
        swapped: {place: (component before, component now)}.
        left: {place: what stays there, and who chose it}.
    """

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.swapped: dict[str, tuple[str, str]] = {}
        self.left: dict[str, str] = {}

    def apply(self, base: Tree, quick: Tree, way: Way = ()) -> Tree:
        """``base`` with ``quick`` over it; what a config removed (None) stays removed."""
        if isinstance(quick, Node) and not quick:
            return base
        if isinstance(base, Node) and (base.whole or self._named(base, way)):
            own = _since(quick, base.origin.layer)
            if own is None:
                same = isinstance(quick, Node) and self._word(quick, way) == self._word(base, way)
                return base if same else self._leave(base, way, base.origin)
            quick = own
        if isinstance(base, Node) and isinstance(quick, Node):
            return self._over(base, quick, way)
        if isinstance(base, Items) and has_dicts(base) and newest(quick) < base.origin.layer:
            return self._leave(base, way, base.origin)
        removed = isinstance(base, Leaf) and base.value is None and isinstance(quick, Node)
        return base if removed else quick

    def _over(self, base: Node, quick: Node, way: Way) -> Node:
        if replaces(base, quick, self.choices, way) or (_from_file(base) and "type" in quick):
            return self._swap(base, quick, way)
        merged = Node(base, base.origin, base.whole)
        for key, value in quick.items():
            below = (*way, key)
            if key == _ROOT and key in base and newest(base[key]) > newest(value):
                self._leave(base[key], below, _newest_origin(base[key]))
            elif key != DELETE:
                merged[key] = self.apply(base[key], value, below) if key in base else value
        return merged

    def _swap(self, base: Node, quick: Node, way: Way) -> Node:
        swap = newest(quick[self._named(quick, way) or DELETE])
        mine = [key for key in base if key not in quick and newest(base[key]) > swap]
        if mine:
            kept = Node(base, base.origin, base.whole)
            if _SIZE in base and _SIZE in quick:
                kept[_SIZE] = quick[_SIZE]
            named = self._named(base, way)  # said already
            words = "".join(f", {key}={plain(base[key])!r}" for key in mine if key != named)
            return self._leave(kept, way, _newest_origin(base[mine[0]]), words)
        words, now = self._word(base, way), self._word(quick, way)
        if words != now:
            self.swapped[dotted(way)] = (words, now)
        return quick

    def _leave(self, tree: TreeT, way: Way, origin: Origin, words: str = "") -> TreeT:
        word = self._word(tree, way) if isinstance(tree, Node) else "the list"
        word = repr(tree.value) if isinstance(tree, Leaf) else word
        self.left[dotted(way)] = f"{word}{words} ({origin.words})"
        return tree

    def _named(self, node: Node, way: Way) -> str | None:
        """The key that says which component it is."""
        named = chosen_by(node, self.choices, way) or ("type" if "type" in node else None)
        return named or (_WEIGHTS if _from_file(node) else None)

    def _word(self, node: Node, way: Way) -> str:
        named = self._named(node, way)
        if named is None:
            return "the dict"
        value = plain(node[named])
        if named == "type" and str(value).isprintable():  # a terminal obeys what is not
            return str(value)
        return f"{named}={value!r}"

    def notes(self, config: Node) -> list[str]:
        """Up to three lines: what was swapped, what was left, and whether training and evaluation differ.

        Args:
            config: what :meth:`apply` returned.
        """
        places: dict[tuple[str, str], list[str]] = {}
        for place, pair in self.swapped.items():
            places.setdefault(pair, []).append(place)
        swaps = [f"{now} instead of {before} ({', '.join(at)})" for (before, now), at in places.items()]
        left = [f"{place}: {words}" for place, words in self.left.items()]
        lines = [f"--quick swaps: {'; '.join(swaps)}"] if swaps else []
        lines += [f"--quick leaves: {'; '.join(left)}"] if left else []
        return lines + self._other_data(config)

    def _other_data(self, config: Node) -> list[str]:
        trained, measured = (_type_at(config, place) for place in (_TRAIN, _REAL))
        if _REAL not in self.swapped or trained is None or trained == measured:
            return []
        return [
            f"--quick: training is on {trained}, but {_REAL} is {measured}: metrics compare with other data. "
            f"Name yours there too, or say evaluation=None"
        ]


def _from_file(node: Node) -> bool:
    """Whether it is a network of which only its file is named: that says the type."""
    return "type" not in node and _WEIGHTS in node and plain(node[_WEIGHTS]) is not None


def _since(tree: Tree, layer: int) -> Tree | None:
    """What the layers from a given one on say."""
    if not isinstance(tree, Node) or not tree:  # an empty dict may be a slip that is to be found
        return tree if tree.origin.layer >= layer else None
    kept = {key: own for key, item in tree.items() if (own := _since(item, layer)) is not None}
    return Node(kept, tree.origin) if kept else None


def _newest_origin(tree: Tree) -> Origin:
    return max((leaf.origin for _, leaf in leaves(tree)), key=lambda origin: origin.layer)


def _type_at(config: Node, place: str) -> Any:
    tree: Tree | None = config
    for key in (*place.split("."), "type"):
        tree = tree.get(key) if isinstance(tree, Node) else None
    return None if tree is None else plain(tree)
