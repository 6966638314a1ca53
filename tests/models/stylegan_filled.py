"""Weights and inputs filled from their own names, as the StyleGAN references were made
(tests/data/stylegan/README.md).
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

DATA = Path(__file__).parent.parent / "data" / "stylegan"
Network = TypeVar("Network", bound=nn.Module)
_FC = re.compile(r"(.*\.)?mapping\.(fc|dense)\d+\.(.*\.)?(weight|bias)$")


def normal(name: str, *shape: int) -> Tensor:
    """Standard normal numbers, a function of a name and a shape."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def one_hot(n: int, classes: int) -> Tensor:
    """(n, classes): image i has class (3 i + 1) mod classes."""
    return torch.eye(classes)[(3 * torch.arange(n) + 1) % classes]


def golden(file: str, group: str) -> dict[str, Tensor]:
    """The arrays of one group, without its name."""
    with np.load(DATA / f"{file}.npz") as arrays:
        names = [name for name in arrays if name.startswith(f"{group}/") and not name.endswith("_json")]
        return {name.removeprefix(f"{group}/"): torch.from_numpy(arrays[name]) for name in names}


def fill(name: str, shape: tuple[int, ...]) -> Tensor:
    """The value of one tensor: a function of its name and shape."""
    v, last = normal(name, *shape), name.rpartition(".")[2]
    if last in ("w_avg", "noise_strength"):
        return 0.1 * v
    if last in ("noise_const", "noise"):
        return v
    if _FC.match(name):
        return v * (100 if last == "weight" else 10)
    if last == "bias":
        return (1 if name.endswith("affine.bias") else 0) + 0.1 * v
    return v


def filled(network: Network) -> Network:
    """The network in eval mode, every tensor but filters set from its name."""
    network.load_state_dict(
        {
            name: value if name.endswith("resample_filter") else fill(name, tuple(value.shape))
            for name, value in network.state_dict().items()
        }
    )
    return network.eval()
