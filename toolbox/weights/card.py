"""Released weights: tensors as safetensors, and beside them a card (JSON) that says what they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from toolbox.weights.errors import WeightsError, reason, short
from toolbox.weights.plain_json import read_json
from toolbox.weights.reading import read_weights

SUFFIX = ".safetensors"


def card_path(path: str | Path) -> Path:
    """NAME.json beside NAME.safetensors."""
    return Path(path).with_suffix(".json")


def file_sha256(path: str | Path) -> str:
    """sha256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_with_card(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    card: Mapping[str, Any],
    *,
    metadata: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Path:
    """Write ``NAME.safetensors`` and its card ``NAME.json``, each whole or not at all.

    Args:
        path: of the safetensors file.
        tensors: by name.
        card: JSON values: what it is, config, metrics with protocol, data, licence, versions. ``file``,
            ``sha256`` and ``tensors`` (how many) are filled in.
        metadata: texts for the header of the safetensors file.
        replace: write over files that are there.

    Returns:
        the path.

    Raises:
        WeightsError: for another suffix, files that are there already, values that JSON cannot hold, a full
            disk.
    """
    path = Path(path)
    card_file = card_path(path)
    _check_target(path, card_file, replace)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    card_beside = card_file.with_name(f".{card_file.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(tensors, beside, metadata)
        complete = {**card, "file": path.name, "sha256": file_sha256(beside), "tensors": len(tensors)}
        standard = json.loads(json.dumps(complete), parse_constant=str)  # a NaN becomes a text
        _write_synced(card_beside, json.dumps(standard, indent=2, ensure_ascii=False) + "\n")
        shutil.copymode(card_beside, beside)  # safetensors makes files for their owner only
        os.replace(beside, path)
        os.replace(card_beside, card_file)
    except Exception as error:  # safetensors has an error of its own for a full disk
        raise WeightsError(f"cannot write {path} ({reason(error)}); nothing was left behind") from error
    finally:
        beside.unlink(missing_ok=True)
        card_beside.unlink(missing_ok=True)
    return path


def read_with_card(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, card) of released weights, after the file's digest has been checked.

    Raises:
        WeightsError: for a missing or malformed card, another digest, or a file that cannot be read.
    """
    path = Path(path)
    card = read_card(path)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist, only its card does")
    found = file_sha256(path)
    if found != card.get("sha256"):
        raise WeightsError(
            f"{path} is not the file that its card {card_path(path).name} describes: sha256 {found[:12]}... "
            f"found, {short(card.get('sha256'), 12)} in the card; fetch both again"
        )
    weights = read_weights(path)
    if weights.format != "safetensors":
        raise WeightsError(f"{path} is no release file: it is {weights.format}, not safetensors")
    return weights.tensors, card


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of released weights, unchecked against them.

    Raises:
        WeightsError: when it is missing or no JSON object.
    """
    file = card_path(path)
    try:
        card = read_json(file)
    except FileNotFoundError:
        raise WeightsError(f"{path} has no card beside it ({file.name}): a release is both files") from None
    except WeightsError as error:
        raise WeightsError(f"{file} cannot be read as a card: {error}") from error
    except OSError as error:
        raise WeightsError(f"{file} cannot be read as a card ({reason(error)})") from error
    if not isinstance(card, dict):
        raise WeightsError(f"{file} holds a {type(card).__name__}, not a card")
    return card


def _check_target(path: Path, card_file: Path, replace: bool) -> None:
    if path.suffix != SUFFIX:
        raise WeightsError(
            f"{path}: a release file is called NAME{SUFFIX}; write {path.with_suffix(SUFFIX).name}"
        )
    there = [str(p) for p in (path, card_file) if p.exists()]
    if there and not replace:
        verb = "exists" if len(there) == 1 else "exist"
        raise WeightsError(
            f"{' and '.join(there)} {verb} already: name another file, or replace with --force"
        )
    for target in (path, card_file):
        if target.is_dir():
            raise WeightsError(f"{target} is a folder")


def _save(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None) -> None:
    from safetensors.torch import save_file

    own = {}
    seen: set[int] = set()  # where the data of earlier tensors lies
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        storage = value.untyped_storage()
        alone = storage.data_ptr() not in seen and storage.nbytes() == value.numel() * value.element_size()
        own[name] = value if alone else value.clone()  # safetensors refuses tensors that share data
        seen.add(storage.data_ptr())
    save_file(own, path, metadata=dict(metadata or {}) | {"format": "pt"})
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _write_synced(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
