"""One pass over real and generated images for many metrics, shared by the ranks of a run."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Condition, FeatureExtractor, Metric, Sample, from_bytes
from toolbox.metrics.base import (
    FeatureMetric,
    Statistics,
    feature_key,
    with_features,
)
from toolbox.metrics.faults import Faults
from toolbox.metrics.reference import KINDS, RealStatistics
from toolbox.metrics.told import Told
from toolbox.runs.terminal import tracked
from toolbox.tf32 import tf32

Sampler = Callable[[Tensor], Sample]
Device = str | torch.device


class RealImages(Protocol):
    """What is asked of a data set: square 8-bit images (H, W, 3), true labels, a fingerprint of both."""

    image_size: int

    @property
    def labels(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def image(self, i: int) -> np.ndarray: ...

    def fingerprint(self) -> str: ...


@tf32(False)
def evaluate(
    sampler: Sampler,
    real_set: RealImages | None,
    metrics: Sequence[Metric],
    n_fake: int,
    batch_size: int = 64,
    seed: int = 0,
    cache_dir: str | Path | None = None,
    device: Device = "cpu",
    record: str | Path | None = None,
    failures: dict[str, str] | None = None,
    told: Told | None = None,
    source: Callable[[Sample], Sample] | None = None,
) -> dict[str, float]:
    """Compute metrics of generated against real images; every network sees every image once.

    Collective: in a run of several ranks all call it, each makes and reads its share of the batches, rank 0
    computes, and all get the same result. At one batch size it is the result of one process.

    Args:
        sampler: index (n,) int64 -> Sample of n images; image i must depend on i (and its own seed) alone, so
            that the batch size does not change the set.
        real_set: the real images, all of them, of the size that the sampler makes; None where no metric needs
            them.
        metrics: reset first; a metric with its own ``n_fake`` takes the first so many images. Afterwards rank
            0's hold everything, the others' their share.
        n_fake: how many images the other metrics take.
        batch_size: images at a time on one rank; changes nothing but speed and rounding.
        seed: of the sampler, for the record.
        cache_dir: folder of cached statistics of real images, read and written by rank 0; None: computed
            anew.
        device: where extractors run.
        record: file to which one JSON line a metric is appended, by rank 0.
        failures: is filled with {metric's name: why} of those that could not be computed; the others are.
            None: the first failure is raised.
        told: images and captions of metrics that need captions; None: the real ones, where they have some.
        source: generated images -> the others of their pairs, row by row, for metrics that need pairs.

    Returns:
        {name: value}; further values of a metric under ``name.key`` (``kid[tiny,2k].std``).

    Raises:
        ValueError: when two metrics have one name, the sampler returns another number or size of images, or a
            metric cannot be computed from what it was fed. On all ranks, whichever met it.
    """
    faults = Faults(metrics, borne=failures is not None)
    for metric in metrics:
        metric.reset()
        if metric.extractor is not None:
            metric.extractor.to(device).eval()
    checked = sampler
    if real_set is not None:
        _feed_real(real_set, metrics, batch_size, cache_dir, device, faults)
        checked = _of_size(sampler, real_set.image_size)
    if real_set is not None or told is not None:
        _feed_told(real_set, told, metrics, batch_size, seed, device, faults)
    ranks.together(lambda: _feed_fake(checked, source, metrics, n_fake, batch_size, device, faults))
    faults.agree()
    for metric in metrics:
        if not faults.hit(metric):
            _merge_ranks(metric)
    results = ranks.on_main(lambda: _computed(metrics, faults))
    if record is not None and ranks.is_main():
        _append_records(Path(record), metrics, results, real_set, seed, faults.by_name())
    if failures is not None:
        failures |= ranks.on_main(faults.by_name)
    flat: dict[str, float] = {}
    for name, values in results.items():
        flat |= {f"{name}.{key}" if key else name: value for key, value in values.items()}
    return flat


def _feed_real(
    real_set: RealImages,
    metrics: Sequence[Metric],
    batch_size: int,
    cache_dir: str | Path | None,
    device: Device,
    faults: Faults,
) -> None:
    """Give rank 0's metrics the statistics of real images: from the cache, or else from one pass."""
    users = [metric for metric in metrics if isinstance(metric, FeatureMetric) and metric.uses_real]
    others = [
        metric
        for metric in metrics
        if not isinstance(metric, FeatureMetric) and "real" in metric.needs and "captions" not in metric.needs
    ]
    extractors = _distinct(users)
    wanted = {key: _kinds(users, key) for key in extractors}
    reference = RealStatistics(real_set.fingerprint(), extractors, cache_dir)
    stored = ranks.on_main(lambda: reference.load(wanted))
    fresh: dict[str, dict[str, Statistics]] = {}  # by extractor and kind
    for key, extractor in extractors.items():
        absent = [kind for kind in wanted[key] if kind not in stored[key]]
        fresh[key] = {kind: KINDS[kind](extractor.n_features) for kind in absent}
    networks = [extractor for key, extractor in extractors.items() if fresh[key]]
    if networks or others:
        batches = real_batches(real_set, batch_size, device)
        ranks.together(lambda: _pass_over(batches, networks, fresh, others, faults))
    for part in fresh.values():
        for statistics in part.values():
            _merge_ranks(statistics)
    ranks.on_main(lambda: reference.save(fresh))
    for metric in users:
        found = reference.known[feature_key(metric.extractor)].get(metric.real.kind)
        metric.use_reference(metric.empty() if found is None else found)  # none on ranks that do not compute


def _feed_told(
    real_set: Any,
    told: Told | None,
    metrics: Sequence[Metric],
    batch_size: int,
    seed: int,
    device: Device,
    faults: Faults,
) -> None:
    """Give real images with captions to the metrics that need both; without any, the images alone."""
    users = [
        metric
        for metric in metrics
        if {"captions", "real"} <= set(metric.needs) and not isinstance(metric, FeatureMetric)
    ]
    if not users:
        return
    if told is None and getattr(real_set, "captions", None) is not None:
        told = Told(real_set, seed)
    batches = real_batches(real_set if told is None else told.images, batch_size, device, told)
    ranks.together(lambda: _pass_over(batches, [], {}, users, faults))


def _pass_over(
    batches: Iterator[Sample],
    extractors: Sequence[FeatureExtractor],
    fresh: Mapping[str, Mapping[str, Statistics]],
    others: Sequence[Metric],
    faults: Faults,
) -> None:
    """Give real images to statistics of their features and to metrics that look at the images themselves."""
    for batch in batches:
        sample = with_features(batch, extractors)
        for key, part in fresh.items():
            for statistics in part.values():
                statistics.update(sample.extras[key], sample.condition.labels, sample.index)
        for metric in others:
            if not faults.hit(metric):
                with faults.watched(metric):
                    metric.update_real(sample)


def real_batches(
    real_set: RealImages, batch_size: int = 64, device: Device = "cpu", told: Told | None = None
) -> Iterator[Sample]:
    """This rank's batches of all real images, in order, as Samples with their labels and index.

    With ``told`` of the same images they have text, and ``extras['group']``.
    """
    for start in _own_starts(len(real_set), batch_size, "real images"):
        rows = range(start, min(start + batch_size, len(real_set)))
        pixels = torch.from_numpy(np.stack([real_set.image(i) for i in rows])).permute(0, 3, 1, 2)
        labels = torch.from_numpy(np.asarray(real_set.labels[rows.start : rows.stop], dtype=np.int64))
        condition, extras = Condition(labels=labels), {}
        if told is not None:
            condition, extras = condition.replace(text=told.captions(rows)), {"group": told.groups(rows)}
        sample = Sample(from_bytes(pixels), condition, index=torch.tensor(rows), extras=extras)
        yield sample.to(device)


def _feed_fake(
    sampler: Sampler,
    source: Callable[[Sample], Sample] | None,
    metrics: Sequence[Metric],
    n_fake: int,
    batch_size: int,
    device: Device,
    faults: Faults,
) -> None:
    """Generate this rank's batches of images 0, 1, ... for the metrics, features computed once."""
    limits = [getattr(metric, "n_fake", None) or n_fake for metric in metrics]
    most = max(limits, default=0)
    extractors = _distinct(metrics)
    paired = [metric for metric in metrics if "pairs" in metric.needs]
    for start in _own_starts(most, batch_size, "generated images"):
        index = torch.arange(start, min(start + batch_size, most))
        sample = with_features(_generated(sampler, index).to(device), extractors.values())
        others = _others(source, sample, paired, device) if paired else sample
        for metric, limit in zip(metrics, limits, strict=True):
            if limit > start and not faults.hit(metric):
                with faults.watched(metric):
                    _update(metric, others, sample, slice(0, limit - start))


def _update(metric: Metric, others: Sample, sample: Sample, rows: slice) -> None:
    if "pairs" in metric.needs:
        metric.update_pairs(others[rows], sample[rows])
    else:
        metric.update_fake(sample[rows])


def _others(
    source: Callable[[Sample], Sample] | None, sample: Sample, metrics: Sequence[Metric], device: Device
) -> Sample:
    """The other image of each pair, with the features that metrics of pairs need."""
    if source is None:
        raise ValueError(f"{metrics[0].name} needs pairs: no source makes the other image of each")
    with torch.no_grad():
        others = source(sample)
    if others.images.shape != sample.images.shape:
        shapes = f"{tuple(others.images.shape)} and {tuple(sample.images.shape)}"
        raise ValueError(f"pairs of images of {shapes}: source and generator make images of one size")
    others = others.replace(images=others.images.clamp(-1, 1), index=sample.index).to(device)
    return with_features(others, _distinct(metrics).values())


def _own_starts(n: int, batch_size: int, what: str) -> Iterator[int]:
    """The first image of each batch of this rank, with the time left to see on the first."""
    starts = [start for number, start in enumerate(range(0, n, batch_size)) if ranks.is_mine(number)]
    return tracked(starts, len(starts), what)


def _generated(sampler: Sampler, index: Tensor) -> Sample:
    with torch.no_grad():
        sample = sampler(index)
    if len(sample) != len(index):
        raise ValueError(f"sampler returned {len(sample)} images for {len(index)} indices")
    return sample.replace(index=index)


def _of_size(sampler: Sampler, size: int) -> Sampler:
    """The sampler, checked: a distance between sets of two sizes would measure the extractor's resizing."""

    def checked(index: Tensor) -> Sample:
        sample = sampler(index)
        if tuple(sample.images.shape[2:]) != (size, size):
            height, width = sample.images.shape[2:]
            raise ValueError(
                f"generated images are {height}x{width} and real ones {size}x{size}: give the data set "
                f"the generator's image_size"
            )
        return sample

    return checked


def _merge_ranks(part: Metric | Statistics) -> None:
    """Fold every rank's state into rank 0's."""
    if ranks.running():
        states = ranks.gather_to_main(ranks.together(part.state))
        ranks.on_main(lambda: [part.merge(state) for state in states[1:]] and None)


def _computed(metrics: Sequence[Metric], faults: Faults) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    for metric in metrics:
        if not faults.hit(metric):
            with faults.watched(metric):
                _compute(metric, results)
    return results


def _compute(metric: Metric, results: dict[str, dict[str, float]]) -> None:
    if metric.name in results:
        raise ValueError(
            f"two metrics are named {metric.name!r}: leave one out, or let an option tell them apart"
        )
    results[metric.name] = metric.compute()


def _distinct(metrics: Sequence[Metric]) -> dict[str, FeatureExtractor]:
    """The metrics' extractors, by the key of their features."""
    extractors = [metric.extractor for metric in metrics if metric.extractor is not None]
    return {feature_key(extractor): extractor for extractor in extractors}


def _kinds(metrics: Sequence[FeatureMetric], key: str) -> list[str]:
    """Which statistics are needed of an extractor's features."""
    return sorted({metric.real.kind for metric in metrics if feature_key(metric.extractor) == key})


def _append_records(
    path: Path,
    metrics: Sequence[Metric],
    results: dict[str, dict[str, float]],
    real_set: RealImages | None,
    seed: int,
    failures: Mapping[str, str],
) -> None:
    """What one needs to know to trust or repeat a number, one JSON line for each metric."""
    data = {} if real_set is None else _facts(real_set)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    common = {"data": data, "seed": seed, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "versions": versions}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for name, reason in failures.items():
            lost: dict[str, Any] = {"metric": name, "value": None, "values": {}, "error": reason}
            file.write(json.dumps({**lost, **common}) + "\n")
        for metric in metrics:
            if metric.name not in results:
                continue
            line = {
                "metric": metric.name,
                "value": results[metric.name].get(""),
                "values": results[metric.name],
                "higher_is_better": metric.higher_is_better,
                **metric.details(),
                **common,
            }
            file.write(json.dumps(line) + "\n")


def _facts(real_set: RealImages) -> dict[str, Any]:
    return {
        "title": getattr(real_set, "title", type(real_set).__name__),
        "n": len(real_set),
        "fingerprint": real_set.fingerprint(),
        "embedded": getattr(real_set, "embedded", None),
    }
