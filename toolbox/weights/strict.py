"""Strict loading: every name and shape accounted for, or a list of those that are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor


def misfits(state: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What keeps ``state`` (a file's) from being loaded into a model whose state dict is ``own``; '' = it
    fits.
    """
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key}: {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the model"
        for key in own
        if key in state
        and isinstance(own[key], Tensor)
        and isinstance(state[key], Tensor)
        and state[key].shape != own[key].shape
    ]
    no_tensor = [
        key
        for key in own
        if key in state and isinstance(own[key], Tensor) and not isinstance(state[key], Tensor)
    ]
    groups = [
        ("missing in the file", missing),
        ("not in the model", unexpected),
        ("other shapes", shapes),
        ("not tensors in the file", no_tensor),
    ]
    return "; ".join(listed(title, items) for title, items in groups if items)


def listed(title: str, items: Iterable[str], most: int = 8) -> str:
    """``title (n): first, second, ... and k more``."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f"{title} ({len(items)}): {', '.join(items[:most])}{more}"
