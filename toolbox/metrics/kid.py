"""KID: kernel distance between feature sets (Binkowski et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import BankMetric
from toolbox.metrics.functional.kid import subset_indices, subset_kernel_distances
from toolbox.ranges import check_seed, check_whole


class KID(BankMetric):
    """Mean over subsets of the unbiased squared MMD under the kernel (x.y/D + 1)^3; lower is better.

    It is about 0 (or slightly below) for equal distributions. Unlike FID its expectation does not depend on
    the number of images.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images; None: as many as are fed.
        subsets: how many are drawn.
        subset_size: images in each. A set that is smaller than that makes smaller subsets, another protocol:
            the name and ``details`` say so.
        seed: of the subsets; 2020 draws those of torch-fidelity.

    ``compute`` gives the mean ('') and the standard deviation over subsets ('std').
    """

    title = "kid"

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        subsets: int = 100,
        subset_size: int = 1000,
        seed: int = 2020,
    ) -> None:
        super().__init__(extractor, n_fake)
        check_whole(1, subsets=subsets)
        check_whole(2, subset_size=subset_size)
        check_seed(seed=seed)
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def options(self) -> list[str]:
        usual = (self.subsets, self._size) == (100, 1000)
        return [] if usual else [f"{self.subsets}x{self._size}"]

    @property
    def _size(self) -> int:
        """Images of a subset, no more than were fed."""
        return min([self.subset_size, *(n for n in (self.real.n, self.fake.n) if n)])

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        if (most := min(n_real, n_fake)) < self.subset_size:
            return f"subsets of {most} images, not {self.subset_size}: there are no more"
        return super().shortage(n_real, per_class, n_fake)

    def compute(self) -> dict[str, float]:
        self._check_ready()
        indices = subset_indices(self.real.n, self.fake.n, self.subsets, self._size, self.seed)
        values = subset_kernel_distances(self.real.features, self.fake.features, indices)
        return {"": float(values.mean()), "std": float(values.std())}

    def details(self) -> dict[str, Any]:
        details = {**super().details(), "subset_seed": self.seed}
        if self._size < self.subset_size:
            details["note"] = f"subsets of {self._size} images, not {self.subset_size}: there are no more"
        return details
