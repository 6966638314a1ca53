"""Equal random numbers on a CPU and on a GPU, whose generators give other ones from the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class SameDraws(TorchFunctionMode):
    """Inside, what would be drawn from a GPU's generator is drawn by a CPU's of the same seed, and moved.

    Args:
        all_generators: draw from twins of CPU generators, too: for a test without a GPU.
    """

    def __init__(self, all_generators: bool = False) -> None:
        super().__init__()
        self._all = all_generators
        # the generator is kept beside its twin: another one could be given the same id after its end
        self._twins: dict[tuple[int, int], tuple[torch.Generator, torch.Generator]] = {}

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        rng = (kwargs or {}).get("generator")
        if rng is None or (rng.device.type == "cpu" and not self._all):
            return function(*args, **(kwargs or {}))
        kept = {key: value for key, value in kwargs.items() if key not in ("generator", "device")}
        drawn = function(*map(_on_cpu, args), **kept, generator=self._twin(rng))
        if args and isinstance(args[0], Tensor) and function.__name__.endswith("_"):
            return args[0].detach().copy_(drawn) if args[0].requires_grad else args[0].copy_(drawn)
        return drawn.to(kwargs.get("device") or rng.device)

    def _twin(self, rng: torch.Generator) -> torch.Generator:
        key = id(rng), rng.initial_seed()
        if key not in self._twins:
            self._twins[key] = rng, torch.Generator().manual_seed(rng.initial_seed())
        return self._twins[key][1]


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu().clone() if isinstance(value, Tensor) else value
