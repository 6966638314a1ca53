"""Tensors and arrays out of pickles: our own functions behind the names that torch and numpy pickle."""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.weights.errors import WeightsError, short
from toolbox.weights.limits import Meter
from toolbox.weights.pickles import Name, RefusedError, Shell, members, pairs, read_pickle

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch.save before torch 1.6
_DTYPE = re.compile(r"[<>|=]?(?:[iuf][1248]|b1)")  # plain numbers: no objects, no structures


@dataclass(frozen=True)
class Storage:
    """A flat run of numbers that tensors are views of."""

    values: Tensor


def storage_of(raw: bytes | Tensor, dtype: torch.dtype, numel: int | None) -> Storage:
    """Little-endian bytes as a storage.

    Args:
        raw: the bytes, as a tensor of uint8 too, whose memory is then shared.
        dtype: of the numbers.
        numel: how many there are; None = as many as there are bytes for.

    Raises:
        WeightsError: when the bytes are not ``numel`` numbers.
    """
    held = len(raw)
    if numel is None:
        numel = held // dtype.itemsize
    if not isinstance(numel, int) or held != numel * dtype.itemsize:
        raise WeightsError(
            f"a tensor's data has {held:,} bytes, declared are {short(numel)} numbers of {dtype}"
        )
    if not numel:
        return Storage(torch.empty(0, dtype=dtype))
    values = raw if isinstance(raw, Tensor) else torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    return Storage(values != 0 if dtype == torch.bool else values.view(dtype))


def rebuild_tensor(
    storage: Any,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    requires_grad: bool = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    """``torch._utils._rebuild_tensor_v2``: a view of a storage, inside its bounds.

    Raises:
        WeightsError: for a view that reaches beyond its storage or repeats its numbers.
    """
    if not isinstance(storage, Storage):
        raise WeightsError(f"a tensor is made of a {type(storage).__name__}, not of a storage")
    whole = all(isinstance(n, int) and 0 <= n < 2**48 for n in (offset, *size, *stride))
    if len(size) != len(stride) or len(size) > 16 or not whole:
        raise WeightsError("a tensor has a malformed shape")
    held = storage.values.numel()
    numel = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if numel and (last >= held or numel > held):
        raise WeightsError(f"a tensor of shape {tuple(size)} reaches beyond its data of {held:,} numbers")
    if not numel:
        return storage.values.new_empty(tuple(size))
    return storage.values.as_strided(size, stride, offset)


def load_from_bytes(raw: bytes, meter: Meter | None = None) -> Storage:
    """``torch.storage._load_from_bytes`` without its ``torch.load``: the file format of torch before 1.6.

    Args:
        raw: the file.
        meter: of the pickle that it lies in.

    Raises:
        RefusedError: when the inner file names anything but a storage.
        WeightsError: for a torn one.
    """
    stream = io.BytesIO(raw)
    read = partial(read_pickle, stream, meter=meter)
    if read(_nobody) != _MAGIC or read(_nobody) != _PROTOCOL:
        raise WeightsError("a tensor's data is not in torch's file format")
    if not read(_nobody).get("little_endian", True):
        raise WeightsError(
            "the tensors are in big-endian order: convert the file on the machine that wrote it"
        )
    declared = read(storage_names, _declared)
    keys = read(_nobody)
    if not isinstance(declared, _Declared) or keys != [declared.key] or declared.view is not None:
        raise WeightsError("a tensor's data is not a single storage")
    (numel,) = struct.unpack("<q", stream.read(8))
    if numel != declared.numel:
        raise WeightsError(f"a tensor's data has {numel} numbers, declared are {declared.numel}")
    return storage_of(stream.read(), declared.dtype, numel)


@dataclass(frozen=True)
class _Declared:
    dtype: torch.dtype
    key: str
    numel: int
    view: Any


def storage_id(value: Any) -> tuple[torch.dtype, str, int]:
    """(dtype, key, number of elements) of torch's persistent id ('storage', type, key, location, numel, ...).

    Raises:
        WeightsError: for any other persistent id.
    """
    of_storage = isinstance(value, tuple) and len(value) >= 5 and value[0] == "storage"
    if not of_storage or not isinstance(value[1], Name):
        raise WeightsError("a persistent id that is no storage")
    _, kind, key, _, numel = value[:5]
    dtype = STORAGES.get(kind.text.rpartition(".")[2])
    if dtype is None or not isinstance(key, str) or not isinstance(numel, int):
        raise WeightsError("a malformed storage")
    return dtype, key, numel


def _declared(value: Any) -> _Declared:
    return _Declared(*storage_id(value), view=value[5] if len(value) > 5 else None)


def _nobody(module: str, name: str) -> None:
    return None


def storage_names(module: str, name: str) -> Name | None:
    """torch's storage types, and the dict that they may lie in."""
    if (module, name) == ("collections", "OrderedDict"):
        return Name("collections.OrderedDict", pairs)
    known = (module == "torch" and name in STORAGES) or (module, name) == ("torch.storage", "UntypedStorage")
    return Name(f"{module}.{name}") if known else None


# numpy


class Dtype(Shell):
    """A plain number type of numpy; its state is the byte order."""

    def __init__(self, code: str, *flags: Any) -> None:
        if not isinstance(code, str):
            raise RefusedError("a malformed numpy type")
        if not _DTYPE.fullmatch(code):
            raise RefusedError(f"the numpy type {code[:20]!r}")
        self.numpy = np.dtype(code)

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise RefusedError("a structured numpy type")
        if state[1] in ("<", ">"):
            self.numpy = self.numpy.newbyteorder(state[1])


class Array(Shell):
    """A numpy array that the pickle fills."""

    def __init__(self, subtype: Any = None, shape: Any = None, code: Any = None) -> None:
        self.numpy = np.zeros(0, np.uint8)
        self._tensor: Tensor | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.numpy = _array(raw, dtype, shape, "F" if fortran else "C")
        self._tensor = None

    def tensor(self) -> Tensor:
        """A tensor of the values, whatever their byte order and strides; the same one each time."""
        if self._tensor is None:
            native = np.array(self.numpy, dtype=self.numpy.dtype.newbyteorder("="), order="C", copy=True)
            self._tensor = torch.from_numpy(native)
        return self._tensor


def _array(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(dtype, Dtype) or not isinstance(raw, (bytes, bytearray)):
        raise RefusedError("a numpy array of objects")
    flat = np.frombuffer(raw, dtype.numpy)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: str) -> Array:
    made = Array()
    made.numpy = _array(raw, dtype, shape, order)
    return made


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    """A numpy number as Python's."""
    return _array(raw, dtype, (1,), "C").item()


def _latin1(text: str, codec: str) -> bytes:
    """Bytes in a pickle of protocol 2: a text and the way back."""
    if codec != "latin1":
        raise RefusedError("another codec than latin1")
    return text.encode("latin1")


def _bytes_of(raw: Any) -> bytearray:
    if not isinstance(raw, (bytes, bytearray)):
        raise RefusedError("a bytearray that is made of no bytes")
    return bytearray(raw)


def data_names(meter: Meter) -> dict[tuple[str, str], Callable[..., Any] | None]:
    """DATA_NAMES, and tensors as pickle writes them, each a file of torch inside: their work counts too."""

    def storage(raw: Any) -> Storage:
        if not isinstance(raw, (bytes, bytearray)):
            raise WeightsError("a tensor's data is not bytes")
        return load_from_bytes(bytes(raw), meter)

    return {**DATA_NAMES, ("torch.storage", "_load_from_bytes"): storage}


#: Names that tensors, arrays and plain containers need.
DATA_NAMES: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("collections", "OrderedDict"): pairs,
    ("builtins", "set"): members,
    ("__builtin__", "set"): members,
    ("builtins", "bytearray"): lambda raw=b"": _bytes_of(raw),
    ("torch", "Size"): lambda sizes=(): tuple(sizes),
    ("torch._utils", "_rebuild_parameter"): lambda tensor, requires_grad=True, hooks=None: tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("numpy", "dtype"): Dtype,
    ("numpy", "ndarray"): None,
    ("_codecs", "encode"): _latin1,
}
for _package in ("numpy.core", "numpy._core"):  # before and after numpy 2
    DATA_NAMES[f"{_package}.multiarray", "scalar"] = _scalar
    DATA_NAMES[f"{_package}.multiarray", "_reconstruct"] = Array
    DATA_NAMES[f"{_package}.numeric", "_frombuffer"] = _from_buffer
