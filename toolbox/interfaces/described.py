"""How components call themselves: their type, and what they were made with that is not the default."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from torch import Tensor, nn

_LONGEST = 60  # characters of one argument


class Described:
    """A ``repr`` for people: ``SoftKMeans(clusters=3)``.

    Arguments are read from attributes of their name, where there are such; those at their default are left
    out.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(_arguments(self))})"


def _arguments(made: Any) -> list[str]:
    """'clusters=3' of each argument that is not at its default."""
    found = []
    for name, parameter in inspect.signature(type(made)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = getattr(made, name, parameter.default)
        if value is not parameter.default and not _same(value, parameter.default):
            found.append(f"{name}={_short(value)}")
    return found


def _same(value: Any, default: Any) -> bool:
    try:
        return bool(value == default)
    except (TypeError, ValueError, RuntimeError):  # of arrays and tensors
        return False


def _short(value: Any) -> str:
    """A value in a few words: a network by its type, an array by its shape."""
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{type(value).__name__}{tuple(value.shape)}"
    if isinstance(value, nn.Module) and not isinstance(value, Described):
        return f"{type(value).__name__}(...)"
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
