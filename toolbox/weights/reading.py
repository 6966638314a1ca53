"""The one reader of weights from outside: recognised by content, read without running what they hold."""

from __future__ import annotations

import mmap
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.weights.archive import verify_archive
from toolbox.weights.census import count_archive, count_legacy
from toolbox.weights.errors import WeightsError, reason
from toolbox.weights.flatten import flatten
from toolbox.weights.limits import LONGEST_HEADER, MOST_TENSORS, SLACK, SPREAD
from toolbox.weights.nvidia import read_network_pickle
from toolbox.weights.pickles import RefusedError
from toolbox.weights.torchscript import read_torchscript

_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # the magic number, pickled
_WRAPPERS = ("state_dict", "model_state_dict")
_FOREIGN = {
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"\x89HDF": "an HDF5 file (Keras?)",
    b"<": "a web page: the download failed",
    b"version https://git-lfs": "a git-lfs pointer: fetch the file itself (git lfs pull)",
    b"\x93NUMPY": "a NumPy array",
}


@dataclass(frozen=True)
class Weights:
    """What a file holds.

    Attributes:
        path: the file.
        format: 'safetensors', 'torch', 'torch-legacy' (before torch 1.6), 'torchscript', 'nvidia-pickle' or
            'pickle'.
        tensors: {dotted name: tensor}, on the CPU, without gradients.
        properties: plain values beside them (class names, constructor arguments, metadata), fit for JSON.
    """

    path: Path
    format: str
    tensors: dict[str, Tensor]
    properties: dict[str, Any] = field(default_factory=dict)

    def networks(self) -> list[str]:
        """First parts of the names, in the file's order: 'G', 'D', 'G_ema'."""
        return list(dict.fromkeys(name.partition(".")[0] for name in self.tensors))

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors below ``name.``, without it.

        Raises:
            WeightsError: when there are none, naming what there is.
        """
        start = f"{name}."
        found = {key.removeprefix(start): t for key, t in self.tensors.items() if key.startswith(start)}
        if not found:
            held = self.networks()
            shown = ", ".join(held[:20] + ["..."] * (len(held) > 20))
            raise WeightsError(
                f"{self.path} holds nothing called {name!r}{near_miss(name, held)}; it holds {shown}"
            )
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors of a file of one network, out of the wrappers 'state_dict' and 'module'."""
        tensors = self.tensors
        for wrapper in _WRAPPERS:
            if any(key.startswith(f"{wrapper}.") for key in tensors):
                tensors = self.part(wrapper)
        return {key.removeprefix("module."): value for key, value in tensors.items()}


def read_weights(path: str | Path, *, what: str = "") -> Weights:
    """Tensors and plain values of a file; no code in it runs, whatever it is.

    safetensors; files of ``torch.save`` by ``weights_only=True``, archives after their CRCs; TorchScript
    archives and pickles of NVIDIA's networks by readers that can only make data. The suffix does not matter.

    Args:
        path: the file.
        what: what it is wanted for, named in errors.

    Raises:
        WeightsError: for a file that is missing, torn, of another kind, holds no tensors, or asks to run
            code.
    """
    path = Path(path)
    wanted = f"{what}: " if what else ""
    try:
        kind = recognise(path)
        tensors, properties = _READERS[kind](path)
        _check_tensors(tensors, path)
    except RefusedError as error:
        raise WeightsError(
            f"{wanted}{path} was not read: it asks for {error}, which weights never need; it may be "
            "malicious. Fetch it from its source, or ask there for safetensors"
        ) from error
    except WeightsError as error:
        place = "" if str(path) in str(error) else f"{path}: "
        raise WeightsError(f"{wanted}{place}{error}") from error
    except Exception as error:  # readers raise almost anything for a torn file
        raise WeightsError(
            f"{wanted}{path} is torn, or holds more than tensors and plain values ({reason(error)}); "
            "fetch it again, or ask its source for safetensors"
        ) from error
    if kind == "pickle" and _has_networks(properties):
        kind = "nvidia-pickle"
    return Weights(path, kind, tensors, properties)


def recognise(path: str | Path) -> str:
    """'safetensors', 'torch', 'torch-legacy', 'torchscript' or 'pickle', by the file's content.

    Raises:
        WeightsError: for a file that is missing, empty, no regular file, or of no kind that is read here.
    """
    path = Path(path)
    head, size = _head(path)
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path)
    if head.startswith(_LEGACY_TORCH):
        return "torch-legacy"
    for magic, name in _FOREIGN.items():
        if head.lower().startswith(magic.lower()):
            raise WeightsError(f"{path} is {name}")
    # before pickles: a length in bytes may begin as they do
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= size - 8:
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    raise WeightsError(
        f"{path} is no weights file, or torn: neither safetensors, nor torch's format, nor a network pickle"
    )


def read_nested(path: str | Path) -> Any:
    """The nested content of a file of ``torch.save``; of any other file dict(state_dict=its tensors).

    Raises:
        WeightsError: for a missing or damaged file, and for content that asks to run code (RefusedError, with
            what it asks for). Other errors of torch for a torn file pass through.
    """
    path = Path(path)
    kind = recognise(path)
    if kind in ("torch", "torch-legacy"):
        return _load(path, kind)
    return {"state_dict": read_weights(path).tensors}


def _load(path: Path, kind: str) -> Any:
    (count_archive if kind == "torch" else count_legacy)(path)
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:  # by its path, torch would go by its suffix
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's message advises to switch the safety off: only its cause is kept
        asked = re.search(r"GLOBAL (\S{1,160})", str(error))
        if asked:
            raise RefusedError(f"the name {asked[1]}") from error
        found = re.search(r"WeightsUnpickler error: ([^\n]{1,200})", str(error))
        cause = found[1] if found else "unpickling"
        raise WeightsError(f"it is torn, or holds more than tensors and plain values ({cause})") from error


def _head(path: Path) -> tuple[bytes, int]:
    try:
        if path.is_dir():
            raise WeightsError(f"{path} is a folder, a file is needed")
        if not path.exists():
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WeightsError(f"{path} does not exist{near_miss(path.name, siblings)}")
        if not path.is_file():
            raise WeightsError(f"{path} is no regular file")
        with open(path, "rb") as file:
            head, size = file.read(64), path.stat().st_size
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError or an OSError
        raise WeightsError(f"{path} cannot be opened ({reason(error)})") from error
    if not size:
        raise WeightsError(f"{path} is empty: fetch it again")
    return head, size


def _kind_of_archive(path: Path) -> str:
    verify_archive(path)
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    if "data.pkl" not in names:
        raise WeightsError(f"{path} is a zip file, but none of torch's (it has no data.pkl)")
    return "torchscript" if "constants.pkl" in names else "torch"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import safe_open

    (header,) = struct.unpack("<Q", _head(path)[0][:8])
    if header > LONGEST_HEADER:
        raise WeightsError(f"its header declares {header:,} bytes, at most {LONGEST_HEADER:,} are read")
    with safe_open(path, "pt", "cpu") as file:
        names = list(file.keys())
        if len(names) > MOST_TENSORS:
            raise WeightsError(f"it holds {len(names):,} tensors, at most {MOST_TENSORS:,} are read")
        tensors = {name: file.get_tensor(name) for name in names}
        return tensors, dict(metadata=file.metadata()) if file.metadata() else {}


def _read_torch(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return flatten(_load(path, "torch"))  # recognise has verified it


def _read_legacy(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return flatten(_load(path, "torch-legacy"))


def _read_torchscript(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return flatten(read_torchscript(path))


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with open(path, "rb") as file, _mapped(file) as stream:
        return flatten(read_network_pickle(stream))


def _mapped(file: BinaryIO) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


_READERS: dict[str, Callable[[Path], tuple[dict[str, Tensor], dict[str, Any]]]] = {
    "safetensors": _read_safetensors,
    "torch": _read_torch,
    "torch-legacy": _read_legacy,
    "torchscript": _read_torchscript,
    "pickle": _read_pickle,
}


def _check_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    if not tensors:
        raise WeightsError(f"{path} holds no tensors")
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    size = path.stat().st_size
    if total > SPREAD * size + SLACK:
        raise WeightsError(
            f"{path} has {size:,} bytes, but its tensors would take {total:,}; they are refused"
        )


def _has_networks(properties: dict[str, Any]) -> bool:
    for part in (properties, *properties.values()):
        if isinstance(part, dict) and "class" in part and ("init_kwargs" in part or "static_kwargs" in part):
            return True
    return False
