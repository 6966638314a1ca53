"""The conformance check of metrics."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from toolbox.interfaces import Metric, Sample
from toolbox.registry import BuildError, build
from toolbox.testing.common import random_sample, require
from toolbox.testing.texts import text_networks

NEEDS = ("real", "fake", "labels", "captions", "pairs", "weights", "modes")


def check_metric(
    metric: Metric | Mapping[str, Any],
    real: Sample | None = None,
    fake: Sample | None = None,
    tolerance: float = 1e-4,
    networks: Mapping[str, nn.Module] | None = None,
    source: Sample | None = None,
) -> None:
    """Check the contract of :class:`toolbox.interfaces.Metric`.

    - ``name``, ``unit``, ``higher_is_better`` and ``needs`` are there;
    - ``compute`` refuses before anything was fed, then gives finite numbers;
    - the value does not depend on the size and the order of batches;
    - it has ``update_fake``, or ``update_pairs`` where it needs 'pairs';
    - ``state`` is plain tensors; two halves merged give the value of one pass;
    - ``reset`` forgets: the same images fed again give the same value.

    Args:
        metric: fed nothing yet, and left as it was; or its config, ``dict(type=...)``, from which it is built
            as an evaluation does: with an extractor and, for clusters, ``assign``, where its constructor has
            arguments of these names, and with ``uses`` (of ``networks``).
        real, fake: what to feed; default 48 random images each, of 3 classes, with one-hot weights. For a
            metric of captions: :func:`toolbox.testing.text_sample` of 48.
        source: what the fakes' rows are paired with, for a metric that needs 'pairs'; default random images.
        networks: {name: network} that ``uses`` in a config names; default
            :func:`toolbox.testing.text_networks`.
        tolerance: of equal values, relative.

    Raises:
        AssertionError: naming what is broken.
    """
    if isinstance(metric, Mapping):
        metric = _built(metric, networks)
    name = type(metric).__name__
    require(isinstance(metric, Metric), f"{name} does not inherit toolbox.interfaces.Metric")
    require(isinstance(metric.name, str) and metric.name, f"{name}.name must be a text")
    require(
        isinstance(metric.unit, str) and isinstance(metric.higher_is_better, bool),
        f"{name}.unit is a text, higher_is_better a bool",
    )
    require(set(metric.needs) <= set(NEEDS), f"{name}.needs={metric.needs} may name {NEEDS}")
    update = "update_pairs" if "pairs" in metric.needs else "update_fake"
    own = getattr(type(metric), update) is not getattr(Metric, update)
    require(own, f"{name} needs {metric.needs} and has no {update}")
    real = random_sample(48, seed=1) if real is None else real
    fake = random_sample(48, seed=2) if fake is None else fake
    images = _Images(real, fake, random_sample(len(fake), seed=3) if source is None else source)
    _check_refusal(metric, name)
    whole = _fed(metric, images, 16)
    value = whole.compute()
    require(value, f"{name}.compute gives no number")
    for key, number in value.items():
        require(
            isinstance(number, float) and math.isfinite(number),
            f"{name}.compute()[{key!r}] is {number!r}, expected a finite float",
        )
    larger = _fed(metric, images, len(fake) - 7).compute()
    _same(larger, value, tolerance, f"{name} depends on the size of the batches")
    backwards = _fed(metric, images, 16, backwards=True).compute()
    _same(backwards, value, tolerance, f"{name} depends on the order of the batches")
    _check_merge(metric, images, value, tolerance, name)
    whole.reset()
    _check_refusal(whole, f"{name} after reset")
    _feed(whole, images, 16)
    _same(whole.compute(), value, tolerance, f"{name}.reset does not forget")


def _built(config: Mapping[str, Any], networks: Mapping[str, nn.Module] | None) -> Metric:
    from toolbox.training.evaluation.measure import build_metric

    extractor = build(dict(type="PooledPixels", size=2))
    assign = lambda features, labels: (features.sum(1) * 7).long() % 3  # noqa: E731
    given: dict[str, Any] = dict(extractor=extractor, assign=assign)
    own = dict(config)
    try:
        for argument, name in dict(own.pop("uses", None) or {}).items():
            known = text_networks() if networks is None else networks
            require(name in known, f"the metric uses {name!r}, the check has {sorted(known)}: pass networks=")
            given[argument] = known[name]
        return build_metric(own, "metric", given)
    except BuildError as error:
        raise AssertionError(f"an evaluation could not build the metric: {error}") from error


@dataclass
class _Images:
    """What a metric is fed: each row of ``source`` belongs to that of ``fake``."""

    real: Sample
    fake: Sample
    source: Sample

    def rows(self, rows: slice) -> _Images:
        return _Images(self.real[rows], self.fake[rows], self.source[rows])


def _feed(metric: Metric, images: _Images, size: int, backwards: bool = False) -> Metric:
    if "real" in metric.needs:
        for batch in _batches(images.real, size, backwards):
            metric.update_real(batch)
    fakes = _batches(images.fake, size, backwards)
    for source, fake in zip(_batches(images.source, size, backwards), fakes, strict=True):
        if "pairs" in metric.needs:
            metric.update_pairs(source, fake)
        else:
            metric.update_fake(fake)
    return metric


def _batches(sample: Sample, size: int, backwards: bool) -> list[Sample]:
    batches = [sample[start : start + size] for start in range(0, len(sample), size)]
    return batches[::-1] if backwards else batches


def _fed(metric: Metric, images: _Images, size: int, backwards: bool = False) -> Metric:
    return _feed(copy.deepcopy(metric), images, size, backwards)


def _check_refusal(metric: Metric, name: str) -> None:
    try:
        copy.deepcopy(metric).compute()
    except ValueError as error:
        require(str(error), f"{name}.compute: the error when nothing was fed says nothing")
        return
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(
            f"{name}.compute raises {kind} when nothing was fed, expected ValueError: {error}"
        ) from error
    raise AssertionError(f"{name}.compute gives a value when nothing was fed; it must raise ValueError")


def _check_merge(
    metric: Metric, images: _Images, value: dict[str, float], tolerance: float, name: str
) -> None:
    half = len(images.real) // 2
    first = _fed(metric, images.rows(slice(half)), 16)
    second = _fed(metric, images.rows(slice(half, None)), 16)
    file = io.BytesIO()
    torch.save(second.state(), file)
    file.seek(0)
    try:
        state = torch.load(file, weights_only=True)
    except Exception as error:
        raise AssertionError(
            f"{name}.state() must be named tensors that travel between processes: {error}"
        ) from error
    first.merge(state)
    _same(first.compute(), value, tolerance, f"{name}.merge: two halves do not give the value of one pass")


def _same(one: dict[str, float], other: dict[str, float], tolerance: float, message: str) -> None:
    for key in other:
        equal = key in one and math.isclose(one[key], other[key], rel_tol=tolerance, abs_tol=tolerance)
        require(equal, f"{message}: {one.get(key)} and {other[key]} ({key or 'the metric itself'})")
