"""Weights filled from their own names, as the references of text-to-image networks were made."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, TextCodes

DATA = Path(__file__).parent.parent / "data" / "t2i"


def value(name: str, shape: tuple[int, ...]) -> Tensor:
    """One tensor: a function of its name and shape (tests/data/t2i/README_one_stage.md)."""
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.tensor(0)
    v = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if last == "running_var":
        v = np.float32(0.5) + np.abs(v)
    elif last == "running_mean":
        v = np.float32(0.1) * v
    elif len(shape) >= 2:
        v = v / np.float32(math.sqrt(math.prod(shape[1:])))
    elif "bias" in last:
        v = np.float32(0.1) * v
    elif last.endswith("weight"):
        v = 1 + np.float32(0.1) * v
    return torch.from_numpy(np.asarray(v, np.float32))


@torch.no_grad()
def fill(network: nn.Module, prefix: str = "") -> None:
    """Every tensor of a network by ``prefix`` + its name, one after the other."""
    for name, tensor in network.state_dict().items():
        tensor.copy_(value(prefix + name, tuple(tensor.shape)))


def golden(name: str) -> dict[str, Tensor]:
    """The arrays of a reference file."""
    with np.load(DATA / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    """{name: shape} of a published network."""
    return {key: tuple(shape) for key, shape in json.loads((DATA / f"{name}.json").read_text()).items()}


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """{name: shape} of a state dict."""
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def said(sentence: Tensor) -> Condition:
    """The condition of sentence codes (N, D)."""
    return Condition(codes=TextCodes(sentence))


def enlarged(low: Tensor) -> Tensor:
    """Each pixel as 8 x 8."""
    return low.repeat_interleave(8, 2).repeat_interleave(8, 3)


def near(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-4."""
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
