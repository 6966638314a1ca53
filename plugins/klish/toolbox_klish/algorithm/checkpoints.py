"""The state of a fit in a file: an interrupted one goes on and ends with the same tree, to the bit."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox.ranks import gather_objects, rank, together
from toolbox.runs.files import explain_full_disk, write_whole
from toolbox_klish.algorithm.merge import MergeTree
from toolbox_klish.svm.planes import Planes

FORMAT = 1  # of the file


@dataclass
class FitState:
    """What a fit needs to go on.

    Attributes:
        labels: (N of this rank) int64, the first clusters, numbered by size.
        start: planes that the first training starts from.
        filter: dict(iou, kept) of the clusters before the filter, or empty.
        tree: steps made so far; without any, the first training has not ended.
    """

    labels: Tensor
    start: Planes
    filter: dict[str, NDArray[Any]]
    tree: MergeTree


class Checkpoint:
    """A file that a fit writes from time to time, whole or not at all.

    Args:
        path: of the file; ranks after the first add their number to its name. None = nothing is written or
            read.
        identity: what must be equal for a fit to go on from it: {name: JSON value}.
        every: seconds between two writes.
    """

    def __init__(self, path: str | Path | None, identity: dict[str, Any], every: float = 60.0) -> None:
        self.path: Path | None = None
        if path is not None:
            self.path = Path(f"{path}.{rank()}" if rank() else path)
        self.every = every
        self._identity = {**identity, "format": FORMAT}
        self._written = -float("inf")

    def load(self) -> FitState | None:
        """Where the fit stood, on all ranks alike; None if it has not begun.

        Raises:
            ValueError: when the file is broken, or that of another fit.
        """
        state = together(self._read)
        reached = None if state is None else (len(state.tree.merges), state.tree.passes)
        everyone = gather_objects(reached)
        if state is None or None in everyone:
            return None
        merges, passes = min(everyone)  # ranks may have been stopped at different steps
        if merges < len(state.tree.merges):
            state.tree = _until(state.tree, merges, passes)
        return state

    def save(self, state: FitState, now: bool = False) -> None:
        """Write, unless the last time was less than ``every`` seconds ago (``now``: in any case)."""
        if self.path is not None and (now or time.monotonic() - self._written >= self.every):
            arrays = {"identity": np.array(json.dumps(self._identity)), **_to_arrays(state)}
            with explain_full_disk(self.path.parent):
                write_whole(self.path, lambda file: np.savez(file, allow_pickle=False, **arrays))
            self._written = time.monotonic()

    def _read(self) -> FitState | None:
        if self.path is None or not self.path.exists():
            return None
        what = f"checkpoint={str(self.path)!r}"
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            there = json.loads(str(arrays["identity"]))
        except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
            raise ValueError(
                f"{what} is broken, or not of a KLiSH fit ({error}): give another path, or remove it to "
                "begin again"
            ) from error
        for name, here in self._identity.items():
            if there.get(name) != here:
                raise ValueError(
                    f"{what} is of another fit: {name} was {there.get(name)!r}, and is {here!r} now; "
                    "give another path, or remove it to begin again"
                )
        return _from_arrays(arrays)


def _to_arrays(state: FitState) -> dict[str, NDArray[Any]]:
    """Rows of different lengths are laid end to end: their lengths follow from K0."""
    tree = state.tree
    return {
        "labels": state.labels.numpy().astype(np.min_scalar_type(tree.clusters)),
        "start_weight": state.start.weight.cpu().numpy(),
        "start_bias": state.start.bias.cpu().numpy(),
        **{f"filter_{name}": value for name, value in state.filter.items()},
        "merges": np.array(tree.merges, dtype=np.int64).reshape(-1, 3),
        "nodes": np.array(tree.nodes, dtype=np.int64).reshape(-1, 3),
        "groups": np.array([len(planes) for planes in tree.planes], dtype=np.int64),
        "seconds": np.array(tree.seconds),
        "passes": np.array(tree.passes),
        "iou": _flat(tree.iou),
        "ecos": _flat(tree.ecos),
        "sizes": _flat(tree.sizes),
        "members": _flat(tree.members),
        "weight": _flat([planes.weight for planes in tree.planes]),
        "bias": _flat([planes.bias for planes in tree.planes]),
    }


def _flat(rows: Sequence[Any]) -> NDArray[Any]:
    return np.concatenate([np.asarray(row) for row in rows]) if rows else np.zeros(0)


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> FitState:
    start = _planes(arrays["start_weight"], arrays["start_bias"])
    steps = len(arrays["seconds"])
    merges = len(arrays["merges"])
    clusters = len(start)
    tree = MergeTree(
        clusters,
        [(int(k), int(kept), int(removed)) for k, kept, removed in arrays["merges"]],
        [(int(kept), int(removed), int(new)) for kept, removed, new in arrays["nodes"]],
        iou=_ragged(arrays["iou"], clusters, steps),
        ecos=_ragged(arrays["ecos"], clusters, merges),
        sizes=_ragged(arrays["sizes"], clusters, steps),
        members=[row.tolist() for row in _ragged(arrays["members"], clusters, steps)],
        passes=int(arrays["passes"]),
        seconds=arrays["seconds"].tolist(),
    )
    if steps:
        ends = np.cumsum(arrays["groups"])[:-1]
        weights = np.split(arrays["weight"], ends)
        biases = np.split(arrays["bias"], ends)
        tree.planes = [_planes(weight, bias) for weight, bias in zip(weights, biases, strict=True)]
    found = {name.removeprefix("filter_"): arrays[name] for name in arrays if name.startswith("filter_")}
    return FitState(torch.from_numpy(arrays["labels"].astype(np.int64)), start, found, tree)


def _planes(weight: NDArray[Any], bias: NDArray[Any]) -> Planes:
    return Planes(torch.from_numpy(weight), torch.from_numpy(bias))


def _ragged(flat: NDArray[Any], first: int, rows: int) -> list[NDArray[Any]]:
    """Rows of ``first``, first - 1, ... numbers: at each step there is one cluster less."""
    return np.split(flat, np.cumsum(first - np.arange(rows))[:-1]) if rows else []


def _until(tree: MergeTree, merges: int, passes: int) -> MergeTree:
    """The tree as it was after so many merges."""
    stepwise = ("iou", "sizes", "planes", "members", "seconds")  # the first record precedes the first merge
    by_step = {name: getattr(tree, name)[: merges + 1] for name in stepwise}
    by_merge = {name: getattr(tree, name)[:merges] for name in ("merges", "nodes", "ecos")}
    return MergeTree(tree.clusters, passes=passes, **by_step, **by_merge)
