"""What the processes of a run share in an iteration: averaged gradients, statistics, the wish to stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolbox import ranks


class GradientAverage:
    """Gradients averaged over ranks by one flattened all-reduce a phase.

    In the same buffer travel a flag for each parameter (has it a gradient anywhere?), one that asks everybody
    to stop, so that a signal to one process ends the run on all after the same iteration, and one that says
    that a loss was not finite.

    Attributes:
        asked: this process wishes to stop.
        stopping: some process wished so at the last average; equal on all ranks.
    """

    def __init__(self) -> None:
        self.asked = False
        self.stopping = False

    def average(self, parameters: Sequence[nn.Parameter], bad: Tensor | None = None) -> Tensor | None:
        """Replace each ``.grad`` by its mean over ranks; one that no rank has stays None.

        ``bad`` is 1.0 where this rank must not step; returned is 1.0 where any rank must not.
        """
        if not ranks.running():
            self.stopping = self.asked
            return bad
        flags = [float(p.grad is not None) for p in parameters] + [float(self.asked)]
        by_type = _by_type(parameters)
        carrier = next(iter(by_type), torch.float32)  # the flags travel with the gradients of this type
        for dtype, members in by_type.items() or [(carrier, [])]:
            parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in members]
            extra = torch.tensor(flags if dtype == carrier else [], dtype=dtype, device=_device(parameters))
            worse = [bad.to(dtype).view(1)] if bad is not None and dtype == carrier else []
            total = ranks.sum_over_ranks(torch.cat([*parts, *worse, extra]))
            if dtype == carrier:
                sizes = [len(total) - len(worse) - len(flags), len(worse), len(flags)]
                total, any_bad, extra = total.split(sizes)
                bad = (any_bad[0] > 0).float() if worse else bad
                flags = extra.tolist()
            _write_back(members, total / ranks.world())
        for parameter, flag in zip(parameters, flags, strict=False):
            if not flag:
                parameter.grad = None
        self.stopping = bool(flags[-1])
        return bad


def average_running_statistics(networks: Iterable[nn.Module]) -> None:
    """BatchNorm's running means and variances, averaged over ranks by one all-reduce.

    Each rank normalises by its own rows; the variance between the ranks' means is left out of the running
    variance.
    """
    if not ranks.running():
        return
    values: list[Tensor] = []
    for network in networks:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                statistics = (module.running_mean, module.running_var)
                values += [value for value in statistics if value is not None]
    if not values:
        return
    flat = ranks.mean_over_ranks(torch.cat([value.flatten() for value in values]))
    for value, mean in zip(values, flat.split([value.numel() for value in values]), strict=True):
        value.copy_(mean.view_as(value))


def _by_type(parameters: Sequence[nn.Parameter]) -> dict[torch.dtype, list[nn.Parameter]]:
    found: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault(parameter.dtype, []).append(parameter)
    return found


def _device(parameters: Sequence[nn.Parameter]) -> torch.device:
    return parameters[0].device if parameters else torch.device("cpu")


def _write_back(parameters: Sequence[nn.Parameter], flat: Tensor) -> None:
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
