"""NVIDIA's network pickles (StyleGAN2-ADA and StyleGAN3, also in TensorFlow), without running their code.

Each network in such a file asks to execute the Python source that it carries (``torch_utils.persistence``),
and each tensor asks for an unrestricted ``torch.load`` of its bytes (``torch.storage._load_from_bytes``).
Here the first becomes a :class:`Network` record, whose source is hashed and dropped, the second a reader of
that format that knows only storages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from toolbox.weights.errors import WeightsError, short
from toolbox.weights.limits import Meter
from toolbox.weights.pickles import Shell, Stream, pairs, read_pickle, table
from toolbox.weights.rebuilt import STORAGES, Array, data_names


class Network(Shell):
    """A module of PyTorch as data: its class's name and its ``__dict__``."""

    def __init__(self, meta: Any) -> None:
        of_class = isinstance(meta, dict) and meta.get("type") == "class"
        if not of_class or not isinstance(meta.get("state"), dict):
            raise WeightsError("a persistent object that is no network")
        self.class_name = str(meta.get("class_name"))[:200]
        self.version = meta.get("version")
        self.source_sha256: str | None = None
        if isinstance(source := meta.get("module_src"), str):
            self.source_sha256 = hashlib.sha256(source.encode(errors="replace")).hexdigest()
        self.state: dict[str, Any] = meta["state"]

    def properties(self) -> dict[str, Any]:
        """Class and constructor arguments, from which the network can be built anew."""
        return {
            "class": self.class_name,
            "init_args": self.state.get("_init_args", ()),
            "init_kwargs": self.state.get("_init_kwargs", {}),
            "persistence_version": self.version,
            "source_sha256": self.source_sha256,
        }

    def own(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of the state dict, without the children's: parameters and persistent buffers.

        Raises:
            WeightsError: for a state that is not a module's.
        """
        left_out = _part(self.state, "_non_persistent_buffers_set", set)
        parameters = _part(self.state, "_parameters", dict)
        buffers = _part(self.state, "_buffers", dict)
        for name, value in [*parameters.items(), *buffers.items()]:
            if value is None or name in left_out:
                continue
            if not isinstance(value, Tensor):
                raise WeightsError(f"{short(name)} of a network is a {type(value).__name__}, not a tensor")
            yield name, value

    def children(self) -> Iterator[tuple[str, Network]]:
        """(what the names of its tensors begin with, child)."""
        for name, child in _part(self.state, "_modules", dict).items():
            if child is not None:
                if not isinstance(child, Network):
                    raise WeightsError(f"module {short(name)} is a {type(child).__name__}, not a network")
                yield f"{name}.", child


class TensorFlowNetwork(Shell):
    """A network of the TensorFlow versions as data: named arrays, and components that are networks again."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def build(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise WeightsError("a TensorFlow network without a state")
        self.state = state

    def properties(self) -> dict[str, Any]:
        """Names and constructor arguments."""
        known = {key: self.state.get(key) for key in ("name", "build_func_name", "static_kwargs", "version")}
        return {"class": "dnnlib.tflib.Network", **known}

    def own(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of its variables."""
        for entry in _part(self.state, "variables", (list, tuple)):
            name, value = entry
            if not isinstance(name, str):
                raise WeightsError("a TensorFlow variable without a name")
            if not isinstance(value, (Array, float, int)):
                raise WeightsError(
                    f"TensorFlow variable {short(name)} is a {type(value).__name__}, not an array"
                )
            yield name, value.tensor() if isinstance(value, Array) else torch.tensor(float(value))

    def children(self) -> Iterator[tuple[str, TensorFlowNetwork]]:
        """('component/', component)."""
        for name, child in _part(self.state, "components", dict).items():
            if not isinstance(child, TensorFlowNetwork):
                raise WeightsError(f"component {short(name)} is a {type(child).__name__}, not a network")
            yield f"{name}/", child


def _part(state: dict[str, Any], key: str, kind: Any) -> Any:
    """An entry of a module's state, empty where it is missing."""
    value = state.get(key)
    if value is None:
        return () if isinstance(kind, tuple) else kind()
    if not isinstance(value, kind):
        raise WeightsError(f"{key} of a network is a {type(value).__name__}")
    return value


_NAMES: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): Network,
    ("dnnlib.util", "EasyDict"): pairs,
    ("dnnlib", "EasyDict"): pairs,
    ("dnnlib.tflib.network", "Network"): TensorFlowNetwork,
    ("tfutil", "Network"): TensorFlowNetwork,
    **{("torch", str(dtype).removeprefix("torch.")): None for dtype in STORAGES.values()},
}


def read_network_pickle(stream: Stream) -> Any:
    """What the pickle holds: plain values, tensors, arrays, and networks as data.

    Raises:
        RefusedError: when it asks for a name or an operation that weights never need; the message names it.
        WeightsError: for a torn file.
    """
    meter = Meter()
    value = read_pickle(stream, table({**data_names(meter), **_NAMES}), meter=meter)
    if not isinstance(value, tuple) or len(value) != 3:
        return value
    if not all(isinstance(part, TensorFlowNetwork) for part in value):
        return value
    return dict(zip(("G", "D", "Gs"), value, strict=True))
