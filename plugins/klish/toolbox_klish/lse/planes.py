"""A linear extractor as a classifier of features: what segments images of clusterers takes it as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox_klish.lse.extractors import LSE


@dataclass(frozen=True)
class Planes:
    """K planes over the joined channels of some layers, coarse to fine: ``segment(planes, maps, size)``.

    Attributes:
        weight: (K, D) float32.
        bias: (K,).
        part_names: K names.
        layers: whose maps are joined.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    part_names: Sequence[str]
    layers: Sequence[str]

    @classmethod
    def of(cls, extractor: LSE) -> Planes:
        """Those of a linear extractor; lambda is multiplied in."""
        factors = extractor.factors().detach().cpu().numpy()
        convolutions: Any = extractor.extractor
        weights = [
            factor * convolution.weight.detach().cpu().numpy()[:, :, 0, 0]
            for factor, convolution in zip(factors, convolutions, strict=True)
        ]
        bias = np.zeros(len(extractor.part_names), dtype=np.float32)
        for factor, convolution in zip(factors, convolutions, strict=True):
            if convolution.bias is not None:
                bias += factor * convolution.bias.detach().cpu().numpy()
        return cls(np.concatenate(weights, axis=1), bias, extractor.part_names, extractor.layers)

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.bias)

    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, K) of features (N, D)."""
        found: NDArray[np.floating] = np.asarray(features) @ self.weight.T + self.bias
        return found

    def predict(self, features: ArrayLike) -> NDArray[np.integer]:
        """(N,) number of the part of the highest score."""
        return np.asarray(self.scores(features).argmax(axis=1))
