"""Weights filled from their own names, and reference values, of text-to-image networks.

See tests/data/t2i/README.md.
"""

from __future__ import annotations

import functools
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, TextCodes

DATA = Path(__file__).parent.parent / "data" / "t2i"
Network = TypeVar("Network", bound=nn.Module)


def golden(name: str) -> dict[str, Tensor]:
    """The arrays of a file."""
    with np.load(DATA / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


@functools.cache
def _names() -> dict[str, dict[str, list[int]]]:
    return json.loads((DATA / "names.json").read_text())


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    """{name: shape} of the state dict of a network of the authors' repositories."""
    return {key: tuple(shape) for key, shape in _names()[name].items()}


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """{name: shape} of a state dict."""
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def value(name: str, shape: tuple[int, ...]) -> Tensor:
    """The value of one tensor: a function of its name and shape."""
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    v = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if last == "running_var":
        v = np.float32(0.5) + np.abs(v)
    elif last == "running_mean":
        v = np.float32(0.1) * v
    elif len(shape) >= 2:
        v = v / np.float32(math.sqrt(math.prod(shape[1:])))
    elif last in ("weight_u", "weight_v"):
        v = v / (np.sqrt((v**2).sum()) + np.float32(1e-12))
    elif "bias" in last:
        v = np.float32(0.1) * v
    elif last.endswith("weight"):
        v = np.float32(1) + np.float32(0.1) * v
    return torch.from_numpy(np.asarray(v, dtype=np.float32))


def state(name: str, counters: bool = False) -> dict[str, Tensor]:
    """The state dict of a network, without the batch counters, which old files have not."""
    own = {key: shape for key, shape in manifest(name).items() if counters or not key.endswith("_tracked")}
    return {key: value(key, shape) for key, shape in own.items()}


@torch.no_grad()
def fill(network: nn.Module, prefix: str = "") -> None:
    """Every tensor of a network by ``prefix`` + its name, one after the other."""
    for name, tensor in network.state_dict().items():
        tensor.copy_(value(prefix + name, tuple(tensor.shape)))


def filled(network: Network, name: str) -> Network:
    """The network with its reference weights, in eval mode."""
    network.load_state_dict(state(name))
    return network.eval()


def enlarged(low: Tensor) -> Tensor:
    """(N, 3, 8 h, 8 w): each value repeated."""
    return low.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


def asked(arrays: dict[str, Tensor]) -> tuple[Tensor, Condition]:
    """Latents and condition of a generator's reference."""
    codes = TextCodes(arrays["sent_emb"], arrays["words_emb"], arrays["cap_lens"])
    return torch.cat([arrays["z"], arrays["ca_eps"]], dim=1), Condition(codes=codes)


def said(sentence: Tensor) -> Condition:
    """The condition of sentence codes (N, D)."""
    return Condition(codes=TextCodes(sentence))


def close(ours: Any, reference: Tensor, tolerance: float = 1e-4) -> None:
    """Equal up to the tolerance of the references."""
    torch.testing.assert_close(ours, reference, rtol=0, atol=tolerance)
