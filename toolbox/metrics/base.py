"""What metrics of images share: features through an extractor, their statistics, a name with protocol.

Images are rounded to 8 bits first, as files on disk are; one pass serves all metrics of a network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from toolbox.interfaces import FeatureExtractor, Metric, Sample, from_bytes
from toolbox.ranges import check_whole, given

T = TypeVar("T")
State = dict[str, Tensor]
TOLERANCE = 1e-3  # how far beyond [-1, 1] a float image may lie: rounding of a tanh in half precision


def quantise(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1] rounded to 8 bits: uint8 = trunc(255 (x + 1) / 2 + 1/2), clamped.

    Generated images are rounded because real ones are; without it the distance measures the rounding.

    Raises:
        ValueError: for another shape, values beyond [-1, 1] by more than 1e-3, or NaN (naming the image).
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images have shape {tuple(images.shape)}: expected (N, 3, H, W), RGB")
    if not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype}: expected floats in [-1, 1]; for 8 bits use x / 127.5 - 1"
        )
    outside = ~(images.abs() <= 1 + TOLERANCE)  # not >: a NaN is outside too
    if outside.any():
        row = int(outside.flatten(1).any(dim=1).int().argmax())
        low, high = images[row].min().item(), images[row].max().item()
        raise ValueError(f"image {row} of the batch spans {low:.4g} to {high:.4g}: expected [-1, 1]")
    return ((images.float().clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8)


def features_of(extractor: FeatureExtractor, sample: Sample) -> Tensor:
    """Features (N, D) float32 of the rounded images, from ``sample.extras`` where they are there."""
    key = feature_key(extractor)
    if key not in sample.extras:
        sample = with_features(sample, [extractor])
    return sample.extras[key]


def with_features(sample: Sample, extractors: Iterable[FeatureExtractor]) -> Sample:
    """The sample with every extractor's features in its extras, each network run once.

    Two extractors of one fingerprint share their features; one with a ``base`` (a classifier on another's
    features) shares the base's.
    """
    images = from_bytes(quantise(sample.images))
    found = {key: value for key, value in sample.extras.items() if key.startswith("features:")}
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        for extractor in extractors:
            _extract(extractor, images, found)
    return sample.replace(extras={**sample.extras, **found})


def feature_key(extractor: FeatureExtractor) -> str:
    """Where :func:`with_features` leaves an extractor's features among a sample's extras."""
    return f"features:{extractor.fingerprint()}"


def _extract(extractor: Any, images: Tensor, found: dict[str, Tensor]) -> Tensor:
    key = feature_key(extractor)
    if key not in found:
        base = getattr(extractor, "base", None)
        features = extractor(images) if base is None else extractor.head(_extract(base, images, found))
        found[key] = features.float()
    return found[key]


class Statistics(ABC):
    """What is kept of a stream of feature vectors.

    Statistics add up: ``merge`` of the parts' states gives those of the whole, in any order, to the last bit
    where the parts were fed the same batches.

    Attributes:
        kind: short name, under which a cache stores them.
        n: how many vectors were taken in.
        n_features: D.
    """

    kind: ClassVar[str]

    def __init__(self, n_features: int) -> None:
        self.n = 0
        self.n_features = n_features

    @abstractmethod
    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        """Take in features (N, D), with labels (N,) and global index (N,) where they are used.

        Raises:
            ValueError: for another width, or a value that is not finite (naming the image).
        """

    @abstractmethod
    def state(self) -> State:
        """Named tensors on the CPU."""

    @abstractmethod
    def merge(self, state: State) -> None:
        """Fold in the state of another part.

        Raises:
            ValueError: when shapes do not fit, or a value is not finite.
        """

    def _checked(self, features: Tensor, index: Tensor | None) -> Tensor:
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(f"features have shape {tuple(features.shape)}: expected (N, {self.n_features})")
        features = features.detach().cpu()
        bad = (~torch.isfinite(features)).any(dim=1)
        if bad.any():
            row = int(bad.int().argmax())
            which = int(index[row]) if index is not None else self.n + row
            raise ValueError(
                f"features of image {which} are not finite ({int(bad.sum())} such images in the batch): "
                f"look at the images, or at the extractor's precision"
            )
        return features


class FeatureBank(Statistics):
    """All features (float32), their labels and places: for neighbour, kernel and few-sample distances."""

    kind = "features"

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        none = torch.empty(0, dtype=torch.int64)
        self._parts: list[State] = [{"features": torch.empty(0, n_features), "labels": none, "index": none}]
        self._sorted = True
        self._derived: dict[str, Any] = {}

    def update(self, features: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> None:
        features = self._checked(features, index).float()
        n = len(features)
        part = {
            "features": features.clone(),
            "labels": torch.full((n,), -1) if labels is None else labels.cpu().long(),
            "index": torch.arange(self.n, self.n + n) if index is None else index.cpu().long(),
        }
        self._append(part)

    def state(self) -> State:
        """Features (n, D), labels (n,) and index (n,), in the order of the index whatever order they came in.

        Raises:
            ValueError: when an image was fed twice (a sampler that pads its last batch does that).
        """
        if not self._sorted:
            joined = {key: torch.cat([part[key] for part in self._parts]) for key in self._parts[0]}
            order = joined["index"].argsort(stable=True)
            self._parts = [{key: value[order] for key, value in joined.items()}]
            self._refuse_repeats(self._parts[0]["index"])
            self._sorted = True
        return dict(self._parts[0])

    def merge(self, state: State) -> None:
        n = len(state["features"])
        check_state(state, {"features": (n, self.n_features), "labels": (n,), "index": (n,)})
        self._append(dict(state))

    @property
    def features(self) -> np.ndarray:
        """(n, D) float32, in the order of the index."""
        return self.state()["features"].numpy()

    @property
    def labels(self) -> np.ndarray:
        """(n,) int64, -1 where none was given, in the order of the index."""
        return self.state()["labels"].numpy()

    def once(self, key: str, compute: Callable[[], Any]) -> Any:
        """``compute()``, kept under the key until more features come in."""
        if key not in self._derived:
            self._derived[key] = compute()
        return self._derived[key]

    def _append(self, part: State) -> None:
        self._parts.append(part)
        self._sorted = False
        self._derived = {}
        self.n += len(part["features"])

    @staticmethod
    def _refuse_repeats(index: Tensor) -> None:
        repeated = index[1:][index[1:] == index[:-1]]
        if len(repeated):
            raise ValueError(
                f"image {int(repeated[0])} was fed twice ({len(repeated)} repeated images): give each its "
                f"own Sample.index, and do not pad the last batch"
            )


def check_state(state: State, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a state of statistics that lacks an entry, or has one of another shape or not finite."""
    for key, shape in shapes.items():
        if key not in state:
            raise ValueError(f"statistics lack {key!r}: they hold {', '.join(sorted(state)) or 'nothing'}")
        if tuple(state[key].shape) != shape:
            raise ValueError(
                f"statistics: {key!r} has shape {tuple(state[key].shape)}, expected {shape}; "
                f"they come from another extractor"
            )
        if not torch.isfinite(state[key]).all():
            raise ValueError(f"statistics: {key!r} holds values that are not finite")


class ExtractorMetric(Metric):
    """A metric that looks at images through a feature extractor.

    Args:
        extractor: a FeatureExtractor, or the config of one.
        n_fake: how many generated images the protocol takes; another number is an error at ``compute``. None:
            as many as are fed.
    """

    title: ClassVar[str]
    extractor: FeatureExtractor

    def __init__(self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None) -> None:
        check_whole(2, **given(n_fake=n_fake))
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
        raise NotImplementedError(
            f"{type(self).__name__} must say how many generated images it was fed: n_fed"
        )

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

    def __init__(self, extractor: FeatureExtractor | dict[str, Any], n_fake: int | None = None) -> None:
        super().__init__(extractor, n_fake)
        self.real, self.fake = self.empty(), self.empty()
        self.uses_real = True
        self._cached = False

    def empty(self) -> Statistics:
        """Statistics of no images."""
        raise NotImplementedError(f"{type(self).__name__} must give the statistics of no images: empty()")

    @property
    def n_fed(self) -> int:
        return self.fake.n

    def use_reference(self, real: Statistics) -> None:
        """Take the real images' statistics from a cache. They outlive ``reset`` and are not in ``state``."""
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

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        if min(n_real if self.uses_real else 2, n_fake) < 2:
            return f"cannot be computed of {n_real} real and {n_fake} generated images, at least 2 are needed"
        return ""

    def details(self) -> dict[str, Any]:
        return {**super().details(), "n_real": self.real.n}

    def state(self) -> dict[str, Any]:
        """``fake.*``, and ``real.*`` unless they come from a cache (merging would count them twice)."""
        state = {f"fake.{key}": value for key, value in self.fake.state().items()}
        if self.uses_real and not self._cached:
            state |= {f"real.{key}": value for key, value in self.real.state().items()}
        return state

    def merge(self, state: dict[str, Any]) -> None:
        """Fold in what another process was fed."""
        for prefix, statistics in (("fake.", self.fake), ("real.", self.real)):
            part = below(prefix, state)
            if part:
                statistics.merge(part)

    def reset(self) -> None:
        """Forget the fakes, and the reals unless they come from a cache."""
        self.fake = self.empty()
        if not self._cached:
            self.real = self.empty()


class BankMetric(FeatureMetric):
    """A metric that needs the features themselves."""

    real: FeatureBank
    fake: FeatureBank

    def empty(self) -> FeatureBank:
        return FeatureBank(self.extractor.n_features)


def below(prefix: str, entries: Mapping[str, T]) -> dict[str, T]:
    """The entries whose names begin with the prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}


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
