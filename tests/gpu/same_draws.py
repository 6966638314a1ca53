"""Equal random numbers on a CPU and on a GPU, whose generators give other ones from the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from toolbox.interfaces import draws
from toolbox.models.style_based import NoisySynthesis


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


@contextmanager
def drawing_alike() -> Iterator[None]:
    """Whatever the device, everything is drawn as on a CPU, and moved: noise and augmentation too."""

    def rows(draw: Any, n: int, shape: tuple[int, ...], rng: Any, device: torch.device) -> Tensor:
        return draws.draw_rows(lambda many: draw((many, *shape), generator=rng), n, rng).to(device)

    random_noise = NoisySynthesis.random_noise

    def noise(self: NoisySynthesis, n: int, rng: Any, like: Tensor) -> list[Tensor | None]:
        maps = random_noise(self, n, rng, like.cpu())
        return [None if part is None else part.to(like) for part in maps]

    with SameDraws(), patch.object(draws, "_rows", rows), patch.object(NoisySynthesis, "random_noise", noise):
        yield
