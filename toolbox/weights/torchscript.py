"""The tensors of a TorchScript archive (OpenAI's CLIP files), without its code or ``torch.jit.load``."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.weights.errors import WeightsError
from toolbox.weights.pickles import Name, Shell, read_pickle
from toolbox.weights.rebuilt import DATA_NAMES, Storage, storage_id, storage_names, storage_of

_CALLS = {name: DATA_NAMES["torch._utils", name] for name in ("_rebuild_tensor_v2", "_rebuild_parameter")}
_LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")
# names lie between quotes: without brackets in them a search never looks at a place twice
_LISTED = re.compile(
    r"class (\w+)\(Module\):\s*__parameters__ = \[([^\[\]]*)\]\s*__buffers__ = \[([^\[\]]*)\]"
)


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

    def own(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of parameters and buffers, as its state dict would have them."""
        for name, value in self.state.items():
            if isinstance(value, Tensor) and (self.named is None or name in self.named):
                yield name, value

    def children(self) -> Iterator[tuple[str, ScriptObject]]:
        """(what the names of its tensors begin with, child)."""
        for name, value in self.state.items():
            if isinstance(value, ScriptObject):
                yield f"{name}.", value


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
        self._raw: dict[str, Tensor] = {}  # bytes by key: a key is read once, whatever its types
        self._listed: dict[str, dict[str, set[str]]] = {}  # {module: {class: names}}

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
        if key not in self._raw:
            self._raw[key] = storage_of(self._read(f"data/{key}"), torch.uint8, None).values
        return storage_of(self._raw[key], dtype, numel)

    def _tensor_names(self, module: str, name: str) -> set[str] | None:
        """Which attributes of a class are parameters or buffers, by its text; None where it is not there."""
        if module not in self._listed:
            text = self._read(f"code/{module.replace('.', '/')}.py", b"").decode(errors="replace")
            self._listed[module] = {
                found[1]: set(re.findall(r'"([^"]*)"', found[2] + found[3]))
                for found in _LISTED.finditer(text)
            }
        return self._listed[module].get(name)
