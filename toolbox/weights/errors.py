"""The one error of this package, and words for what is wrong with a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

_LONGEST = 1500


class WeightsError(ValueError):
    """A file that is not read or not written; one line: which file, what is wrong with it, what to do."""

    def __init__(self, message: str) -> None:
        # the message may quote the file, which can hold anything
        printable = "".join(c if c.isprintable() else " " for c in message[: 4 * _LONGEST])
        line = " ".join(printable.split())
        super().__init__(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...")


def short(value: Any, most: int = 80) -> str:
    """What a file says, quoted: its beginning, without a walk through all of it."""
    if isinstance(value, str):
        return repr(value[:most]) + ("..." if len(value) > most else "")
    if isinstance(value, (bool, float, type(None))) or (isinstance(value, int) and value.bit_length() < 256):
        return repr(value)
    return f"a {type(value).__name__}"


def reason(error: BaseException) -> str:
    """What a library says of a bad file, in one sentence."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def misfits(state: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Why ``state`` (a file's) cannot be loaded into a model with the state dict ``own``; '' = it fits."""
    shapes = []
    no_tensors = []
    for key, value in own.items():
        if key not in state or not isinstance(value, Tensor):
            continue
        found = state[key]
        if not isinstance(found, Tensor):
            no_tensors.append(key)
        elif found.shape != value.shape:
            shapes.append(f"{key}: {tuple(found.shape)} in the file, {tuple(value.shape)} in the model")
    groups = [
        ("missing in the file", [key for key in own if key not in state]),
        ("not in the model", [key for key in state if key not in own]),
        ("other shapes", shapes),
        ("not tensors in the file", no_tensors),
    ]
    return "; ".join(listed(title, items) for title, items in groups if items)


def nested_below(state: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Names below which ``state`` holds all that ``own`` has: a file may keep it in a dict of its own."""
    first = next(iter(own), "")
    ends = [key.removesuffix(f".{first}") for key in state if first and key.endswith(f".{first}")]
    return [name for name in ends if all(f"{name}.{key}" in state for key in own)]


def listed(title: str, items: Iterable[str], most: int = 8) -> str:
    """``title (n): first, second, ... and k more``."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f"{title} ({len(items)}): {', '.join(items[:most])}{more}"
