"""A classifier on frozen features, trained on real images: what judges the labels of generated ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.functional.checks import as_features, as_labels


@dataclass(frozen=True)
class Probe:
    """A linear classifier of features.

    Attributes:
        weight: (C, D) float64.
        bias: (C,) float64.
        train_accuracy: on the images that it was trained on, [0, 1].
    """

    weight: np.ndarray
    bias: np.ndarray
    train_accuracy: float

    def logits(self, features: ArrayLike) -> np.ndarray:
        """(N, C) float64 of features (N, D)."""
        return np.asarray(features, dtype=np.float64) @ self.weight.T + self.bias


def train_probe(
    features: ArrayLike,
    labels: ArrayLike,
    regularisation: float = 1e-3,
    iterations: int = 1000,
    limit: int | None = 20_000,
) -> Probe:
    """Multinomial logistic regression on standardised features; the same input gives the same classifier.

    Args:
        features: (N, D) of real images.
        labels: (N,) their true labels, 0 to C-1, every class present.
        regularisation: factor of |weights|^2 / 2 beside the mean cross-entropy (unknown in the paper).
        iterations: of L-BFGS, at most (unknown in the paper).
        limit: evenly spaced rows are used when there are more (unknown in the paper); None: all.

    Raises:
        ValueError: when a class has no image, or there is only one class.
    """
    from sklearn.linear_model import LogisticRegression

    x = _evenly(as_features(features, "features"), limit)
    y = _evenly(as_labels(labels, "labels"), limit)
    missing = sorted(set(range(int(y.max()) + 1)) - set(y.tolist()))
    if missing or y.max() == 0:
        raise ValueError(
            f"a probe needs at least 2 classes and images of each: none of class {missing or [1]}"
        )
    mean, std = x.mean(axis=0), x.std(axis=0)
    scale = 1.0 / np.where(std > 0, std, 1.0)  # a feature that does not vary stays as it is
    model = LogisticRegression(C=1.0 / (regularisation * len(x)), max_iter=iterations, tol=1e-3)
    model.fit((x - mean) * scale, y)
    weight, bias = _both_rows(model.coef_, model.intercept_)
    weight = weight * scale  # on features as they are, in place of standardised ones
    bias = bias - weight @ mean
    found = (x @ weight.T + bias).argmax(axis=1)
    return Probe(weight, bias, float((found == y).mean()))


class ProbeClassifier(FeatureExtractor):
    """A probe behind its extractor: logits (N, C) of images, for metrics that take a classifier.

    Args:
        base: the extractor whose features the probe reads; shared with other metrics in one pass.
        probe: as :func:`train_probe` returns it.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, base: FeatureExtractor, probe: Probe) -> None:
        super().__init__()
        self.base = base
        self.name = f"{base.name}-probe"
        self.n_features = len(probe.bias)
        self.register_buffer("weight", torch.from_numpy(probe.weight).float())
        self.register_buffer("bias", torch.from_numpy(probe.bias).float())

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, H, W) in [-1, 1]."""
        return self.head(self.base(images))

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, C) of the base's features (N, D)."""
        return torch.nn.functional.linear(features, self.weight, self.bias)

    def fingerprint(self) -> str:
        """sha256 of the base's fingerprint and the probe's weights."""
        digest = hashlib.sha256(self.base.fingerprint().encode())
        for tensor in (self.weight, self.bias):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()


def _evenly(values: np.ndarray, limit: int | None) -> np.ndarray:
    if limit is None or len(values) <= limit:
        return values
    return values[np.linspace(0, len(values) - 1, limit).astype(np.int64)]


def _both_rows(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For two classes scikit-learn keeps one row, the log odds of the second."""
    if len(bias) > 1:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
