"""FID class by class, averaged over classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import FeatureBank, FeatureMetric, State, Statistics
from toolbox.metrics.fid import Moments, checked_ddof
from toolbox.metrics.functional.frechet import frechet_distance, frechet_from_features


class IntraFID(FeatureMetric):
    """FID of each class on its own, averaged over classes; [0, inf), lower is better.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images, over all classes; None: as many as are fed.
        ddof: 1 divides covariances by n - 1, 0 by n.
        keep_features: True keeps all features, which is exact also for classes with no more images than
            features. False keeps moments of each class: for large sets, and refused for such small classes.

    ``compute`` gives the mean (''), the standard deviation over classes ('std'), and the sizes of the
    smallest class ('n_real', 'n_fake'); ``details`` the value and the sizes of every class.
    """

    title = "intra-fid"
    needs: tuple[str, ...] = ("real", "fake", "labels")

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        ddof: int = 1,
        keep_features: bool = True,
    ) -> None:
        self.keep_features = keep_features
        super().__init__(extractor, n_fake)
        self.ddof = checked_ddof(ddof)
        self._classes: dict[int, dict[str, float]] | None = None

    def empty(self) -> Statistics:
        return (FeatureBank if self.keep_features else ClassMoments)(self.extractor.n_features)

    def options(self) -> list[str]:
        return [] if self.ddof == 1 else [f"ddof{self.ddof}"]

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        label = int(np.argmin(per_class)) if len(per_class) else 0
        if len(per_class) and per_class[label] < self._least:
            return (
                f"cannot be computed: class {label} has {per_class[label]} real images, at least "
                f"{self._least} are needed"
            )
        if n_fake < self._least * len(per_class):
            return f"cannot be computed of {n_fake} generated images of {len(per_class)} classes"
        return super().shortage(n_real, per_class, n_fake)

    @property
    def _least(self) -> int:
        """Images of a class that a distance needs."""
        return 2 if self.keep_features else self.extractor.n_features + 1

    def compute(self) -> dict[str, float]:
        self._check_ready()
        self._classes = self.per_class()
        classes = list(self._classes.values())
        values = [found["value"] for found in classes]
        return {
            "": float(np.mean(values)),
            "std": float(np.std(values)),
            "n_real": float(min(found["n_real"] for found in classes)),
            "n_fake": float(min(found["n_fake"] for found in classes)),
        }

    def details(self) -> dict[str, Any]:
        """Adds 'classes', {label: {'value', 'n_real', 'n_fake'}}, after ``compute``."""
        details = super().details()
        if self._classes is not None:
            details["classes"] = {str(label): found for label, found in self._classes.items()}
        return details

    def reset(self) -> None:
        super().reset()
        self._classes = None

    def per_class(self) -> dict[int, dict[str, float]]:
        """{label: {'value', 'n_real', 'n_fake'}}.

        Raises:
            ValueError: when real and generated images are of different classes, or a class has too few.
        """
        real, fake = _sizes(self.real), _sizes(self.fake)
        if set(real) != set(fake):
            raise ValueError(
                f"{self.title}: classes {sorted(set(real) - set(fake))} were not generated and classes "
                f"{sorted(set(fake) - set(real))} have no real images; draw labels evenly"
            )
        self._check_sizes(real, "real")
        self._check_sizes(fake, "generated")
        return {
            label: {"value": self._distance(label), "n_real": real[label], "n_fake": fake[label]}
            for label in sorted(real)
        }

    def _check_sizes(self, sizes: dict[int, int], origin: str) -> None:
        least = self._least
        label = min(sizes, key=lambda key: sizes[key])
        if sizes[label] < least:
            mend = "" if self.keep_features else ", or keep_features=True, which is exact for few images"
            raise ValueError(
                f"{self.title}: class {label} has {sizes[label]} {origin} images, at least {least} are "
                f"needed: feed more{mend}"
            )

    def _distance(self, label: int) -> float:
        if isinstance(self.real, FeatureBank) and isinstance(self.fake, FeatureBank):
            real = self.real.features[self.real.labels == label]
            fake = self.fake.features[self.fake.labels == label]
            return frechet_from_features(real, fake, self.ddof)
        assert isinstance(self.real, ClassMoments) and isinstance(self.fake, ClassMoments)
        gaussians = self.real.of[label].gaussian(self.ddof), self.fake.of[label].gaussian(self.ddof)
        return frechet_distance(*gaussians[0], *gaussians[1])


def _sizes(statistics: Statistics) -> dict[int, int]:
    """{label: images}."""
    if isinstance(statistics, ClassMoments):
        return {label: moments.n for label, moments in statistics.of.items()}
    assert isinstance(statistics, FeatureBank)
    labels, counts = np.unique(statistics.labels, return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


class ClassMoments(Statistics):
    """Moments of each class: for intra-class distances on sets whose features do not fit in memory."""

    kind = "class_moments"

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.of: dict[int, Moments] = {}

    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        features = self._checked(features, index)
        if labels is None:
            raise ValueError("class moments need a label for every image")
        labels = labels.cpu()
        for label in labels.unique().tolist():
            self._class(label).update(features[labels == label])
        self.n += len(features)

    def state(self) -> State:
        """Labels (C,), and the state of each class stacked: n (C,), sum (C, 2, D), products (C, 2, D, D)."""
        labels = sorted(self.of)
        states = [self.of[label].state() for label in labels]
        none = Moments(self.n_features).state()  # stacked first and cut off again: there may be no class
        stacked = {key: torch.stack([none[key], *(state[key] for state in states)])[1:] for key in none}
        return {"labels": torch.tensor(labels, dtype=torch.int64), **stacked}

    def merge(self, state: State) -> None:
        for i, label in enumerate(state["labels"].tolist()):
            self._class(label).merge({key: state[key][i] for key in ("n", "sum", "products")})
        self.n += int(state["n"].sum())

    def _class(self, label: int) -> Moments:
        return self.of.setdefault(label, Moments(self.n_features))
