"""Optimiser wrappers: the loss scale that fp16 needs, and gradients made finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from toolbox.ranges import check_positive


class PatientOptimizer(OptimWrapper):
    """mmengine's wrapper, but that clipping does not wait for the norm of the gradients to log it.

    It clips those of all its parameters together, or of some (:meth:`clip_only`).
    """

    _clipped: set[int] | None = None

    def clip_only(self, parameters: Iterable[nn.Parameter]) -> None:
        """Clip the gradients of these parameters alone; others stay as they are."""
        self._clipped = {id(parameter) for parameter in parameters}

    def _clip_grad(self) -> None:
        found = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self._clipped is not None:
            found = [parameter for parameter in found if id(parameter) in self._clipped]
        moving = [parameter for parameter in found if parameter.requires_grad and parameter.grad is not None]
        if moving:
            self.clip_func(moving, **self.clip_grad_kwargs)


class ScaledOptimizer(PatientOptimizer):
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


class FiniteGradients(PatientOptimizer):
    """An optimiser that takes NaN in a gradient for 0 and infinities for +-``limit`` (StyleGAN2-ADA's code).

    ``optim_wrapper = dict(generator=dict(type='FiniteGradients', optimizer=dict(type='Adam', ...)))``. A run
    whose gradients are finite is the same with and without it, bit for bit. Under ``precision='fp16'`` there
    is no loss scale with it: the published runs have none, their activations are clamped instead.

    Args:
        limit: the largest magnitude that takes the place of an infinite one.
        **arguments: of mmengine's OptimWrapper (``optimizer``, ``clip_grad``).
    """

    def __init__(self, limit: float = 1e5, **arguments: Any) -> None:
        super().__init__(**arguments)
        check_positive(limit=limit)
        self.limit = limit

    def step(self, **arguments: Any) -> None:
        """Mend, clip, step."""
        found = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        by_type: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in found:
            by_type.setdefault(parameter.dtype, []).append(parameter)
        for members in by_type.values():  # one kernel for all, not one for each
            flat = torch.cat([p.grad.flatten() for p in members])  # type: ignore[union-attr]
            flat.nan_to_num_(nan=0.0, posinf=self.limit, neginf=-self.limit)
            for parameter, part in zip(members, flat.split([p.numel() for p in members]), strict=True):
                parameter.grad = part.view_as(parameter)
        super().step(**arguments)
