"""Weights filled from their own names, as the reference outputs were made (tests/data/biggan/README.md)."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of one tensor: a function of its name and shape."""
    v = np.random.default_rng(zlib.crc32(name.encode("utf-8"))).standard_normal(shape).astype(np.float32)
    if name.endswith(("num_batches_tracked", "sv0")):
        return np.zeros(shape, np.int64) if name.endswith("tracked") else np.ones(shape, np.float32)
    if len(shape) >= 2:
        return v / math.sqrt(np.prod(shape[1:]))
    if name.endswith(("running_mean", "stored_mean")):
        return 0.1 * v
    if name.endswith(("running_var", "stored_var")):
        return 0.5 + np.abs(v)
    if name.endswith("sigma"):
        return np.full(shape, 0.5, np.float32)
    return 1 + 0.1 * v if name.endswith(("weight", "gain")) else 0.1 * v


def state(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """A whole state dict; spectral-norm vectors are the true top singular vectors (200 power iterations in
    double).
    """
    filled = {name: torch.from_numpy(np.asarray(fill(name, tuple(shape)))) for name, shape in shapes.items()}
    for name in shapes:
        if name.endswith("weight_u"):
            base = name[:-1]
            filled[name], filled[base + "v"] = _singular(filled[base + "orig"], filled[name])
        if name.endswith(".u0"):
            filled[name] = _singular(filled[name[:-2] + "weight"], filled[name].flatten())[0][None]
    return filled


def _singular(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    matrix = weight.flatten(1).double()
    u = normalize(u.double(), dim=0)
    for _ in range(200):
        v = normalize(matrix.t() @ u, dim=0)
        u = normalize(matrix @ v, dim=0)
    return u.float(), v.float()


def shapes(network: nn.Module) -> dict[str, list[int]]:
    """Name -> shape of a network's state dict."""
    return {name: list(value.shape) for name, value in network.state_dict().items()}
