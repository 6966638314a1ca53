"""Precision, recall, density and coverage (Kynkaanniemi et al. 2019; Naeem et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import BankMetric, short_count
from toolbox.metrics.functional.precision_recall import precision_recall
from toolbox.ranges import check_seed, check_whole, given


class PrecisionRecall(BankMetric):
    """Four shares of one neighbour search; all higher is better.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images; None: as many as are fed.
        n_real: how many real images, drawn from those fed by a fixed seed; None: all. Part of the protocol.
        k: neighbours that make the ball of an image.
        seed: of the drawn reals.

    ``compute`` gives 'precision', 'recall' and 'coverage' in [0, 1] and 'density' in [0, inf). There is no
    single value under the empty key.
    """

    title = "precision-recall"
    higher_is_better = True

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        n_real: int | None = None,
        k: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__(extractor, n_fake)
        check_whole(1, k=k, **given(n_real=n_real))
        check_seed(seed=seed)
        self.n_real = n_real
        self.k = k
        self.seed = seed

    def options(self) -> list[str]:
        reals = [f"real{short_count(self.n_real)}"] if self.n_real else []
        return reals if self.k == 3 else [*reals, f"k{self.k}"]

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        if (self.n_real or 0) > n_real:
            return f"cannot be computed: n_real={self.n_real}, and there are {n_real} real images"
        if min(self.n_real or n_real, n_fake) <= self.k:
            return f"cannot be computed of {n_real} real and {n_fake} generated images: k={self.k} neighbours"
        return super().shortage(n_real, per_class, n_fake)

    def compute(self) -> dict[str, float]:
        self._check_ready()
        return precision_recall(self._drawn_reals(), self.fake.features, self.k)

    def _drawn_reals(self) -> np.ndarray:
        features = self.real.features
        if self.n_real is None:
            return features
        if self.n_real > len(features):
            raise ValueError(
                f"n_real={self.n_real}: {len(features)} real images were fed; feed more, or lower n_real"
            )
        order = np.random.RandomState(self.seed).permutation(len(features))
        return features[order[: self.n_real]]
