"""The contract of a feature extractor."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class FeatureExtractor(nn.Module, ABC):
    """A frozen network that maps images to vectors, for clustering and for metrics.

    Attributes:
        name: short, goes into protocol names (``toy-clip``, ``inception-tf``).
        n_features: length of a vector.
    """

    name: str
    n_features: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1], which it resizes and scales."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of weights and preprocessing: two extractors that agree on it give the same features."""
