"""Nested content as flat tensors by dotted name, and the plain values beside them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.weights.errors import WeightsError, short
from toolbox.weights.limits import (
    DEEPEST,
    LONGEST_NAME,
    MOST_DIGITS,
    MOST_NODES,
    MOST_PLACES,
    MOST_TENSORS,
    MOST_TEXT,
)
from toolbox.weights.rebuilt import Array

_ORDINARY = (str, int, float, dict, list, tuple, type(None))  # to ask whether it is a protocol's takes long
_NOTHING = object()  # a place that holds tensors only


@runtime_checkable
class Module(Protocol):
    """A network as data."""

    def properties(self) -> dict[str, Any]: ...

    def own(self) -> Iterable[tuple[str, Tensor]]: ...

    def children(self) -> Iterable[tuple[str, Module]]: ...


def flatten(content: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """({'G_ema.synthesis.b4.const': tensor, ...}, plain values in the same nesting).

    Raises:
        WeightsError: for two tensors of one name, tensors that are not dense, or content too deep or too
            large to walk.
    """
    walk = _Walk()
    properties = walk.visit(content, "", 0)
    if properties is _NOTHING:
        properties = {}
    return walk.tensors, properties if isinstance(properties, dict) else {"value": properties}


class _Walk:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes = self.text = 0
        self.places: Counter[int] = Counter()

    def visit(self, value: Any, name: str, depth: int) -> Any:
        """The plain values in ``value``; its tensors are kept by name."""
        self._count(depth)
        if isinstance(value, Tensor):
            return self._keep(name, value)
        if isinstance(value, Array):
            return self._keep(name, value.tensor())
        if not isinstance(value, _ORDINARY) and isinstance(value, Module):
            self._visit_module(value, f"{name}." if name else "", depth)
            return self.visit(value.properties(), "", depth + 1)
        if isinstance(value, (dict, list, tuple, set, frozenset)) and self.nodes + len(value) > MOST_NODES:
            raise WeightsError(
                f"it holds more than {MOST_NODES:,} values and modules"
            )  # before they are walked
        if isinstance(value, dict):
            return self._visit_items(value, [(_text(key), item) for key, item in value.items()], name, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = list(value) if isinstance(value, (list, tuple)) else sorted(value, key=str)
            found = self._visit_items(value, [(str(i), item) for i, item in enumerate(items)], name, depth)
            return found if found is _NOTHING or len(found) < len(items) else list(found.values())
        plain = _plain(value)
        self._count_text(plain)
        return plain

    def _visit_module(self, module: Module, prefix: str, depth: int) -> None:
        """A module may be found in several places, as one that shares its weights is: each has its names."""
        self._count(depth)
        for name, tensor in module.own():
            self._keep(_joined(prefix, name), tensor)
        for name, child in module.children():
            self._visit_module(child, _joined(prefix, name), depth + 1)

    def _count(self, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise WeightsError(f"it holds more than {MOST_NODES:,} values and modules")
        if depth > DEEPEST:
            raise WeightsError(
                f"its values or modules are nested too deep, more than {DEEPEST} in each other"
            )

    def _count_text(self, value: Any) -> None:
        self.text += len(value) if isinstance(value, str) else 0
        if self.text > MOST_TEXT:
            raise WeightsError(f"beside its tensors it holds texts of more than {MOST_TEXT:,} characters")

    def _visit_items(self, value: Any, items: list[tuple[str, Any]], name: str, depth: int) -> Any:
        self.places[id(value)] += bool(items)
        if self.places[id(value)] > MOST_PLACES:
            raise WeightsError("it holds one container in too many places")
        for key, _ in items:
            self._count_text(key)
        start = f"{name}." if name else ""
        found = {key: self.visit(item, _joined(start, key), depth + 1) for key, item in items}
        kept = {key: item for key, item in found.items() if item is not _NOTHING}
        return _NOTHING if found and not kept else kept

    def _keep(self, name: str, tensor: Tensor) -> Any:
        if name in self.tensors:
            raise WeightsError(f"it holds two tensors called {short(name)}")
        if len(self.tensors) >= MOST_TENSORS:
            raise WeightsError(f"it holds more than {MOST_TENSORS:,} tensors")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
            raise WeightsError(
                f"tensor {short(name)} is sparse, quantised or without data; only dense ones are read"
            )
        own = type(tensor) in (Tensor, nn.Parameter)
        self.tensors[name or "tensor"] = tensor.detach() if own else tensor.detach().as_subclass(Tensor)
        return _NOTHING


def _joined(start: str, name: str) -> str:
    if len(start) + len(name) > LONGEST_NAME:
        raise WeightsError(f"it holds names of more than {LONGEST_NAME:,} characters ({short(start + name)})")
    return start + name


def _text(key: Any) -> str:
    if isinstance(key, (str, int)):
        return str(key)
    raise WeightsError(f"a dict has a {type(key).__name__} as key; only names and numbers are read")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; what it cannot is named by its type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int) and value.bit_length() < 3 * MOST_DIGITS:
        return value
    text = getattr(value, "text", None)  # a name that stands for itself
    if isinstance(value, (torch.dtype, torch.device)) or isinstance(text, str):
        return text or str(value)
    return f"<{type(value).__name__}>"
