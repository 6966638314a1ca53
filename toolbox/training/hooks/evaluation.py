"""Measuring while training, without leaving a trace in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces.described import Described
from toolbox.randomness import globals_kept, seeded
from toolbox.ranges import check_whole, given
from toolbox.registry import build
from toolbox.training.evaluation.measure import measure_game, table
from toolbox.training.evaluation.records import ORIGIN, append_records, of_training
from toolbox.training.evaluation.rehearsal import check_measurable
from toolbox.training.evaluation.settings import check_evaluation, real_of
from toolbox.training.hooks.common import game_of
from toolbox.training.run.resume import drop_after

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game


class Evaluation(Described, Hook):
    """Measures every so often with the config's ``evaluation``.

    Its lines in ``metrics.jsonl`` have ``during='training'``.

    Weights, modes, statistics and every source of randomness are as before afterwards: a run is the same with
    and without it. In several processes all of them take part. Games without a generator (an earlier stage)
    are left alone.

    Args:
        interval: iterations between two measurements. The end of a run is measured anyway, with the config's
            own settings.
        metrics: names out of ``evaluation.metrics``, or {name: config} in their place; None = all of them.
        n_fake: generated images; None = as ``evaluation``. It is part of a metric's protocol and name.
        bn: how BatchNorm generators are evaluated; None = as ``evaluation``.
        batch_size: images at a time; None = as ``evaluation``.

    Attributes:
        measured_at: iteration of the newest measurement of this process, or None.
        scores: of it: {name in the config: (value, higher is better)}.
    """

    priority = "LOW"  # before Checkpoints, which wants to know the best

    def __init__(
        self,
        interval: int = 1000,
        metrics: Sequence[str] | Mapping[str, Any] | None = None,
        n_fake: int | None = None,
        bn: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        check_whole(1, interval=interval, **given(n_fake=n_fake, batch_size=batch_size))
        self.interval = interval
        self.metrics = metrics
        said = dict(n_fake=n_fake, bn=bn, batch_size=batch_size)
        self.changes = {key: value for key, value in said.items() if value is not None}
        self.measured_at: int | None = None
        self.scores: dict[str, tuple[float, bool]] = {}

    def check_config(self, config: Config) -> None:
        """Refuse what could not be measured, before anything is trained.

        Raises:
            ConfigError, BuildError: see :func:`check_evaluation`; or a metric that ``evaluation`` does not
                have.
        """
        if _has_generator(config):
            check_evaluation(self.settings(config.get("evaluation") or {}))

    def check_game(self, game: Game, config: Config) -> None:
        """Refuse an evaluation that could not be done with this game.

        Raises:
            ConfigError, BuildError: see :func:`toolbox.training.evaluation.rehearsal.check_measurable`.
        """
        if _has_generator(config):
            check_measurable(game, self.settings(config.get("evaluation") or {}))

    def settings(self, evaluation: Mapping[str, Any]) -> dict[str, Any]:
        """The config's ``evaluation`` with what this hook changes."""
        known = {name: own for name, own in (evaluation.get("metrics") or {}).items() if own is not None}
        if isinstance(self.metrics, Mapping):
            known = dict(self.metrics)
        elif self.metrics is not None:
            for name in self.metrics:
                _check_name(name, known, "hooks.evaluation.metrics")
            known = {name: known[name] for name in self.metrics}
        if not known:
            raise ConfigError(
                "hooks.evaluation has nothing to measure: evaluation.metrics names none; add some, or set "
                "hooks.evaluation=None"
            )
        return {**evaluation, "metrics": known, **self.changes}

    def before_train(self, runner: Any) -> None:
        """On resume, drop what was measured after the checkpoint."""
        drop_after(runner.iter, Path(runner.work_dir) / "metrics.jsonl", of_training)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Measure every ``interval`` iterations."""
        game = game_of(runner)
        iteration = batch_idx + 1
        if iteration % self.interval == 0 and game.generator in game.networks:
            settings = self.settings(runner.cfg.get("evaluation") or {})
            self.measure(game, settings, iteration, Path(runner.work_dir))

    def measure(self, game: Game, settings: Mapping[str, Any], iteration: int, folder: Path) -> None:
        """Measure now, keep and say the results."""
        from toolbox.runs.terminal import say

        with undisturbed(game):
            found = measure_game(game, settings, real_of(settings))
        self.measured_at = iteration
        self.scores = ranks.from_main(found.scores)
        append_records(folder / "metrics.jsonl", found.records, during=ORIGIN)
        say("\n".join([f"iteration {iteration}:", table(found.values), *found.remarks()]))


@contextmanager
def undisturbed(game: Game) -> Iterator[None]:
    """Modes of modules, what requires gradients, and the global generators are as before afterwards."""
    modes = [(module, module.training) for module in game.modules()]
    gradients = [(parameter, parameter.requires_grad) for parameter in game.parameters()]
    try:
        with globals_kept(), seeded(game.seed, "evaluation"):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, required in gradients:
            parameter.requires_grad_(required)


def check_metric_name(name: str, config: Config, where: str) -> None:
    """Refuse the name of a metric that the hook ``Evaluation`` does not measure.

    Raises:
        ConfigError: naming near misses, or the hook that is missing.
    """
    if not _has_generator(config):
        return
    hooks = config.get("hooks") or {}
    found = [
        build(own, "hook", f"hooks.{key}")
        for key, own in hooks.items()
        if own and own.get("type") == "Evaluation"
    ]
    if not found:
        raise ConfigError(
            f"{where}={name!r} needs measurements during training: add "
            "hooks=dict(evaluation=dict(type='Evaluation', interval=...))"
        )
    settings = found[0].settings(config.get("evaluation") or {})
    _check_name(name.partition(".")[0], settings["metrics"], where)


def _has_generator(config: Config) -> bool:
    model = config.get("model") or {}
    return (model.get("networks") or {}).get(model.get("generator", "generator")) is not None


def _check_name(name: str, known: Mapping[str, Any], where: str) -> None:
    if name not in known:
        hint = near_miss(name, known)
        raise ConfigError(
            f"{where} names {name!r}, which is not measured{hint}; "
            f"evaluation.metrics has: {', '.join(known) or 'none'}"
        )
