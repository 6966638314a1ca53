"""Checkpoints: written whole, read safely, loaded completely or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.catalog import near_miss


class CheckpointError(RuntimeError):
    """A file that cannot be loaded, or that does not fit; the message says what differs and what to do."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint or of a safetensors file, without running any code from it.

    Raises:
        CheckpointError: for a missing, torn or unsafe file.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.pth")] if path.parent.is_dir() else []
        raise CheckpointError(f"checkpoint {str(path)!r} does not exist{near_miss(path.name, siblings)}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return {"state_dict": load_file(path)}
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch and safetensors raise many kinds for a bad file; all mean the same here
        raise CheckpointError(f"cannot read {str(path)!r}: {str(error).splitlines()[0]} - the file is torn, or holds objects "
                              "that would run code when loaded (only tensors and plain values are accepted)") from error


def write_checkpoint(contents: Mapping[str, Any], path: str | Path) -> None:
    """Write beside, flush, rename: the file is there whole or not at all.

    Raises:
        CheckpointError: when the disk is full; what was there before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            torch.save(dict(contents), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as RuntimeError
        beside.unlink(missing_ok=True)
        full = getattr(error, "errno", None) == errno.ENOSPC or "write" in str(error).lower()
        reason = "the disk is full" if full else str(error)
        raise CheckpointError(f"cannot write {str(path)!r}: {reason}; older checkpoints are intact. "
                              "Free some space and continue with --resume") from error


def write_text(text: str, path: str | Path) -> None:
    """A small file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.write_text(text)
    os.replace(beside, path)


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint of a run folder, or None."""
    folder = Path(folder)
    pointer = folder / "last_checkpoint"
    if pointer.is_file():
        named = folder / Path(pointer.read_text().strip()).name
        if named.is_file():
            return named
    found = sorted(folder.glob("iter_*.pth"), key=lambda p: int(p.stem.split("_")[1]))
    return found[-1] if found else None


def check_fit(state: Mapping[str, Tensor], model: nn.Module, what: str) -> None:
    """Every key and shape accounted for, before anything is loaded.

    A game's conditioner is left out: its sizes are the data set's, and it checks itself when it is loaded.

    Raises:
        CheckpointError: listing missing, unexpected and differently shaped entries. Nothing has been loaded then.
    """
    own, state = ({k: v for k, v in part.items() if not k.startswith("conditioner.")} for part in (model.state_dict(), state))
    missing = [k for k in own if k not in state]
    unexpected = [k for k in state if k not in own]
    shapes = [f"{k}: {tuple(state[k].shape)} in the file, {tuple(own[k].shape)} in the model" for k in own
              if k in state and isinstance(own[k], Tensor) and state[k].shape != own[k].shape]
    if missing or unexpected or shapes:
        parts = [_listed("missing in the file", missing), _listed("not in the model", unexpected), _listed("other shapes", shapes)]
        raise CheckpointError(f"{what} does not fit this config, nothing was loaded: {'; '.join(p for p in parts if p)}")


def load_whole(model: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict strictly, after :func:`check_fit`."""
    check_fit(state, model, what)
    try:
        model.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{what} does not fit this config: {error}") from error


def load_network_weights(network: nn.Module, source: Any, name: str) -> None:
    """Fill a network from ``weights=``: a path (a run's folder: its newest checkpoint), or dict(checkpoint=path, network=name).

    Raises:
        CheckpointError: when the file does not hold this network whole.
    """
    if isinstance(source, Mapping):
        path, inner = source["checkpoint"], source.get("network", name)
    else:
        path, inner = source, name
    if Path(path).is_dir():
        path = latest_checkpoint(path) or path
    state = read_checkpoint(path)
    load_whole(network, network_state(state.get("state_dict", state), inner), f"weights of network {name!r} ({path})")


def network_state(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """One network's part of a game's state dict: its averaged copy, else itself, else the whole if it is no game's."""
    for prefix in (f"average.{name}.module.", f"networks.{name}."):
        part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if part:
            return part
    if any(key.startswith("networks.") for key in state):
        held = sorted({key.split(".")[1] for key in state if key.startswith("networks.")})
        raise CheckpointError(f"the checkpoint holds no network {name!r}{near_miss(name, held)}; it holds {', '.join(held)}")
    return dict(state)


def _listed(title: str, items: Iterable[str], most: int = 8) -> str:
    items = list(items)
    if not items:
        return ""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f"{title} ({len(items)}): {', '.join(items[:most])}{more}"
