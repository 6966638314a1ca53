"""Metrics that read a classifier's logits, and the accuracy that one reaches on generated images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import BankMetric
from toolbox.metrics.functional.accuracy import accuracy_scores
from toolbox.metrics.probe import Probe, train_probe


class LogitMetric(BankMetric):
    """A metric of logits: the extractor's output itself, or a probe's on its features.

    Args:
        extractor: gives logits (a classifier such as :class:`~toolbox.metrics.probe.ProbeClassifier`, or the
            Inception network's ``logits_unbiased``), or features when ``probe`` is set; or the config of one.
        n_fake: how many generated images; None: as many as are fed.
        probe: train a linear classifier on the real images' features and true labels.
    """

    def __init__(
        self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None, probe: bool = False
    ) -> None:
        super().__init__(extractor, n_fake)
        self.probe = self.uses_real = probe
        self._trained: Probe | None = None

    def options(self) -> list[str]:
        return ["probe"] if self.probe else []

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        if self.probe and (len(per_class) < 2 or min(per_class) < 1):
            return "cannot be computed: a probe needs at least 2 classes and real images of each"
        return super().shortage(n_real, per_class, n_fake)

    def logits(self) -> np.ndarray:
        """(N, C) of the generated images, in the order of their index."""
        if not self.probe:
            return self.fake.features
        if (self.real.labels < 0).any():
            raise ValueError(
                f"{self.title}: a probe is trained on true labels, and some real images have none"
            )
        self._trained = self.real.once("probe", lambda: train_probe(self.real.features, self.real.labels))
        return self._trained.logits(self.fake.features)

    def details(self) -> dict[str, Any]:
        """Adds 'probe_train_accuracy' after ``compute``."""
        details = super().details()
        if self._trained is not None:
            details["probe_train_accuracy"] = self._trained.train_accuracy
        return details

    def reset(self) -> None:
        super().reset()
        self._trained = None


class ClassifierAccuracy(LogitMetric):
    """How often a classifier sees in a generated image the class that was asked for; [0, 1], more is better.

    Args:
        extractor: see :class:`LogitMetric`. It should not be the classifier that the generator was trained
            with.
        n_fake: how many generated images; None: as many as are fed.
        probe: train a linear classifier on the real images' features and true labels (default); False when
            the extractor gives logits.

    ``compute`` gives top-1 ('') and the mean over classes ('balanced').
    """

    title = "classifier-accuracy"
    needs: tuple[str, ...] = ("real", "fake", "labels")
    higher_is_better = True

    def __init__(
        self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None, probe: bool = True
    ) -> None:
        super().__init__(extractor, n_fake, probe)
        if not probe:
            self.needs = ("fake", "labels")

    def compute(self) -> dict[str, float]:
        self._check_ready()
        scores = accuracy_scores(self.logits(), self.fake.labels, top=1)
        return {"": scores["top1"], "balanced": scores["balanced"]}
