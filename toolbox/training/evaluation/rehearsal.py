"""An evaluation before anything is trained: everything is built, sizes, classes and counts are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from toolbox.config import ConfigError
from toolbox.data.classes import check_classes
from toolbox.interfaces import Conditioner, Metric, Sample
from toolbox.metrics.base import with_features
from toolbox.metrics.evaluate import real_batches
from toolbox.metrics.faults import in_a_line
from toolbox.metrics.told import Told
from toolbox.registry import build
from toolbox.training.evaluation.captions import own_judge, told_by, with_text
from toolbox.training.evaluation.measure import ModeSampler, build_metrics
from toolbox.training.evaluation.samplers import sampler_of, source_of
from toolbox.training.evaluation.settings import check_evaluation, needs_real, real_of, refuse_without_real
from toolbox.training.game.sampler import Sampled, Sampler

_TRIED = 2  # images of each kind


def check_measurable(game: Sampled, settings: Mapping[str, Any], played: bool = False) -> list[str]:
    """Build the metrics, extractors and data sets of an evaluation, and compare them with the game.

    Args:
        game: with a generator; it need not be trained.
        settings: the config's ``evaluation``.
        played: the game is prepared: every metric is also fed two real and two generated images.

    Returns:
        A line where the real images are not those that were asked for, and one for each metric that so few
        images do not give, or give by another protocol.

    Raises:
        ConfigError: for what could not be measured, whatever is trained.
        BuildError: for what cannot be built.
    """
    check_evaluation(settings)
    real = real_of(settings)
    conditioner = game.conditioner
    whole, by_mode = build_metrics(game, settings, type(conditioner).modes is not Conditioner.modes)
    metrics = {**whole, **by_mode}
    refuse_without_real(metrics, real)
    if real is not None:
        _check_size(game, real, "real")
        _check_classes(conditioner, real, metrics)
    source = source_of(game, settings, metrics)
    told = _checked_captions(game, settings, real, metrics)
    _check_test(game, settings)
    if played:
        _feed_a_few(game, settings, real, told, source, (whole, by_mode))
    _check_names(metrics)
    stand_in = [str(real.notice)] if getattr(real, "notice", "") else []
    own = {name: own_judge(metric, game) for name, metric in metrics.items()}
    remarks = [f"evaluation.metrics.{name}: {why}" for name, why in own.items() if why]
    return [*stand_in, *remarks, *_shortages(metrics, real, int(settings.get("n_fake", 10000)))]


def _check_size(game: Sampled, data: Any, key: str) -> None:
    """A distance between sets of two sizes would measure the extractor's resizing."""
    size = getattr(game.network(game.generator), "image_size", data.image_size)
    if data.image_size != size:
        raise ConfigError(
            f"evaluation.{key} has images of {data.image_size} x {data.image_size} pixels, "
            f"model.networks.{game.generator} makes {size} x {size}: set evaluation.{key}.image_size={size}, "
            "or name the data that is trained on"
        )


def _check_classes(conditioner: Conditioner, real: Any, metrics: Mapping[str, Metric]) -> None:
    if not conditioner.class_names or not any("labels" in metric.needs for metric in metrics.values()):
        return
    try:
        check_classes(conditioner.class_names, real.classes, "the game")
    except ValueError as error:
        raise ConfigError(f"evaluation.real has other classes than the training data: {error}") from error


def _checked_captions(
    game: Sampled, settings: Mapping[str, Any], real: Any, metrics: Mapping[str, Metric]
) -> Told | None:
    """Whose captions are shown and compared.

    Raises:
        ConfigError: for ``evaluation.captions`` without captions, of other sizes or classes, or of a game
            that cannot be asked in words.
    """
    try:
        told = told_by(game, settings, real, list(metrics.values()))
    except ValueError as error:
        raise ConfigError(f"evaluation.captions: {error}") from error
    if told is None or settings.get("captions") is None:
        return told
    conditioner = game.conditioner
    if type(conditioner).of_texts is Conditioner.of_texts:
        raise ConfigError(
            f"evaluation.captions: {type(conditioner).__name__} cannot be asked for in words, those of "
            f"{told.images.title} for one"
        )
    _check_size(game, told.images, "captions")
    if any("labels" in metric.needs for metric in metrics.values()):
        try:
            check_classes(real.classes, told.images.classes, "evaluation.real")
        except ValueError as error:
            raise ConfigError(
                f"evaluation.captions has other classes than evaluation.real: {error}"
            ) from error
    return told


def _check_test(game: Sampled, settings: Mapping[str, Any]) -> None:
    """The data that a pseudo-labeller is tested on."""
    name = game.conditioner.classifier
    if not settings.get("test") or name is None:
        return
    test = build(settings["test"], "dataset", "evaluation.test")
    if not len(test):
        raise ConfigError("evaluation.test is empty")
    _check_size(game, test, "test")


def _feed_a_few(
    game: Sampled,
    settings: Mapping[str, Any],
    real: Any,
    told: Told | None,
    source: Sampler | None,
    by_kind: tuple[Mapping[str, Metric], Mapping[str, Metric]],
) -> None:
    """Feed each metric, of whole images and of modes, two images of each kind, as the evaluation would."""
    reals = None if real is None else next(real_batches(_First(real), _TRIED, game.device))
    captioned = None if told is None else _captioned(told, game.device)
    sampler = sampler_of(game, {**settings, "bn": "running"})
    whole, by_mode = by_kind
    index = torch.arange(_TRIED)
    modes = game.conditioner.modes()
    for metrics, draw in (
        (whole, with_text(sampler, settings, told)),
        (by_mode, None if modes is None else ModeSampler(sampler, modes)),
    ):
        if not metrics or draw is None:
            continue
        with torch.no_grad():
            fakes = draw(index)
            sources = None if source is None else _safe(source.again(fakes), index).to(game.device)
        fakes = _safe(fakes, index).to(game.device)
        for name, metric in metrics.items():
            own = reals if captioned is None or "captions" not in metric.needs else captioned
            _feed(name, metric, own, fakes, sources)


def _safe(sample: Sample, index: torch.Tensor) -> Sample:
    """Of a generator that has learnt nothing yet."""
    safe: Sample = sample.replace(images=sample.images.nan_to_num().clamp(-1, 1), index=index)
    return safe


def _captioned(told: Told, device: torch.device) -> Sample:
    """The first two images with their captions."""
    try:
        return next(real_batches(_First(told.images), _TRIED, device, told))
    except ValueError as error:
        notice = getattr(told.images, "notice", "")
        raise ConfigError(f"evaluation.captions: {error}{f'; {notice}' if notice else ''}") from error


def _feed(name: str, metric: Metric, reals: Sample | None, fakes: Sample, sources: Sample | None) -> None:
    try:
        if metric.extractor is not None:
            extractor = metric.extractor.to(fakes.images.device).eval()
            fakes = with_features(fakes, [extractor])
            reals = None if reals is None else with_features(reals, [extractor])
            sources = None if sources is None else with_features(sources, [extractor])
        if needs_real(metric) and reals is not None:
            metric.update_real(reals)
        if "pairs" in metric.needs and sources is not None:
            metric.update_pairs(sources, fakes)
        else:
            metric.update_fake(fakes)
    except Exception as error:
        raise ConfigError(
            f"evaluation.metrics.{name} cannot take this game's images: {in_a_line(error)}. Leave it out "
            f"(evaluation=dict(metrics=dict({name}=None))), or mend what it needs"
        ) from error
    finally:
        metric.reset()


class _First:
    """The first images of a data set."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.labels = data.labels

    def __len__(self) -> int:
        return min(_TRIED, len(self.data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)


def _check_names(metrics: Mapping[str, Metric]) -> None:
    known: dict[str, str] = {}
    for key, metric in metrics.items():
        if (other := known.setdefault(metric.name, key)) != key:
            raise ConfigError(
                f"evaluation.metrics: {other!r} and {key!r} are both named {metric.name!r}: leave one out, "
                "or let an option tell them apart"
            )


def _shortages(metrics: Mapping[str, Metric], real: Any, n_fake: int) -> list[str]:
    labels = np.asarray([] if real is None else real.labels, dtype=np.int64)
    counts = np.bincount(labels[labels >= 0], minlength=len(getattr(real, "classes", ())))
    lines = []
    for name, metric in metrics.items():
        why = metric.shortage(len(labels), counts, getattr(metric, "n_fake", None) or n_fake)
        lines += [f"evaluation.metrics.{name}: {why}"] if why else []
    return lines
