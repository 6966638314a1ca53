"""Measuring a game: real data against generated images, by the config's metrics."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces import Condition, Metric, Sample
from toolbox.metrics.told import Told
from toolbox.randomness import mix
from toolbox.registry import accepted, build, check
from toolbox.training.evaluation.captions import own_judge, told_by, with_text
from toolbox.training.evaluation.records import append_records, read_records
from toolbox.training.evaluation.samplers import at_truncation, sampler_of, source_of
from toolbox.training.evaluation.settings import (
    check_evaluation,
    check_lent,
    real_of,
    refuse_without_real,
    without_uses,
)
from toolbox.training.game.sampler import SOURCE, Sampled, Sampler


def evaluate_game(
    game: Sampled, settings: Mapping[str, Any], record: Path | None = None, checkpoint: str = ""
) -> dict[str, float]:
    """Metrics of a game's generator (collective).

    Args:
        game: the game.
        settings: ``metrics`` ({name: config}), ``real`` (data set; may be absent where no metric compares
            with it), ``captions`` (data set whose captions generated images show), ``test`` (data set that
            the pseudo-labeller is tested on), ``source`` (network that makes the other image of pairs;
            default 'source'), ``extractor`` (of metrics that name none), ``n_fake``, ``batch_size``, ``bn``,
            ``truncation``, ``seed``, ``cache_dir`` (statistics of real data).
        record: file that gets one JSON line a metric, all of them or none.
        checkpoint: name kept in the records.

    A metric that fails loses itself alone: a line says why, its record has ``error`` in place of a value.
    """
    from toolbox.runs.terminal import say

    check_evaluation(settings)
    real = real_of(settings)
    _announce(real)
    measured = measure_game(game, settings, real)
    for line in measured.remarks():
        say(line)
    if record is not None:
        append_records(record, measured.records, checkpoint=checkpoint)
    return measured.values


@dataclass
class Measured:
    """What an evaluation found.

    Attributes:
        values: {metric's name with protocol: value}.
        scores: {metric's name in the config, with ``.part`` for one of several numbers: (value, higher is
            better)}.
        records: what ``metrics.jsonl`` keeps, one a metric.
        failures: {metric's name: why it could not be computed}.
    """

    values: dict[str, float]
    scores: dict[str, tuple[float, bool]]
    records: list[dict[str, Any]]
    failures: dict[str, str] = field(default_factory=dict)

    def remarks(self) -> list[str]:
        """What must be said beside the numbers: metrics that failed, protocols that small data changed."""
        notes = [f"{line['metric']}: {line['note']}" for line in self.records if line.get("note")]
        return [*notes, *(f"{name}: not computed: {why}" for name, why in self.failures.items())]


def measure_game(game: Sampled, settings: Mapping[str, Any], real: Any) -> Measured:
    """Metrics of a game's generator against ``real``, the data set of ``settings['real']`` (collective)."""
    from toolbox.metrics.evaluate import evaluate

    seed = int(settings.get("seed", 0))
    whole, by_mode = build_metrics(game, settings, game.conditioner.modes() is not None)
    every = {**whole, **by_mode}
    refuse_without_real(every, real)
    sampler = sampler_of(game, settings, mix(seed, "evaluation"))
    source = source_of(game, settings, every)
    told = told_by(game, settings, real, list(whole.values()))
    passes = _passes(sampler, with_text(sampler, settings, told), whole, by_mode)
    found: dict[str, float] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch) / "records.jsonl"
        for drawn, metrics in passes:
            found |= evaluate(
                drawn,
                real,
                list(metrics.values()),
                int(settings.get("n_fake", 10000)),
                int(settings.get("batch_size", 100)),
                seed=seed,
                record=record,
                device=game.device,
                cache_dir=settings.get("cache_dir", "data/statistics"),
                failures=failures,
                told=told,
                source=None if source is None else source.again,
            )
        records = [{**line, "bn": sampler.bn} for line in read_records(record)]
    _add_remarks(records, whole, game, told)
    _add_source(records, every, settings)
    scores = _scores(every, found)
    if sampler.truncation < 1:
        found, failures, records = _at_truncation(sampler.truncation, found, failures, records)
    accuracy = classifier_accuracy(game, settings)
    for name, value in accuracy.items():
        records.append(dict(metric=name, value=value, values={"": value}, higher_is_better=True))
    for line in records:
        line |= dict(iteration=int(game.iteration), notice=getattr(real, "notice", ""))
    return Measured({**found, **accuracy}, scores, records, failures)


def _passes(
    sampler: Sampler, of_whole: Any, whole: dict[str, Metric], by_mode: dict[str, Metric]
) -> list[tuple[Any, dict[str, Metric]]]:
    """(what draws the images, metrics that are fed them): of the whole distribution, of single modes."""
    modes = sampler.game.conditioner.modes()
    passes: list[tuple[Any, dict[str, Metric]]] = [(of_whole, whole)] if whole else []
    if modes is not None and by_mode:
        passes.append((ModeSampler(sampler, modes), by_mode))
    return passes


def _at_truncation(
    truncation: float, found: Mapping[str, float], failures: Mapping[str, str], records: list[dict[str, Any]]
) -> tuple[dict[str, float], dict[str, str], list[dict[str, Any]]]:
    """Numbers of truncated images have names of their own: they do not compare with others."""
    renamed = {at_truncation(name, truncation): value for name, value in found.items()}
    failed = {at_truncation(name, truncation): why for name, why in failures.items()}
    lines = [
        {**line, "metric": at_truncation(line["metric"], truncation), "truncation": truncation}
        for line in records
    ]
    return renamed, failed, lines


def _add_source(
    records: list[dict[str, Any]], metrics: Mapping[str, Metric], settings: Mapping[str, Any]
) -> None:
    """Which network made the other image of each pair."""
    paired = {metric.name for metric in metrics.values() if "pairs" in metric.needs}
    for line in records:
        if line["metric"] in paired:
            line["source"] = settings.get("source") or SOURCE


def _add_remarks(
    records: list[dict[str, Any]], metrics: Mapping[str, Metric], game: Sampled, told: Told | None
) -> None:
    """Whose captions caption metrics read, and who judges."""
    by_name = {metric.name: metric for metric in metrics.values()}
    for line in records:
        metric = by_name.get(line["metric"])
        if metric is None or "captions" not in metric.needs:
            continue
        if told is not None:
            line["captions"] = told.images.title
        notes = [line.get("note"), own_judge(metric, game)]
        if any(notes):
            line["note"] = "; ".join(note for note in notes if note)


def _scores(metrics: Mapping[str, Metric], found: Mapping[str, float]) -> dict[str, tuple[float, bool]]:
    scores = {}
    for key, metric in metrics.items():
        for name, value in found.items():
            if name == metric.name or name.startswith(f"{metric.name}."):
                part = name.removeprefix(metric.name)  # '' or '.recall'
                scores[key + part] = (value, metric.higher_is_better)
    return scores


def _announce(real: Any) -> None:
    """Before the numbers: what they are measured against, if anything."""
    from toolbox.runs.terminal import say

    if real is None:
        return
    if getattr(real, "notice", ""):
        say(real.notice)
    say(f"real images: {real.title}, {len(real):,} of them")


def classifier_accuracy(game: Sampled, settings: Mapping[str, Any]) -> dict[str, float]:
    """Top-1 accuracy on ``settings['test']`` of the classifier that labelled the training images, if any.

    It bounds how often a generator that learnt from its labels can show the right class. Each rank
    classifies its share.
    """
    name = game.conditioner.classifier
    if name is None or name not in game.networks or not settings.get("test"):
        return {}
    from toolbox.metrics.evaluate import real_batches

    test = build(settings["test"], "dataset", "evaluation.test")
    network = game.network(name, averaged=True).eval()
    right = torch.zeros((), dtype=torch.int64, device=game.device)
    with torch.no_grad():
        for batch in real_batches(test, 200, game.device):
            right += (network(batch.images).argmax(1) == batch.condition.labels).sum()
    total = int(ranks.sum_over_ranks(right))
    protocol = f"[{test.title.replace(',', '')} test,{len(test)}]"
    return {f"pseudo-labeller-accuracy{protocol}": total / len(test)}


class ModeSampler:
    """Image i shows mode (cluster) i mod S alone, of a sampler whose conditioner has S modes."""

    def __init__(self, sampler: Sampler, modes: Condition) -> None:
        self.sampler = sampler
        self.modes = modes

    def __call__(self, indices: torch.Tensor) -> Sample:
        """Images number ``indices`` (n,)."""
        return self.sampler(indices, condition=self.modes[indices % len(self.modes)])


def build_metrics(
    game: Sampled, settings: Mapping[str, Any], with_modes: bool
) -> tuple[dict[str, Metric], dict[str, Metric]]:
    """Metrics of the whole distribution and of single modes (clusters), by their names in the config.

    Args:
        game: the game.
        settings: see :func:`evaluate_game`.
        with_modes: whether the game's conditioner has modes; without, metrics of modes are left out.
    """
    shared = build(settings.get("extractor"), None, "evaluation.extractor")
    conditioner = game.conditioner
    whole: dict[str, Metric] = {}
    by_mode: dict[str, Metric] = {}
    for name, config in sorted((settings.get("metrics") or {}).items()):
        if config is None:
            continue
        where = f"evaluation.metrics.{name}"
        uses = config.get("uses") or {}
        own = without_uses(config)
        kind = check(own, "metric", where)
        check_lent(kind, uses, where)
        lent = _lent(uses, game, where)
        if "modes" not in kind.needs:
            parts = getattr(conditioner, "part_names", None)  # of masks
            given = dict(extractor=shared, of_texts=conditioner.of_texts, part_names=parts, **lent)
            whole[name] = build_metric(own, where, given)
        elif with_modes:
            given = dict(extractor=conditioner.extractor, assign=conditioner.assign, **lent)
            by_mode[name] = build_metric(own, where, given)
    return whole, by_mode


def _lent(uses: Mapping[str, str], game: Sampled, where: str) -> dict[str, Any]:
    """Networks of the game by the arguments that a metric's ``uses`` fills."""
    for network in uses.values():
        if network not in game.networks:
            known = list(game.networks)
            raise ConfigError(
                f"{where}.uses names {network!r}, which is no network of the game"
                f"{near_miss(network, known)}; networks: {', '.join(known)}"
            )
    return {argument: game.network(network) for argument, network in uses.items()}


def build_metric(config: Mapping[str, Any], where: str, given: Mapping[str, Any]) -> Metric:
    """A metric with those of the given arguments that its constructor has and its config does not name."""
    known = accepted(check(config, "metric", where)) or {}
    own = dict(config)
    if "extractor" in own:
        own["extractor"] = build(own["extractor"], "extractor", where)
    filled = {name: value for name, value in given.items() if name in known and name not in own}
    if "extractor" in filled and filled["extractor"] is None:
        raise ConfigError(f"{where} needs an extractor: set it there, or evaluation.extractor for all")
    metric: Metric = build(own, "metric", where, **filled)
    return metric


def table(results: Mapping[str, float]) -> str:
    """Names and values in two columns."""
    width = max((len(name) for name in results), default=0)
    return "\n".join(f"{name:<{width}}  {value:.4f}" for name, value in results.items())
