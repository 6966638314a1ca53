"""Checkpoints: written whole, read safely, loaded completely or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.runs.files import reason_of, write_whole
from toolbox.weights.archive import verify_archive
from toolbox.weights.errors import WeightsError, misfits
from toolbox.weights.reading import read_nested


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
        return dict(read_nested(path))
    except Exception as error:  # torch raises many kinds for a bad file; all mean the same here
        raise CheckpointError(
            f"cannot read {str(path)!r}: {reason_of(error)} - the file is torn, or holds objects that would "
            "run code when loaded (only tensors and plain values are accepted)"
        ) from error


def write_checkpoint(contents: Mapping[str, Any], path: str | Path) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        CheckpointError: when the disk is full; what was there before is untouched.
    """
    try:
        write_whole(path, lambda file: torch.save(dict(contents), file))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot write {str(path)!r}: {reason_of(error)}; older checkpoints are intact. Free some space "
            "and continue with --resume"
        ) from error


@dataclass(frozen=True)
class Found:
    """The checkpoints of a folder.

    Attributes:
        newest: the newest good one, or None.
        bad: {name: why it cannot be used} of those that would have come before it.
    """

    newest: Path | None
    bad: Mapping[str, str]

    def __str__(self) -> str:
        faults = [f"{name} {why}" for name, why in self.bad.items()]
        if self.newest is not None:
            faults.append(f"{self.newest.name} is taken, the newest good one")
        return "; ".join(faults)


def find_checkpoints(folder: str | Path) -> Found:
    """The newest checkpoint that is whole, and what is wrong with newer ones and with ``last_checkpoint``."""
    folder = Path(folder)
    bad = _bad_pointer(folder)
    for path in reversed(checkpoint_files(folder)):
        fault = fault_of(path)
        if fault is None:
            return Found(path, bad)
        bad[path.name] = fault
    return Found(None, bad)


def latest_checkpoint(folder: str | Path, tell: Callable[[str], None] | None = None) -> Path | None:
    """The newest good checkpoint of a run folder, or None where there are none at all.

    Args:
        folder: the run's folder.
        tell: gets one line when a newer checkpoint is torn, or the one that ``last_checkpoint`` names is
            missing.

    Raises:
        CheckpointError: when there are checkpoints and none of them is good; it lists them.
    """
    found = find_checkpoints(folder)
    if found.bad and found.newest is None:
        raise CheckpointError(
            f"no checkpoint in {folder} can be used: {found}. Nothing was started over: put a good copy "
            "there, or delete them all (last_checkpoint too) to begin at the beginning"
        )
    if found.bad and tell is not None:
        tell(str(found))
    return found.newest


def checkpoint_files(folder: str | Path, name: str = "iter") -> list[Path]:
    """``<name>_N.pth`` of a folder by N, torn ones too."""
    pattern = re.compile(rf"{re.escape(name)}_\d+\.pth")
    found = [path for path in Path(folder).glob("*.pth") if pattern.fullmatch(path.name)]
    return sorted(found, key=iteration_of)


def iteration_of(path: Path) -> int:
    """N of ``iter_N.pth``."""
    return int(path.stem.rpartition("_")[2])


def fault_of(path: Path) -> str | None:
    """What is wrong with a checkpoint's file, None = nothing: its bytes are compared with its checksums."""
    try:
        verify_archive(path)
    except (WeightsError, OSError) as error:
        fault = str(error).removeprefix(f"{path} is ").partition("; take an older")[0]
        return f"is {fault}"
    return None


def _bad_pointer(folder: Path) -> dict[str, str]:
    pointer = folder / "last_checkpoint"
    if not pointer.is_file():
        return {}
    name = Path(pointer.read_text(errors="replace").strip()).name
    if not name:
        return {"last_checkpoint": "is empty"}
    return {} if (folder / name).is_file() else {name: "is named by last_checkpoint and missing"}


def check_fit(state: Mapping[str, Tensor], model: nn.Module, what: str) -> None:
    """Every key and shape accounted for, before anything is loaded.

    A game's conditioner is left out: its sizes are the data set's, and it checks itself when it is loaded.

    Raises:
        CheckpointError: listing missing, unexpected and differently shaped entries. Nothing has been loaded
            then.
    """
    found = misfits(_without_conditioner(state), _without_conditioner(model.state_dict()))
    if found:
        raise CheckpointError(f"{what} does not fit this config, nothing was loaded: {found}")


def _without_conditioner(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith("conditioner.")}


def load_whole(model: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict strictly, after :func:`check_fit`."""
    check_fit(state, model, what)
    try:
        model.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{what} does not fit this config: {error}") from error


def network_state(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """One network's part of a game's state dict, averaged if it can be; the whole, if it is no game's.

    Raises:
        CheckpointError: for a game without this network, naming those that it has.
    """
    for prefix in (f"average.{name}.module.", f"networks.{name}."):
        part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if part:
            return part
    if any(key.startswith("networks.") for key in state):
        held = sorted({key.split(".")[1] for key in state if key.startswith("networks.")})
        raise CheckpointError(
            f"the checkpoint holds no network {name!r}{near_miss(name, held)}; it holds {', '.join(held)}"
        )
    return dict(state)


def use_safe_loader() -> None:
    """Make mmengine read local checkpoints with ``weights_only=True``; its own reader fails on new torch."""
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_file, force=True)


def load_from_file(filename: str, map_location: Any = None) -> dict[str, Any]:
    """What mmengine calls for a local path (it logs the name of this function from the tenth letter on)."""
    return read_checkpoint(filename)
