"""Whether an image generated for a cluster is found in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import FeatureExtractor, Sample
from toolbox.metrics.base import ExtractorMetric, features_of

Assign = Callable[[Tensor, Tensor | None], Tensor]


class ClusterConsistency(ExtractorMetric):
    """Share of images with one-hot ``condition.weights`` that ``assign`` puts into that cluster.

    [0, 1], higher is better; chance is one over the clusters (of a class). Images of mixed weights are not
    counted.

    Args:
        extractor: the one on whose features the clusters were found, or the config of one.
        assign: (features (N, D), labels (N,) or None) -> cluster numbers (N,), numbered as the columns of the
            weights.
        n_fake: how many generated images; None: as many as are fed.

    ``compute`` gives the share ('') and the number of images of one-hot weights ('n').
    """

    title = "cluster-consistency"
    needs: tuple[str, ...] = ("fake", "weights", "modes")
    higher_is_better = True

    def __init__(
        self, extractor: FeatureExtractor | dict[str, Any], assign: Assign, n_fake: int | None = None
    ) -> None:
        super().__init__(extractor, n_fake)
        self.assign = assign
        self.reset()

    @property
    def n_fed(self) -> int:
        return int(self._counts[2])

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images with their weights (N, S).

        Raises:
            ValueError: when the images have no weights, or ``assign`` returns another number of clusters.
        """
        weights = sample.condition.weights
        if weights is None:
            raise ValueError(
                f"{self.title} needs condition.weights (N, S) of the generated images: they are None"
            )
        asked = weights.argmax(dim=1).cpu()  # (N,)
        one_hot = (weights.max(dim=1).values >= 1 - 1e-6).cpu()  # (N,)
        features = features_of(self.extractor, sample)
        found = torch.as_tensor(self.assign(features, sample.condition.labels)).cpu()
        if found.shape != asked.shape:
            raise ValueError(
                f"assign returned shape {tuple(found.shape)} for {len(asked)} images: expected (N,)"
            )
        hits = (found == asked) & one_hot
        self._counts += torch.tensor([int(hits.sum()), int(one_hot.sum()), len(asked)])

    def compute(self) -> dict[str, float]:
        self._check_count()
        hits, counted, _ = self._counts.tolist()
        if not counted:
            raise ValueError(
                f"{self.title}: none of the {self.n_fed} generated images has one-hot weights; draw them "
                f"with a sampler that asks for one cluster at a time"
            )
        return {"": hits / counted, "n": float(counted)}

    def state(self) -> dict[str, Any]:
        return {"counts": self._counts.clone()}

    def merge(self, state: dict[str, Any]) -> None:
        self._counts += state["counts"]

    def reset(self) -> None:
        self._counts = torch.zeros(3, dtype=torch.int64)  # hits, images of one-hot weights, images
