"""The two products that training spends its time in. On the CPU they are numpy's.

numpy sees that x^T x is symmetric and computes half of it, and its matrix-vector product is twice as fast as
torch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def times_vector(x: Tensor, vector: Tensor) -> Tensor:
    """(n) x (n, D) times a vector (D)."""
    if x.device.type == "cpu":
        return torch.from_numpy(x.numpy() @ vector.numpy())
    return x @ vector


def second_moments(x: Tensor, rounded: bool = False) -> Tensor:
    """(D + 1, D + 1) sum of [x 1] [x 1]^T over rows (n, D).

    Args:
        x: (n, D).
        rounded: whether float32 features may be rounded to TF32 first, as the tensor cores of a GPU do; the
            CPU does the same for tests. Half-precision features fit TF32 without rounding.
    """
    moments = x.new_empty(x.shape[1] + 1, x.shape[1] + 1)
    if x.device.type == "cpu":
        own = (to_tf32(x) if rounded else x).numpy()
        moments[:-1, :-1] = torch.from_numpy(own.T @ own)
    else:
        with _tensor_cores(rounded):
            moments[:-1, :-1] = x.T @ x
    moments[-1, :-1] = moments[:-1, -1] = x.sum(dim=0)
    moments[-1, -1] = len(x)
    return moments


def to_tf32(x: Tensor) -> Tensor:
    """Float32 rounded to the 10 bits after the point that TF32 keeps, ties away from zero.

    Other types as they are.
    """
    if x.dtype != torch.float32:
        return x
    # float32 has 23 bits: half of the last one kept is added, then the lower 13 are cleared
    return ((x.view(torch.int32) + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)


@contextmanager
def _tensor_cores(on: bool) -> Iterator[None]:
    """Whether float32 products may use TF32, as long as this lasts."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = on
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
