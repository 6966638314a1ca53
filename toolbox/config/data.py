"""A config as data: JSON that comes back as it was, and is read without executing anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbox.config.errors import ConfigError

DATA_NAME, PYTHON_NAME = "config.json", "config.py"
_TUPLE, _ITEMS = "__tuple__", "__items__"


def to_json(config: Mapping[str, Any]) -> str:
    """JSON of plain values.

    Beyond JSON's own: inf and nan as Python's ``json`` writes them, a tuple as ``{"__tuple__": [...]}``, and
    a dict with keys that are no strings as ``{"__items__": [[key, value], ...]}``.

    Raises:
        ConfigError: for what is no plain value.
    """
    try:
        return json.dumps(encoded(config), indent=2) + "\n"
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the config cannot be kept as data: {error}; name classes by type='...'"
        ) from error


def encoded(value: Any) -> Any:
    """A value of which JSON loses nothing (see :func:`to_json`)."""
    if isinstance(value, Mapping):
        items = {key: encoded(item) for key, item in value.items()}
        if all(isinstance(key, str) for key in items):
            return items
        return {_ITEMS: [[encoded(key), item] for key, item in items.items()]}
    if isinstance(value, tuple):
        return {_TUPLE: [encoded(item) for item in value]}
    return [encoded(item) for item in value] if isinstance(value, list) else value


def from_json(text: str) -> Any:
    """What :func:`to_json` wrote.

    Raises:
        ValueError: for what is no JSON.
    """
    return json.loads(text, object_hook=_decoded)


def _decoded(value: dict[str, Any]) -> Any:
    if value.keys() == {_TUPLE}:
        return tuple(value[_TUPLE])
    return dict(value[_ITEMS]) if value.keys() == {_ITEMS} else value


def read_data(path: Path) -> dict[str, Any]:
    """The config in a JSON file.

    Raises:
        ConfigError: for a file that holds none.
    """
    try:
        values = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"config {str(path)!r} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config {str(path)!r} must hold a JSON object, not a {type(values).__name__}")
    return values


class _Written(float):
    """inf and nan as Python that can be read again."""

    def __repr__(self) -> str:
        return f"float('{float.__repr__(self)}')"

    __str__ = __repr__


def to_python(config: Any) -> str:
    """A resolved config as a Python file, for people to read."""
    from mmengine import Config

    text = Config(_finite(config.to_dict()), format_python_code=False).pretty_text  # yapf takes a second
    return re.sub(r"^(\w+)=", r"\1 = ", str(text), flags=re.MULTILINE) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finite(item) for item in value)
    unwritable = isinstance(value, float) and value - value != 0
    return _Written(value) if unwritable else value
