"""The tensors of a TorchScript archive (OpenAI's CLIP files), without its code or ``torch.jit.load``."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from toolbox.weights.errors import WeightsError
from toolbox.weights.pickles import Name, Shell, read_pickle
from toolbox.weights.rebuilt import DATA_NAMES, Storage, storage_id, storage_names, storage_of

_DEEPEST = 64
_CALLS = {name: DATA_NAMES["torch._utils", name] for name in ("_rebuild_tensor_v2", "_rebuild_parameter")}
_LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")
_LISTED = r"\s*__parameters__ = \[([^\]]*)\]\s*__buffers__ = \[([^\]]*)\]"


class ScriptObject(Shell):
    """An object of the archive as data: its class's name and its attributes."""

    def __init__(self, class_name: str, named: set[str] | None) -> None:
        self.class_name = class_name
        self.named = named
        self.state: dict[str, Any] = {}

    def build(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def properties(self) -> dict[str, Any]:
        """The class's name."""
        return {"class": self.class_name}

    def tensors(self, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of parameters and buffers, as its state dict would have them."""
        if depth > _DEEPEST:
            raise WeightsError("modules are nested too deep")
        for name, value in self.state.items():
            if isinstance(value, Tensor) and (self.named is None or name in self.named):
                yield f"{prefix}{name}", value
            elif isinstance(value, ScriptObject):
                yield from value.tensors(f"{prefix}{name}.", depth + 1)


def read_torchscript(path: str | Path) -> ScriptObject:
    """The archive's module; its CRCs have been checked (:func:`toolbox.weights.archive.verify_archive`).

    Raises:
        RefusedError: when its pickle asks for more than tensors and the archive's own classes.
        WeightsError: for a torn archive.
    """
    with zipfile.ZipFile(path) as archive:
        found = _Archive(archive).load()
    if not isinstance(found, ScriptObject):
        raise WeightsError(f"the archive holds a {type(found).__name__}, not a module")
    return found


class _Archive:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.members = {name.partition("/")[2]: name for name in archive.namelist()}
        self._storages: dict[Any, Storage] = {}
        self._named: dict[tuple[str, str], set[str] | None] = {}

    def load(self) -> Any:
        if self._read("byteorder", b"little").strip() != b"little":
            raise WeightsError(
                "the tensors are in big-endian order: convert the file on the machine that wrote it"
            )
        return read_pickle(io.BytesIO(self._read("data.pkl")), self._name, self._storage)

    def _read(self, member: str, default: bytes | None = None) -> bytes:
        if member not in self.members:
            if default is None:
                raise WeightsError(f"the archive lacks {member[:80]!r}")
            return default
        return self.archive.read(self.members[member])

    def _name(self, module: str, name: str) -> Name | None:
        full = f"{module}.{name}"
        if module == "__torch__" or module.startswith("__torch__."):
            return Name(full, lambda *_: ScriptObject(full, self._tensor_names(module, name)))
        if module == "torch._utils" and name in _CALLS:
            return Name(full, _CALLS[name])
        if module == "torch.jit._pickle" and name in _LISTS:
            return Name(full, list)
        if full == "torch.jit._pickle.restore_type_tag":
            return Name(full, lambda value, tag: value)
        return storage_names(module, name)

    def _storage(self, value: Any) -> Storage:
        dtype, key, numel = storage_id(value)
        if (key, dtype) not in self._storages:
            self._storages[key, dtype] = storage_of(self._read(f"data/{key}"), dtype, numel)
        return self._storages[key, dtype]

    def _tensor_names(self, module: str, name: str) -> set[str] | None:
        """Which attributes of a class are parameters or buffers, by its text; None where it is not there."""
        if (module, name) not in self._named:
            text = self._read(f"code/{module.replace('.', '/')}.py", b"").decode(errors="replace")
            lists = re.search(rf"class {re.escape(name)}\(Module\):{_LISTED}", text)
            names = re.findall(r'"([^"]*)"', "".join(lists.groups())) if lists else None
            self._named[module, name] = None if names is None else set(names)
        return self._named[module, name]
