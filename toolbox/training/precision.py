"""Lower precision for speed: where it applies, where it must not, and the scaling that fp16 needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from toolbox.catalog import near_miss

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
    """Matrix products and convolutions in this precision; weights, losses and what torch deems delicate stay
    float32.
    """
    with torch.autocast(device.type, dtype=PRECISIONS[precision], enabled=precision != "float32"):
        yield


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """float32 and uncompiled: for terms that differentiate a gradient (R1, path length), which neither
    carries well.
    """
    with torch.autocast(device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        yield


def at_least_float32(value: Tensor) -> Tensor:
    """Half precisions widened, others as they are."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


class ScaledOptimizer(OptimWrapper):
    """An optimiser under fp16: the loss is multiplied before backward, gradients divided before the step.

    A step whose gradients overflow is left out and the factor halved. mmengine's own wrapper for this refuses
    to be built without a GPU. The factor is part of the state, so a resumed run goes on with it.

    Args:
        device: 'cpu' or 'cuda'.
        initial: first factor. On a CPU 2^16 makes the first steps overflow as on a GPU, and be left out.
        **arguments: of mmengine's OptimWrapper (``optimizer``, ``clip_grad``).
    """

    def __init__(self, device: str, initial: float = 2.0**16, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.scaler = torch.amp.GradScaler(device, init_scale=initial)

    def backward(self, loss: Tensor, **arguments: Any) -> None:
        """Gradients, times the factor."""
        self.scaler.scale(loss).backward(**arguments)
        self._inner_count += 1

    def step(self, **arguments: Any) -> None:
        """Divide, clip, step unless something overflowed, adapt the factor."""
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.scaler.step(self.optimizer, **arguments)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's, and the factor."""
        return {**super().state_dict(), "loss_scaler": self.scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Accepts the state of an unscaled run too."""
        state = dict(state_dict)
        scaler = state.pop("loss_scaler", None)
        if scaler:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state)
