"""Lower precision for speed: where it applies, where it must not, and the scaling that fp16 needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.tf32 import tf32, without_autocast

PRECISIONS: dict[str, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype_of(precision: str, where: str) -> torch.dtype:
    """Raise ValueError for a name that is not in PRECISIONS."""
    if precision not in PRECISIONS:
        raise ValueError(
            f"{where}={precision!r} must be one of {', '.join(PRECISIONS)}{near_miss(precision, PRECISIONS)}"
        )
    return PRECISIONS[precision]


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Matrix products and convolutions in this precision; weights, losses and the rest stay float32."""
    if precision == "float32":
        yield
        return
    with torch.autocast(device.type, dtype=PRECISIONS[precision]):
        yield


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """float32, TF32 neither, and uncompiled: for terms that differentiate a gradient (R1, path length)."""
    with without_autocast(device), tf32(False), torch.compiler.set_stance("force_eager"):
        yield


def at_least_float32(value: Tensor) -> Tensor:
    """Half precisions widened, others as they are."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
