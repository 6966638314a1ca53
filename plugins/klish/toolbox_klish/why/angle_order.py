"""KLiSH's machines, merged in the order of angles: what the order alone does. No step of the paper."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.algorithm.merge import MergeLoop


class AngleOrder(MergeLoop):
    """The two clusters join whose rows make the smallest angles on average (average linkage of cosines)."""

    def choose(self) -> tuple[int, int]:
        """(kept, removed): the larger first cluster keeps its place."""
        cosines = self._cosines()
        place = np.unravel_index(cosines.argmax(), cosines.shape)
        kept, removed = (self.present[number] for number in sorted(map(int, place)))
        ecos = self.separability.ecos(removed, self.present).cpu().numpy()
        ecos[self.present.index(removed)] = 0.0
        self.tree.ecos.append(ecos)
        return kept, removed

    def _cosines(self) -> NDArray[np.float64]:
        """(K, K) mean cosine between the rows of two clusters: the product of their mean unit rows."""
        many = len(self.planes)
        sums = torch.zeros(many, self.blocks.width, dtype=torch.float64, device=self.blocks.device)
        for at, x in self.blocks:
            sums.index_add_(0, self.labels[at], torch.nn.functional.normalize(x.double(), dim=1))
        sums = self.blocks.sum(sums)[self.present]
        means = sums / self.separability.sizes[self.present, None].clamp_min(1)
        found = (means @ means.T).cpu().numpy()
        np.fill_diagonal(found, -np.inf)
        return np.asarray(found)


class KLiSHByAngle(KLiSH):
    """KLiSH with that order."""

    loop = AngleOrder
