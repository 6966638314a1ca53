"""The two products that training spends its time in. On the CPU they are numpy's.

numpy sees that x^T x is symmetric and computes half of it, and its matrix-vector product is twice as fast as torch's.
"""

from __future__ import annotations

import torch
from torch import Tensor


def times_vector(x: Tensor, vector: Tensor) -> Tensor:
    """(n) x (n, D) times a vector (D)."""
    if x.device.type == "cpu":
        return torch.from_numpy(x.numpy() @ vector.numpy())
    return x @ vector


def second_moments(x: Tensor) -> Tensor:
    """(D + 1, D + 1) sum of [x 1] [x 1]^T over rows (n, D)."""
    moments = x.new_empty(x.shape[1] + 1, x.shape[1] + 1)
    moments[:-1, :-1] = torch.from_numpy(x.numpy().T @ x.numpy()) if x.device.type == "cpu" else x.T @ x
    moments[-1, :-1] = moments[:-1, -1] = x.sum(dim=0)
    moments[-1, -1] = len(x)
    return moments
