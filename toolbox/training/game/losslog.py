"""Losses between two readings: summed on the device, averaged over iterations and ranks when read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox import ranks


class LossLog:
    """Running means of named scalars; nothing waits for the device until :meth:`read`."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def note(self, name: str, value: Tensor) -> None:
        """Add a scalar."""
        value = value.detach()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def read(self) -> dict[str, Tensor]:
        """Means since the last reading, over all ranks (collective); forgets them."""
        means = {name: total / self.counts[name] for name, total in self._sums_of_all().items()}
        self.sums = {}
        self.counts = {}
        return means

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a run resumed between two readings logs the same (collective)."""
        return {"sums": self._sums_of_all(), "counts": dict(self.counts)}

    def load_state(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Continue where :meth:`state` was taken."""
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self.counts = {name: int(count) for name, count in state["counts"].items()}

    def _sums_of_all(self) -> dict[str, Tensor]:
        """Sums averaged over ranks, by one all-reduce."""
        if not self.sums or not ranks.running():
            return dict(self.sums)
        own = torch.stack([total.double() for total in self.sums.values()])
        return dict(zip(self.sums, ranks.mean_over_ranks(own).float(), strict=True))
