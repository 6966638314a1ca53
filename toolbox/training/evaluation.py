"""Measuring a trained run: real data against generated images, by the config's metrics."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces import Metric
from toolbox.registry import build, check
from toolbox.training.checking_values import check_at_least
from toolbox.training.checkpoints import latest_checkpoint
from toolbox.training.randomness import mix
from toolbox.training.sampling import BATCHNORM_MODES, Sampler
from toolbox.training.writing import write_text

KEYS = ("metrics", "extractor", "real", "test", "n_fake", "batch_size", "bn", "seed", "cache_dir")


def evaluate_run(
    path: str | Path, config: Any = None, device: str | None = None, **changes: Any
) -> dict[str, float]:
    """Metrics of a run's newest checkpoint (or of a checkpoint file), appended to ``metrics.jsonl`` beside
    it.

    Args:
        path: a run's folder, or a checkpoint.
        config: the config; default the one beside the checkpoint.
        device: default the GPU where there is one.
        **changes: replace entries of the config's ``evaluation``.

    Returns:
        {metric's name with protocol: value}.
    """
    from toolbox.config import load_config
    from toolbox.release import load_game

    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if config is None:
        config = load_config(folder / "config.py")
    game = load_game(path, config).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    checkpoint = latest_checkpoint(path) if path.is_dir() else path
    settings = {**(config.get("evaluation") or {}), **changes}
    return evaluate_game(
        game, settings, folder / "metrics.jsonl", checkpoint=str(checkpoint.name if checkpoint else "")
    )


def evaluate_game(
    game: Any, settings: Mapping[str, Any], record: Path | None = None, checkpoint: str = ""
) -> dict[str, float]:
    """Metrics of a game's generator (collective).

    Args:
        game: the game.
        settings: ``metrics`` ({name: config}), ``real`` (data set), ``test`` (data set that the
            pseudo-labeller is tested on), ``extractor`` (of metrics that name none), ``n_fake``,
            ``batch_size``, ``bn``, ``seed``, ``cache_dir`` (statistics of real data).
        record: file that gets one JSON line a metric, all of them or none.
        checkpoint: name kept in the records.
    """
    check_evaluation(settings)
    real = build(settings["real"], "dataset", "evaluation.real")
    _announce(real)
    measured = measure_game(game, settings, real)
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
    """

    values: dict[str, float]
    scores: dict[str, tuple[float, bool]]
    records: list[dict[str, Any]]


def measure_game(game: Any, settings: Mapping[str, Any], real: Any) -> Measured:
    """Metrics of a game's generator against ``real``, the data set of ``settings['real']`` (collective)."""
    from toolbox.metrics.evaluate import evaluate

    seed = int(settings.get("seed", 0))
    whole, by_mode = _build_metrics(game, settings)
    sampler = Sampler(game, seed=mix(seed, "evaluation"), bn=settings.get("bn", "running"))
    passes: list[tuple[Any, dict[str, Metric]]] = [(sampler, whole)] if whole else []
    passes += [(ModeSampler(sampler), by_mode)] if by_mode else []
    found: dict[str, float] = {}
    facts = dict(iteration=int(game.iteration), notice=getattr(real, "notice", ""))
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
            )
        records = [{**line, "bn": sampler.bn, **facts} for line in read_records(record)]
    accuracy = classifier_accuracy(game, settings)
    records += [
        dict(metric=name, value=value, values={"": value}, higher_is_better=True, **facts)
        for name, value in accuracy.items()
    ]
    return Measured({**found, **accuracy}, _scores({**whole, **by_mode}, found), records)


def _scores(metrics: Mapping[str, Metric], found: Mapping[str, float]) -> dict[str, tuple[float, bool]]:
    return {
        key + name.removeprefix(metric.name): (value, metric.higher_is_better)
        for key, metric in metrics.items()
        for name, value in found.items()
        if name == metric.name or name.startswith(f"{metric.name}.")
    }


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``, without torn ones; [] where there is no such file."""
    records = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace ``metrics.jsonl``."""
    write_text("".join(f"{json.dumps(record)}\n" for record in records), path)


def append_records(path: Path, records: Iterable[Mapping[str, Any]], **facts: Any) -> None:
    """Add lines to ``metrics.jsonl``: all of them or none, on the first process (collective)."""
    ranks.on_main(
        lambda: write_records(path, [*read_records(path), *({**record, **facts} for record in records)])
    )


def _announce(real: Any) -> None:
    """Before the numbers: what they are measured against."""
    from toolbox.training.terminal import say

    if getattr(real, "notice", ""):
        say(real.notice)
    say(f"real images: {real.title}, {len(real):,} of them")


def check_evaluation(settings: Mapping[str, Any]) -> None:
    """What can be said of an ``evaluation`` before a game is trained.

    Raises:
        ConfigError: for an unknown key, or no real data.
        BuildError: for an unknown metric, or an unknown argument of one.
    """
    for key in settings:
        if key not in KEYS:
            raise ConfigError(f"evaluation has no key {key!r}{near_miss(key, KEYS)}; keys: {', '.join(KEYS)}")
    for key in ("n_fake", "batch_size"):
        check_at_least(1, settings.get(key, 1), f"evaluation.{key}")
    bn = settings.get("bn", "running")
    if bn not in BATCHNORM_MODES:
        raise ConfigError(
            f"evaluation.bn={bn!r} must be one of "
            f"{', '.join(BATCHNORM_MODES)}{near_miss(str(bn), BATCHNORM_MODES)}"
        )
    if settings.get("real") is None:
        raise ConfigError(
            "the config says nothing of evaluation.real: name the data set that generated images are "
            "compared with, "
            "evaluation=dict(real=dict(type=...), metrics=dict(fid=dict(type='FID')), ...)"
        )
    for name, config in (settings.get("metrics") or {}).items():
        if config is not None:
            check(config, "metric", f"evaluation.metrics.{name}")


def classifier_accuracy(game: Any, settings: Mapping[str, Any]) -> dict[str, float]:
    """Top-1 accuracy on ``settings['test']`` of the classifier that labelled the training images; {} where
    there is none.

    It bounds how often a generator that learnt from its labels can show the right class. Each rank classifies
    its share.
    """
    name = getattr(game.conditioner, "classifier", None)
    if name is None or name not in game.networks or not settings.get("test"):
        return {}
    from toolbox.metrics.evaluate import real_batches

    test, network = (
        build(settings["test"], "dataset", "evaluation.test"),
        game.network(name, averaged=True).eval(),
    )
    with torch.no_grad():
        right = sum(
            (network(batch.images).argmax(1) == batch.condition.labels).sum()
            for batch in real_batches(test, 200, game.device)
        )
    total = int(ranks.sum_over_ranks(torch.as_tensor(right, device=game.device)))
    return {f"pseudo-labeller-accuracy[{test.title.replace(',', '')} test,{len(test)}]": total / len(test)}


class ModeSampler:
    """Image i shows mode (cluster) i mod S alone, of a sampler whose conditioner has modes."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.modes = sampler.game.conditioner.modes()

    def __call__(self, indices: torch.Tensor) -> Any:
        """Images number ``indices`` (n,)."""
        return self.sampler(indices, condition=self.modes[indices % len(self.modes)])


def _build_metrics(game: Any, settings: Mapping[str, Any]) -> tuple[dict[str, Metric], dict[str, Metric]]:
    """Metrics of the whole distribution, and those of single modes (clusters), by their names in
    the config.
    """
    extractor = build(settings.get("extractor"), None, "evaluation.extractor")
    whole: dict[str, Metric] = {}
    by_mode: dict[str, Metric] = {}
    for name, config in sorted((settings.get("metrics") or {}).items()):
        if config is None:
            continue
        where = f"evaluation.metrics.{name}"
        if config["type"] == "ClusterConsistency":
            if game.conditioner.modes() is not None:
                by_mode[name] = build(
                    config,
                    "metric",
                    where,
                    extractor=game.conditioner.extractor,
                    assign=game.conditioner.assign,
                )
        elif "extractor" in config:
            whole[name] = build(
                {**config, "extractor": build(config["extractor"], "extractor", where)}, "metric", where
            )
        else:
            if extractor is None:
                raise ConfigError(
                    f"{where} needs an extractor: set it there, or evaluation.extractor for all"
                )
            whole[name] = build(config, "metric", where, extractor=extractor)
    return whole, by_mode


def table(results: Mapping[str, float]) -> str:
    """Names and values in two columns."""
    width = max((len(name) for name in results), default=0)
    return "\n".join(f"{name:<{width}}  {value:.4f}" for name, value in results.items())
