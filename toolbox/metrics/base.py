"""What the metrics of this package share: an extractor, a name with protocol, statistics of both sets."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from toolbox.interfaces import FeatureExtractor, Metric, Sample
from toolbox.metrics.features import features_of
from toolbox.metrics.statistics import FeatureBank, Statistics


class ExtractorMetric(Metric):
    """A metric that looks at images through a feature extractor.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images the protocol takes; another number is an error at ``compute``. None:
            as many as are fed.
    """

    title: ClassVar[str]

    def __init__(self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None) -> None:
        if n_fake is not None and n_fake < 2:
            raise ValueError(f"n_fake={n_fake}: at least 2 generated images are needed")
        self.extractor = _built(extractor)
        self.n_fake = n_fake

    @property
    def name(self) -> str:
        """``title[extractor,number of fakes]``, with every option that changes the number after it."""
        parts = [self.extractor.name, short_count(self.n_fake or self.n_fed), *self.options()]
        return f"{self.title}[{','.join(parts)}]"

    @property
    def n_fed(self) -> int:
        """How many generated images were taken in."""
        raise NotImplementedError

    def options(self) -> list[str]:
        """What differs from the usual protocol, for the name."""
        return []

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result beside its numbers (JSON values)."""
        return {"n_fake": self.n_fed, "extractor": self.extractor.fingerprint()}

    def _check_count(self) -> None:
        if self.n_fake is not None and self.n_fed != self.n_fake:
            raise ValueError(
                f"{self.name}: {self.n_fed} generated images were fed, the protocol takes {self.n_fake}; "
                f"feed exactly so many (a sampler that pads its last batch feeds more), or set n_fake"
            )


class FeatureMetric(ExtractorMetric):
    """A metric computed from statistics of real and of generated features.

    Attributes:
        real, fake: the statistics. ``real`` may be a cached reference (:meth:`use_reference`).
        uses_real: whether real images must be fed.
    """

    statistics: ClassVar[type[Statistics]] = FeatureBank

    def __init__(self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None) -> None:
        super().__init__(extractor, n_fake)
        self.real, self.fake = self.empty(), self.empty()
        self.uses_real = True
        self._cached = False

    def empty(self) -> Statistics:
        """Statistics of no images."""
        return self.statistics(self.extractor.n_features)

    @property
    def n_fed(self) -> int:
        return self.fake.n

    def use_reference(self, real: Statistics) -> None:
        """Take the statistics of the real images from a cache; they outlive ``reset`` and are not part of
        ``state``.
        """
        needed = self.empty()
        if (real.kind, real.n_features) != (needed.kind, needed.n_features):
            raise ValueError(
                f"{self.title} needs {needed.kind!r} of {needed.n_features} features: got {real.kind!r} "
                f"of {real.n_features}"
            )
        self.real, self._cached = real, True

    def update_real(self, sample: Sample) -> None:
        """Take in real images.

        Raises:
            ValueError: when cached statistics are in use, or an image lacks what the metric needs.
        """
        if self._cached:
            raise ValueError(f"{self.title}: real images fed on top of cached statistics would count twice")
        if self.uses_real:
            self._update(self.real, sample, "real")

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images."""
        self._update(self.fake, sample, "generated")

    def _update(self, statistics: Statistics, sample: Sample, origin: str) -> None:
        labels = self._labels(sample, origin) if "labels" in self.needs else sample.condition.labels
        statistics.update(features_of(self.extractor, sample), labels, sample.index)

    def _labels(self, sample: Sample, origin: str) -> Tensor:
        labels = sample.condition.labels
        if labels is None:
            raise ValueError(f"{self.title} needs labels: condition.labels of the {origin} images is None")
        if (labels < 0).any():
            raise ValueError(
                f"{self.title} needs labels: {int((labels < 0).sum())} {origin} images of the batch have "
                f"hidden ones (-1)"
            )
        return labels

    def _check_ready(self) -> None:
        self._check_count()
        for origin, statistics in (("real", self.real), ("generated", self.fake)):
            if statistics.n < 2 and (origin == "generated" or self.uses_real):
                raise ValueError(
                    f"{self.title}: {statistics.n} {origin} images were fed, at least 2 are needed"
                )

    def details(self) -> dict[str, Any]:
        return {**super().details(), "n_real": self.real.n}

    def state(self) -> dict[str, Any]:
        """``fake.*``, and ``real.*`` unless the reals come from a cache (else merging would count them
        twice).
        """
        state = {f"fake.{key}": value for key, value in self.fake.state().items()}
        if self.uses_real and not self._cached:
            state |= {f"real.{key}": value for key, value in self.real.state().items()}
        return state

    def merge(self, state: dict[str, Any]) -> None:
        """Fold in what another process was fed."""
        for origin, statistics in (("fake", self.fake), ("real", self.real)):
            part = {
                key.removeprefix(f"{origin}."): value
                for key, value in state.items()
                if key.startswith(f"{origin}.")
            }
            if part:
                statistics.merge(part)

    def reset(self) -> None:
        """Forget the fakes, and the reals unless they come from a cache."""
        self.fake = self.empty()
        if not self._cached:
            self.real = self.empty()


class BankMetric(FeatureMetric):
    """A metric that needs the features themselves."""

    statistics = FeatureBank
    real: FeatureBank
    fake: FeatureBank


def short_count(n: int) -> str:
    """2000 as '2k', for names.

    >>> short_count(50_000), short_count(2_048)
    ('50k', '2048')
    """
    return f"{n // 1000}k" if n and n % 1000 == 0 else str(n)


def _built(extractor: FeatureExtractor | dict[str, Any]) -> FeatureExtractor:
    if isinstance(extractor, FeatureExtractor):
        return extractor
    from toolbox.registry import build

    return build(extractor)
