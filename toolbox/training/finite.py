"""Gradients that are not finite, made so before the step."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.optim import OptimWrapper


class FiniteGradients(OptimWrapper):
    """An optimiser that takes NaN in a gradient for 0 and infinities for +-``limit``, as the published
    StyleGAN2-ADA code does.

    ``optim_wrapper = dict(generator=dict(type='FiniteGradients', optimizer=dict(type='Adam', ...)))``. A run
    whose gradients are finite is the same with and without it, bit for bit. Under ``precision='fp16'`` there
    is no loss scale with it: the published runs have none, their activations are clamped instead.

    Args:
        limit: the largest magnitude that takes the place of an infinite one.
        **arguments: of mmengine's OptimWrapper (``optimizer``, ``clip_grad``).
    """

    def __init__(self, limit: float = 1e5, **arguments: Any) -> None:
        super().__init__(**arguments)
        if limit <= 0:
            raise ValueError(f"limit={limit} must be above 0")
        self.limit = limit

    def step(self, **arguments: Any) -> None:
        """Mend, clip, step."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    torch.nan_to_num(
                        parameter.grad, nan=0.0, posinf=self.limit, neginf=-self.limit, out=parameter.grad
                    )
        super().step(**arguments)
