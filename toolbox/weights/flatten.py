"""Nested content as flat tensors by dotted name, and the plain values beside them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.weights.errors import WeightsError
from toolbox.weights.rebuilt import Array, array_tensor

_DEEPEST = 64
_MOST_NODES = 1_000_000
_MOST_PLACES = 1000  # that one container may be found in: tuples in tuples twice each grow like 2^depth
_NOTHING = object()  # a place that holds tensors only


@runtime_checkable
class Module(Protocol):
    """A network as data."""

    def properties(self) -> dict[str, Any]: ...

    def tensors(self, prefix: str = "", depth: int = 0) -> Any: ...


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
        self.nodes = 0
        self.places: Counter[int] = Counter()

    def visit(self, value: Any, name: str, depth: int) -> Any:
        """The plain values in ``value``; its tensors are kept by name."""
        self.nodes += 1
        if self.nodes > _MOST_NODES or depth > _DEEPEST:
            raise WeightsError(f"it holds more than {_MOST_NODES:,} values or nests deeper than {_DEEPEST}")
        if isinstance(value, Tensor):
            return self._keep(name, value)
        if isinstance(value, Array):
            return self._keep(name, array_tensor(value.numpy))
        if isinstance(value, Module):
            for inner, tensor in value.tensors(f"{name}." if name else ""):
                self._keep(inner, tensor)
            return self.visit(value.properties(), "", depth + 1)
        if isinstance(value, dict):
            return self._visit_items(value, [(_text(key), item) for key, item in value.items()], name, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = list(value) if isinstance(value, (list, tuple)) else sorted(value, key=str)
            found = self._visit_items(value, [(str(i), item) for i, item in enumerate(items)], name, depth)
            return found if found is _NOTHING or len(found) < len(items) else list(found.values())
        return _plain(value)

    def _visit_items(self, value: Any, items: list[tuple[str, Any]], name: str, depth: int) -> Any:
        self.places[id(value)] += bool(items)
        if self.places[id(value)] > _MOST_PLACES:
            raise WeightsError("it holds one container in too many places")
        found = {key: self.visit(item, f"{name}.{key}" if name else key, depth + 1) for key, item in items}
        kept = {key: item for key, item in found.items() if item is not _NOTHING}
        return _NOTHING if found and not kept else kept

    def _keep(self, name: str, tensor: Tensor) -> Any:
        if name in self.tensors:
            raise WeightsError(f"it holds two tensors called {name[:100]!r}")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
            raise WeightsError(
                f"tensor {name[:100]!r} is sparse, quantised or without data; only dense ones are read"
            )
        self.nodes += 1
        own = type(tensor) in (Tensor, nn.Parameter)
        self.tensors[name or "tensor"] = tensor.detach() if own else tensor.detach().as_subclass(Tensor)
        return _NOTHING


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
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    text = getattr(value, "text", None)  # a name that stands for itself
    if isinstance(value, (torch.dtype, torch.device)) or isinstance(text, str):
        return text or str(value)
    return f"<{type(value).__name__}>"
