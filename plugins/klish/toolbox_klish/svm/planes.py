"""Linear scores of K classes, and the classifier made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


@dataclass
class Planes:
    """Hyperplanes of K classes: scores s_nk = w_k . x_n + b_k.

    Attributes:
        weight: (K, D).
        bias: (K,).
    """

    weight: Tensor
    bias: Tensor

    def __len__(self) -> int:
        return len(self.bias)

    def __getitem__(self, rows: list[int] | Tensor) -> Planes:
        return Planes(self.weight[rows], self.bias[rows])

    def __call__(self, features: Tensor) -> Tensor:
        """(n, K) scores of features (n, D), in the type of the features."""
        return torch.addmm(self.bias.to(features), features, self.weight.to(features).T)

    def to(self, device: torch.device) -> Planes:
        """The same planes on a device."""
        return Planes(self.weight.to(device), self.bias.to(device))

    def copy(self) -> Planes:
        """Planes of their own memory."""
        return Planes(self.weight.clone(), self.bias.clone())


def join(parts: list[Planes]) -> Planes:
    """All the planes, in order."""
    return Planes(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


class LinearClassifier:
    """K classes by the highest of K linear scores: what a cut through a hierarchy of clusters gives.

    Args:
        weight: (K, D).
        bias: (K,).
        labels: (N,) classes of the rows it was fitted on, or None where they are not known (after
            ``load_state``).
    """

    def __init__(
        self,
        weight: NDArray[np.floating],
        bias: NDArray[np.floating],
        labels: NDArray[np.integer] | None = None,
    ) -> None:
        self.weight_ = np.asarray(weight)
        self.bias_ = np.asarray(bias)
        self._labels = labels

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.bias_)

    @property
    def weight(self) -> NDArray[np.floating]:
        """(K, D), as ``weight_``."""
        return self.weight_

    @property
    def bias(self) -> NDArray[np.floating]:
        """(K,), as ``bias_``."""
        return self.bias_

    @property
    def labels_(self) -> NDArray[np.integer]:
        """(N,) classes of the fitted rows."""
        if self._labels is None:
            raise AttributeError(
                "labels_ of the fitted rows are not part of a saved state: "
                "fit again, or call predict(features)"
            )
        return self._labels

    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, K) scores of features (N, D): positive = inside."""
        if isinstance(features, Tensor):
            array = features.detach().cpu().float().numpy()
        else:
            array = np.asarray(features)
        if array.ndim != 2 or array.shape[1] != self.weight_.shape[1]:
            raise ValueError(
                f"features have shape {array.shape}: expected (N, {self.weight_.shape[1]}), "
                "the width fitted on"
            )
        if array.dtype == np.float16:
            array = array.astype(np.float32)  # scores may exceed 65504
        return np.asarray(array @ self.weight_.T.astype(array.dtype) + self.bias_.astype(array.dtype))

    def predict(self, features: ArrayLike) -> NDArray[np.integer]:
        """(N,) class with the highest score."""
        return np.asarray(self.scores(features).argmax(axis=1))
