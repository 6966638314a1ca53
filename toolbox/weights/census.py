"""What a file of ``torch.save`` will ask of ``torch.load``, counted before it is asked.

``torch.load(weights_only=True)`` runs no code of a file, but works for as long as the file says: each of
60 nested pairs doubles the work of hashing the whole, and a few bytes name a storage of a terabyte. Here the
same pickle first passes through our own machine, with records in the place of tensors: a second at most.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path
from typing import Any

from toolbox.weights.errors import WeightsError, short
from toolbox.weights.limits import SLACK, Meter
from toolbox.weights.pickles import Name, RefusedError, Shell, Stream, pairs, read_pickle
from toolbox.weights.rebuilt import DATA_NAMES, STORAGES

#: What pickles of tensors and plain containers call: no function that copies or makes numbers.
_REBUILD = "torch._utils._rebuild_"
_CALLED = {
    *(_REBUILD + end for end in ("tensor", "tensor_v2", "tensor_v3", "parameter", "parameter_with_state")),
    *(_REBUILD + end for end in ("qtensor", "sparse_tensor", "nested_tensor", "wrapper_subclass")),
    _REBUILD + "meta_tensor_no_storage",
    "torch.serialization._get_layout",
    "torch.device",
    "builtins.complex",
}
_BY_TYPE = "torch._tensor._rebuild_from_type_v2"  # calls the function that it is given
_SIZES = {"ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "QInt32Storage": 4}  # else a byte


class _Object(Shell):
    """Stands for whatever the file makes."""

    def build(self, state: Any) -> None:
        pass


def count_archive(path: Path) -> None:
    """Raise WeightsError for an archive of ``torch.save`` that asks for more work or memory than it is worth.

    Its CRCs have been checked.
    """
    with zipfile.ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.partition("/")[2] == "data.pkl"]
        if len(found) != 1:
            raise WeightsError("it has no data.pkl, or two")
        _Census(path.stat().st_size).read(io.BytesIO(archive.read(found[0])))


def count_legacy(path: Path) -> None:
    """As :func:`count_archive`, of a file of torch before 1.6: of the five pickles that it begins with."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        census = _Census(path.stat().st_size)
        for _ in range(5):
            census.read(stream)


class _Census:
    def __init__(self, size: int) -> None:
        self.size = size
        self.meter = Meter()
        self.storages: dict[str, int] = {}  # bytes by key
        self.total = 0

    def read(self, stream: Stream) -> None:
        read_pickle(stream, self._name, self._storage, self.meter)

    def _name(self, module: str, name: str) -> Name:
        full = f"{module}.{name}"
        if full == "collections.Counter":
            return Name(full, pairs)
        if (make := DATA_NAMES.get((module, name))) is not None and full not in _CALLED:
            return Name(full, make)
        return Name(full, lambda *arguments: self._made(full, arguments))

    def _made(self, name: str, arguments: tuple[Any, ...]) -> _Object:
        called = arguments[0].text if name == _BY_TYPE and isinstance(arguments[0], Name) else name
        if called not in _CALLED and called not in _allowed_by_user():
            raise RefusedError(
                f"a call of {called[:160]}" if called.startswith("torch.") else f"the name {called[:160]}"
            )
        return _Object()

    def _storage(self, value: Any) -> _Object:
        if not isinstance(value, tuple) or len(value) < 5 or not isinstance(value[1], Name):
            raise RefusedError("a persistent id that is no storage")
        (_, _, key, _, numel), kind_name = value[:5], value[1].text.rpartition(".")[2]
        if not isinstance(key, str) or not isinstance(numel, int) or numel < 0:
            raise WeightsError("it declares a malformed storage")
        dtype = STORAGES.get(kind_name)
        size = numel * (_SIZES.get(kind_name, 1) if dtype is None else dtype.itemsize)
        self.total += max(0, size - self.storages.get(key, 0))
        self.storages[key] = max(self.storages.get(key, 0), size)
        if self.total > self.size + SLACK:
            raise WeightsError(f"it declares tensors of {short(self.total)} bytes and has only {self.size:,}")
        return _Object()


def _allowed_by_user() -> set[str]:
    """Names that were given to ``torch.serialization.add_safe_globals``."""
    from torch.serialization import get_safe_globals

    found = [entry if isinstance(entry, tuple) else (entry, "") for entry in get_safe_globals()]
    return {name or f"{entry.__module__}.{entry.__qualname__}" for entry, name in found}
