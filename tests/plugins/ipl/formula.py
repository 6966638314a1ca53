"""Networks' files filled by a formula from the tensors' names, as the recorded values were made."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA = Path(__file__).parent / "data"
NAMES: dict[str, dict[str, list[int]]] = json.loads((DATA / "network_names.json").read_text())


def golden(prefix: str) -> dict[str, np.ndarray]:
    """Recorded arrays whose names begin with the prefix, without it."""
    with np.load(DATA / "metrics.npz", allow_pickle=False) as file:
        return {k.removeprefix(f"{prefix}."): file[k] for k in file if k.startswith(f"{prefix}.")}


def filled(key: str, shape: list[int] | tuple[int, ...]) -> Tensor:
    """The value of a tensor, from its name."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    n = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if len(shape) >= 2:
        n = n * np.sqrt(2 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        n = 1 + 0.2 * np.abs(n)
    elif key.endswith("running_mean"):
        n = 0.1 * n
    else:
        n = 1 + 0.1 * n if key.endswith("weight") else 0.05 * n
    return torch.from_numpy(n.astype(np.float32))


def hed_tensors() -> dict[str, Tensor]:
    """HED's file, filled by our names; the last weight is scaled so that the sigmoid is not saturated."""
    shapes = NAMES["hed_bsds500"]
    tensors = {key: filled(key.replace("module", "net"), shape) for key, shape in shapes.items()}
    tensors["moduleCombine.0.weight"] *= 0.002
    return tensors
