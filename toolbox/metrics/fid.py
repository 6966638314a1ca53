"""FID: Frechet distance between feature sets (Heusel et al. 2017), over all images or class by class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import FeatureMetric
from toolbox.metrics.functional.frechet import frechet_distance, frechet_from_features
from toolbox.metrics.reference import Gaussian, read_gaussian
from toolbox.metrics.statistics import ClassMoments, FeatureBank, Moments, Statistics


class FID(FeatureMetric):
    """|m_r - m_g|^2 + tr(C_r) + tr(C_g) - 2 tr((C_r C_g)^(1/2)), eq. 6; [0, inf), lower is better.

    It is biased upwards by about constant / N: only values of one N are comparable.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images; None: as many as are fed.
        ddof: 1 divides covariances by n - 1 (all libraries but StyleGAN's, which has 0).
        reference: a ``.npz`` with ``mu`` and ``sigma`` of the real images, as pytorch-fid and TTUR write it.
        reference_protocol: the extractor's name for which that file was made. Such files do not say.

    Raises:
        ValueError: when the reference was made by another protocol.
    """

    title = "fid"
    statistics = Moments
    real: Moments
    fake: Moments

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        ddof: int = 1,
        reference: str | Path | None = None,
        reference_protocol: str | None = None,
    ) -> None:
        super().__init__(extractor, n_fake)
        self.ddof = _checked_ddof(ddof)
        self.reference: Gaussian | None = None
        if reference is not None:
            self.reference = read_gaussian(reference, reference_protocol, self.extractor)
            self.uses_real = False
            self.needs = ("fake",)

    def options(self) -> list[str]:
        return [] if self.ddof == 1 else [f"ddof{self.ddof}"]

    def compute(self) -> dict[str, float]:
        self._check_ready()
        real = self.reference or Gaussian(self.real.mean.numpy(), self.real.covariance(self.ddof).numpy())
        fake = self.fake.mean.numpy(), self.fake.covariance(self.ddof).numpy()
        return {"": frechet_distance(real.mean, real.covariance, *fake)}


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
        self.ddof = _checked_ddof(ddof)
        self._classes: dict[int, dict[str, float]] | None = None

    def empty(self) -> Statistics:
        return (FeatureBank if self.keep_features else ClassMoments)(self.extractor.n_features)

    def options(self) -> list[str]:
        return [] if self.ddof == 1 else [f"ddof{self.ddof}"]

    def compute(self) -> dict[str, float]:
        self._check_ready()
        classes = self._classes = self.per_class()
        values = [c["value"] for c in classes.values()]
        return {
            "": float(np.mean(values)),
            "std": float(np.std(values)),
            "n_real": float(min(c["n_real"] for c in classes.values())),
            "n_fake": float(min(c["n_fake"] for c in classes.values())),
        }

    def details(self) -> dict[str, Any]:
        """Adds 'classes', {label: {'value', 'n_real', 'n_fake'}}, after ``compute``."""
        classes = {} if self._classes is None else {"classes": {str(k): v for k, v in self._classes.items()}}
        return {**super().details(), **classes}

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
        least = 2 if self.keep_features else self.extractor.n_features + 1
        label = min(sizes, key=lambda key: sizes[key])
        if sizes[label] < least:
            mend = "" if self.keep_features else ", or keep_features=True, which is exact for few images"
            raise ValueError(
                f"{self.title}: class {label} has {sizes[label]} {origin} images, at least {least} are "
                f"needed: feed more{mend}"
            )

    def _distance(self, label: int) -> float:
        if isinstance(self.real, FeatureBank) and isinstance(self.fake, FeatureBank):
            return frechet_from_features(
                self.real.features[self.real.labels == label],
                self.fake.features[self.fake.labels == label],
                self.ddof,
            )
        assert isinstance(self.real, ClassMoments) and isinstance(self.fake, ClassMoments)
        real, fake = self.real.of[label], self.fake.of[label]
        return frechet_distance(
            real.mean.numpy(),
            real.covariance(self.ddof).numpy(),
            fake.mean.numpy(),
            fake.covariance(self.ddof).numpy(),
        )


def _sizes(statistics: Statistics) -> dict[int, int]:
    if isinstance(statistics, ClassMoments):
        return {label: moments.n for label, moments in statistics.of.items()}
    assert isinstance(statistics, FeatureBank)
    labels, counts = np.unique(statistics.labels, return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


def _checked_ddof(ddof: int) -> int:
    if ddof not in (0, 1):
        raise ValueError(f"ddof={ddof}: allowed are 1 (divide by n - 1) and 0 (by n)")
    return ddof
