"""Two sets of images by any metrics: data sets, or what a sampler draws, on either side."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.catalog import CatalogError, near_miss
from toolbox.data.base import ImageSet, to_tensor, to_uint8
from toolbox.data.pictures import resize
from toolbox.interfaces import Condition, Metric, Sample
from toolbox.metrics.evaluate import evaluate
from toolbox.plugins import host
from toolbox.registry import build, check
from toolbox.training.evaluation.measure import build_metric
from toolbox.training.game.sampler import Sampler
from toolbox.weights.fingerprint import fingerprint

#: Where pytorch-fid's Inception network is looked for, as the shipped configs do.
INCEPTION = "weights/pt_inception-2015-12-05-6726825d.pth"
_BLOCK = 50  # images drawn at a time where they are asked for one by one


class Drawn:
    """Images 0 to n-1 of a sampler, as a set of images and as a sampler of one size.

    Args:
        sampler: of a run, a release or a generator.
        n: how many.
        title: what it is called.
        image_size: pixels; None: as they are drawn.
    """

    def __init__(self, sampler: Sampler, n: int, title: str, image_size: int | None = None) -> None:
        self.sampler = sampler
        self.n = n
        self.title = title
        self.classes = sampler.class_names
        self.image_size = image_size or sampler.generator.image_size
        self._block: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.n

    def __call__(self, index: Tensor) -> Sample:
        """Images number ``index`` (n,)."""
        sample = self.sampler(index)
        if sample.images.shape[-1] == self.image_size:
            return sample
        pixels = [resize(image, self.image_size) for image in to_uint8(sample.images.cpu()).numpy()]
        return sample.replace(images=torch.stack([to_tensor(image) for image in pixels]))

    def image(self, i: int) -> np.ndarray:
        """uint8 (H, W, 3) of image i."""
        block = i // _BLOCK
        if self._block is None or self._block[0] != block:
            numbers = torch.arange(block * _BLOCK, min((block + 1) * _BLOCK, self.n))
            self._block = (block, to_uint8(self(numbers).images.cpu()).numpy())
        return np.asarray(self._block[1][i % _BLOCK])

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) int64 class that each image is asked to show; -1 where there are none."""
        found = self.sampler.conditions(torch.arange(self.n)).labels
        return np.full(self.n, -1) if found is None else found.cpu().numpy()

    def fingerprint(self) -> str:
        """Hex digest of what the images depend on."""
        parts = (fingerprint(self.sampler.generator), self.sampler.seed, self.n, self.image_size)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


Side = ImageSet | Drawn


def distance(
    reference: Side,
    judged: Side,
    metrics: Sequence[Metric],
    n: int | None = None,
    batch_size: int = 50,
    device: str = "cpu",
    seed: int = 0,
    record: Path | None = None,
) -> dict[str, float]:
    """Metrics of one set of images against another.

    Args:
        reference: takes the place of the real images, all of them.
        judged: takes the place of the generated ones.
        metrics: of :func:`chosen_metrics`.
        n: how many of ``judged``, drawn without replacement where they are fewer than it holds; None = all.
        batch_size, device: of the extractor.
        seed: of the draw.
        record: file to which one JSON line a metric is appended.

    Returns:
        {metric's name with protocol: value}.

    Raises:
        ValueError: when sizes or classes do not agree, or there are fewer images than n.
    """
    if reference.image_size != judged.image_size:
        raise ValueError(
            f"{reference.title} is {reference.image_size} pixels wide and {judged.title} "
            f"{judged.image_size}: say which with --image-size"
        )
    n = len(judged) if n is None else n
    if n > len(judged):
        raise ValueError(f"{judged.title} holds {len(judged)} images, fewer than the {n} asked for")
    with_labels = [metric.name for metric in metrics if "labels" in metric.needs]
    if with_labels and (reference.classes != judged.classes or not judged.classes):
        raise ValueError(
            f"{with_labels[0]} needs the same classes on both sides: {reference.title} has "
            f"{_listed(reference.classes)}, {judged.title} {_listed(judged.classes)}"
        )
    sampler = judged if isinstance(judged, Drawn) else _taken(judged, n, seed)
    return evaluate(sampler, reference, metrics, n, batch_size, seed=seed, device=device, record=record)


def _taken(images: ImageSet, n: int, seed: int) -> Any:
    """n images of a set as a sampler."""
    order = np.arange(len(images))
    if n < len(images):
        order = np.random.default_rng(seed).permutation(len(images))

    def taken(index: Tensor) -> Sample:
        rows = order[index.numpy()]
        pictures = torch.stack([to_tensor(images.image(int(i))) for i in rows])
        return Sample(pictures, Condition(labels=torch.from_numpy(images.labels[rows])))

    return taken


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "none"


def chosen_metrics(
    names: Sequence[str], extractor: str | None, options: Mapping[str, Any] | None = None
) -> dict[str, Metric]:
    """Metrics by the names of configs ('fid', 'precision_recall') or of components ('FID').

    Args:
        names: of the metrics.
        extractor: name of a registered one, or the file of FID's Inception network; None: that file where it
            lies in ``weights/``, else the shipped toy CLIP, with a ``notice``.
        options: arguments of the metrics by dotted key, such as ``{'kid.subset_size': 100}``.

    Raises:
        CatalogError: for an unknown name, with the near miss, or a metric that only a run has.
        BuildError: for an argument that the metric does not have.
    """
    known = {_snake(entry.name): entry.name for entry in host().catalog.entries("metric")}
    configs: dict[str, dict[str, Any]] = {}
    for name in names:
        kind = known.get(_snake(name))
        if kind is None:
            raise CatalogError(
                f"no metric is called {name!r}{near_miss(name, known)}; metrics: {', '.join(known)}"
            )
        if "modes" in check({"type": kind}, "metric").needs:
            raise CatalogError(f"{name} asks for clusters one by one, which a run has: toolbox test RUN")
        configs[_snake(name)] = {"type": kind}
    for key, value in (options or {}).items():
        name, _, argument = key.partition(".")
        if name not in configs or not argument:
            raise CatalogError(
                f"{key}: say METRIC.ARGUMENT of a metric that is measured{near_miss(name, configs)}; "
                f"metrics: {', '.join(configs)}"
            )
        configs[name][argument] = value
    shared = chosen_extractor(extractor)
    return {name: build_metric(config, name, dict(extractor=shared)) for name, config in configs.items()}


def chosen_extractor(name: str | None) -> Any:
    """The extractor of :func:`chosen_metrics`."""
    clip = dict(type="EmbeddedClipFeatures")
    if name is None:
        inception = dict(type="FIDInception", weights=INCEPTION)
        return build(dict(type="FirstAvailable", candidates=[inception, clip]), None, "--extractor")
    if Path(name).is_file():
        return build(dict(type="FIDInception", weights=name), "extractor", "--extractor")
    return build(dict(type=name), "extractor", "--extractor")


def _snake(name: str) -> str:
    """'PrecisionRecall' as 'precision_recall', 'IntraFID' as 'intra_fid'."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
