"""A config out of its layers: files, ``quick`` blocks, the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.config.errors import ConfigError
from toolbox.config.files import FileLayer, label, read_layers
from toolbox.config.layers import DELETE, Choices, Node, Origin, Tree, dotted, leaves, marked, merge, plain
from toolbox.config.options import as_layer, check_places, known_options
from toolbox.config.quick import Quick, combine
from toolbox.plugins import host

if TYPE_CHECKING:
    from mmengine import Config

QUICK = "quick"


@dataclass
class Resolved:
    """A config's values, each with where it comes from.

    Attributes:
        file: the config's.
        tree: the values.
        notes: what ``--quick`` swapped and left, in lines for the person at the terminal.
    """

    file: Path
    tree: Node
    notes: list[str] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """Plain. ``_delete_`` stays in ``before``: a stage is merged over the run later."""
        return {key: plain(item, marks=key == "before") for key, item in self.tree.items()}

    def config(self) -> Config:
        """As mmengine's Config; its text, which a run writes many times, is not made pretty by yapf."""
        from mmengine import Config

        return Config(self.values(), filename=str(self.file), format_python_code=False)

    def set(self, key: str, value: Any, words: str) -> None:
        """Give a top-level key a value; ``words``: who gives it."""
        self.tree[key] = marked(value, Origin(-1, words), key)

    def origins(self) -> Iterator[tuple[str, Any, str]]:
        """(dotted key, value, where it comes from)."""
        for way, leaf in leaves(self.tree):
            yield dotted(way), plain(leaf), leaf.origin.words


def read(file: Path) -> list[FileLayer]:
    """The layers of a config's files.

    Raises:
        ConfigError: for one that cannot be read.
    """
    return read_layers(file, _as_base)


def resolve(file: Path, layers: Sequence[FileLayer], quick: bool, options: Mapping[str, Any]) -> Resolved:
    """The config of a file's layers.

    Args:
        file: as it was named.
        layers: of :func:`read`.
        quick: apply the ``quick`` blocks.
        options: overrides by dotted key.

    Raises:
        ConfigError: for ``quick`` where there is no such block, or an option that names no place.
    """
    config, blocks = merged(layers)
    choices = choices_of(layers)
    last = Origin(len(layers), "--cfg-options")
    resolved = Resolved(file, config)
    if quick:
        if not blocks:
            raise ConfigError(f"config {str(file)!r} has no 'quick' block")
        chosen = as_layer(known_options(options, config, choices), last)
        applied = Quick(choices)
        resolved.tree = _node(applied.apply(merge(config, chosen, choices), blocks))
        resolved.notes = applied.notes(resolved.tree)
    check_places(options, resolved.tree)
    resolved.tree = _node(merge(resolved.tree, as_layer(options, last), choices))
    return resolved


def choices_of(layers: Sequence[FileLayer]) -> Choices:
    """Which dicts have a choice of keys, in configs of the command that these are for."""
    commands = [layer.values["command"] for layer in layers if "command" in layer.values]
    return host().config_choices(str(commands[-1])) if commands else {}


def merged(layers: Sequence[FileLayer]) -> tuple[Node, Node]:
    """What the files say together, and their ``quick`` blocks."""
    start = Origin(-1, "")
    config: Tree = Node({}, start)
    blocks: Tree = Node({}, start)
    choices = choices_of(layers)
    for number, layer in enumerate(layers):
        name = label(layer.file)
        values = {key: value for key, value in layer.values.items() if key != QUICK and not _is_helper(key)}
        config = merge(config, marked(values, Origin(number, name)), choices)
        if QUICK in layer.values:
            blocks = combine(blocks, _block(layer, Origin(number, f"quick of {name}")), choices)
    return _node(config), _node(blocks)


def _block(layer: FileLayer, origin: Origin) -> Node:
    value = layer.values[QUICK]
    value = {DELETE: True} if value is None else value  # it takes back what its bases say
    if not isinstance(value, Mapping):
        raise ConfigError(f"quick={value!r} ({origin.words}) must be a dict")
    return _node(marked(value, origin, QUICK))


def _as_base(layers: Sequence[FileLayer]) -> dict[str, Any]:
    """What a file finds in ``_base_``: helper variables and ``quick`` too."""
    config, blocks = merged(layers)
    helpers = {key: value for layer in layers for key, value in layer.values.items() if _is_helper(key)}
    return {**helpers, **plain(config, marks=True), QUICK: plain(blocks, marks=True)}


def _is_helper(key: Any) -> bool:
    return str(key).startswith("_")


def _node(tree: Tree) -> Node:
    assert isinstance(tree, Node)
    return tree
