"""ID: how much of a person's identity an adapted portrait keeps; and cosines of other features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import FeatureExtractor
from toolbox_ipl.metrics.building import built_extractor
from toolbox_ipl.metrics.rows import PairMetric, mean_and_spread
from toolbox_ipl.networks.irse50 import IRSE50


class ImageSimilarity(PairMetric):
    """mean_i cos(f(a_i), f(b_i)) of an extractor's features f of pairs a, b; [-1, 1], more is alike.

    Takes pairs of images (N, 3, H, W) in [-1, 1] that a source and an adapted generator make of the same
    latents. The extractor is part of the name; it is no identity, unless it is one of faces.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many pairs; None: as many as are fed.

    ``compute`` gives the mean ('') and the standard deviation over pairs ('std').

    >>> import torch
    >>> from toolbox.interfaces import Sample
    >>> images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> metric = ImageSimilarity(extractor=dict(type="PooledPixels"))
    >>> metric.update_pairs(Sample(images), Sample(images))
    >>> metric.name, round(metric.compute()[""], 6)
    ('image-cosine[pixels-4x4,4]', 1.0)
    """

    title = "image-cosine"
    higher_is_better = True

    def __init__(self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None) -> None:
        super().__init__(n_fake)
        self.extractor = built_extractor(extractor)

    def protocol(self) -> list[str]:
        return [self.extractor.name]

    def of_pairs(self, source: Tensor, fake: Tensor) -> Tensor:
        """(N,) cosines."""
        extractor = self.extractor.to(source.device).eval()
        return F.cosine_similarity(extractor(source).double(), extractor(fake).double(), dim=1)

    def compute(self) -> dict[str, float]:
        return mean_and_spread(self.checked_values())

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result."""
        return {"n_fake": self.rows.n, "extractor": self.extractor.fingerprint()}


class IdentitySimilarity(ImageSimilarity):
    """ID = mean_i cos(f(a_i), f(b_i)) of IR-SE50's embeddings f of portraits; [-1, 1], more is alike.

    Takes pairs of aligned portraits (N, 3, H, W) in [-1, 1], of which f sees the face (:class:`IRSE50`).
    Without its file take :class:`ImageSimilarity`, whose name says what it compares.

    Args:
        weights: ``model_ir_se50.pth``.
        n_fake: how many pairs; None: as many as are fed.

    ``compute`` gives the mean ('') and the standard deviation over pairs ('std').

    >>> IdentitySimilarity()
    Traceback (most recent call last):
    FileNotFoundError: IRSE50: weights is not given; it takes model_ir_se50.pth of ...
    """

    title = "id"

    def __init__(self, weights: str | Path | None = None, n_fake: int | None = None) -> None:
        super().__init__(IRSE50(weights), n_fake)
        self.weights = weights
