"""How far apart images of different labels lie in a feature space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import BankMetric
from toolbox.metrics.functional.captions import label_silhouette
from toolbox.ranges import check_seed, check_whole, given


class LabelSilhouette(BankMetric):
    """Mean silhouette of features grouped by labels, in [-1, 1]; higher: labels lie further apart.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images; None: as many as are fed.
        distance: any of scikit-learn's, such as 'cosine' or 'euclidean'.
        most: images of a kind that are drawn where there are more; None: all.
        seed: of that draw.

    ``compute`` gives the value of generated images ('') and of real ones ('real').
    """

    title = "label-silhouette"
    needs: tuple[str, ...] = ("real", "fake", "labels")
    higher_is_better = True

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        distance: str = "cosine",
        most: int | None = 5000,
        seed: int = 0,
    ) -> None:
        super().__init__(extractor, n_fake)
        check_whole(3, **given(most=most))
        check_seed(seed=seed)
        self.distance = distance
        self.most = most
        self.seed = seed

    def options(self) -> list[str]:
        fewer = self.most is not None and self.most < max(self.fake.n, self.n_fake or 0)
        other = [] if self.distance == "cosine" else [self.distance]
        return [*other, f"{self.most}drawn"] if fewer else other

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        if len(per_class) < 2:
            return f"cannot be computed of {len(per_class)} classes"
        return super().shortage(n_real, per_class, n_fake)

    def compute(self) -> dict[str, float]:
        self._check_ready()
        sides = {"": self.fake, "real": self.real}
        return {
            key: label_silhouette(side.features, side.labels, self.distance, self.most, self.seed)
            for key, side in sides.items()
        }
