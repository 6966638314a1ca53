"""The mean feature of each part as a classifier: the nearest centroid (table I, Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.features import stack_maps
from toolbox_klish.lse.planes import Planes


class Centroids:
    """Sums of features by part, image after image.

    Args:
        part_names: K of them.
        layers: names of the maps.
        channels: their widths, D in all.
    """

    def __init__(self, part_names: Sequence[str], layers: Sequence[str], channels: Sequence[int]) -> None:
        self.part_names, self.layers, self.channels = list(part_names), tuple(layers), tuple(channels)
        self.sums = torch.zeros(len(part_names), sum(channels), dtype=torch.float64)
        self.counts = torch.zeros(len(part_names), dtype=torch.int64)

    def take(self, maps: Sequence[Tensor], labels: Tensor) -> None:
        """Add the pixels of maps (N, C_l, h_l, w_l), resized to labels (N, H, H)."""
        own = F.one_hot(labels, len(self.part_names)).movedim(-1, 1).float()  # (N, K, H, H)
        for layer, part in zip(maps, self.sums.split(self.channels, dim=1), strict=True):
            large = stack_maps([layer], labels.shape[-1])
            part += torch.einsum("nkhw,nchw->kc", own, large).double().cpu()
        self.counts += own.sum(dim=(0, 2, 3)).long().cpu()

    def planes(self) -> Planes:
        """w = c, b = -|c|^2 / 2: the nearest centroid scores highest; a part never seen is never found."""
        means = (self.sums / self.counts.clamp(min=1)[:, None]).numpy()
        bias = -0.5 * np.square(means).sum(axis=1)
        bias[self.counts.numpy() == 0] = -np.inf
        return Planes(means.astype(np.float32), bias.astype(np.float32), self.part_names, self.layers)

    def state(self) -> dict[str, Any]:
        """The sums so far."""
        return dict(sums=self.sums.clone(), counts=self.counts.clone())

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.sums, self.counts = state["sums"], state["counts"]
