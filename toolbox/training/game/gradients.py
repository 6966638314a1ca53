"""What the processes of a run share in an iteration: averaged gradients, statistics, the wish to stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolbox import ranks


class GradientAverage:
    """Gradients averaged over ranks by one flattened all-reduce a phase.

    With them travels a number that says that a loss was not finite. Beside them, from host to host so that
    nobody waits for the device: a flag for each parameter (has it a gradient anywhere?), and one that asks
    everybody to stop, so that a signal to one process ends the run on all after the same iteration.

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
        *there, stopping = ranks.sum_over_ranks(torch.tensor(flags)).tolist()
        self.stopping = bool(stopping)
        moving = [parameter for parameter, flag in zip(parameters, there, strict=True) if flag]
        by_type = _by_type(moving)
        if bad is not None and not by_type:
            return (ranks.sum_over_ranks(bad) > 0).float()
        for number, members in enumerate(by_type.values()):
            parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in members]
            if bad is not None and number == 0:
                parts.append(bad.to(parts[0]).view(1))
            total = ranks.sum_over_ranks(torch.cat(parts))
            if bad is not None and number == 0:
                total, any_bad = total[:-1], total[-1]
                bad = (any_bad > 0).float()
            _write_back(members, total / ranks.world())
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


def _write_back(parameters: Sequence[nn.Parameter], flat: Tensor) -> None:
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
