"""What a run would meet, before it is begun: every stage built, compared and played once, the evaluation too.

``--dry-run`` and training go through it alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.data.base import ImageSet
from toolbox.data.inspection import check_images
from toolbox.training.checkpoints import checkpoint_files
from toolbox.training.checks.built import check_built, check_heeded, check_stage_weights
from toolbox.training.evaluation.rehearsal import check_measurable
from toolbox.training.run.data_values import count_conditions
from toolbox.training.run.prepare import Stage, notices, saves_checkpoints
from toolbox.training.run.trial import Trial, quietly, try_iteration

if TYPE_CHECKING:
    from toolbox.training.game.game import Game


@dataclass
class Rehearsed:
    """A stage that has been looked at.

    Attributes:
        stage: it.
        trial: its game, spent.
        lines: what is to be said of it: stand-ins, what could not be tried, what will not be measured.
    """

    stage: Stage
    trial: Trial
    lines: list[str]


def rehearse(
    stages: Sequence[Stage], measured: bool = True, played: bool = True, resumed: bool = False
) -> list[Rehearsed]:
    """Find what would stop a run, or spoil it, before any time is spent. The run itself is as before.

    Args:
        stages: of the run, the main one last.
        measured: look at the config's ``evaluation`` too.
        played: play the first iteration of every stage on a few images (in one process only).
        resumed: stages that have checkpoints go on from them, not from the weights that the config names.

    Raises:
        ConfigError, BuildError, PlanError, CheckpointError: for what cannot be used.
    """
    found: list[Rehearsed] = []
    earlier: dict[str, Game] = {}
    started_from = _started_from(stages)
    for stage in stages:
        with stage.told():
            measuring = measured and stage.is_main and bool(stage.config.get("evaluation"))
            _check_saved(stage, measuring, started_from)
            one = _rehearse(
                stage, earlier, measuring, played, resumed and bool(checkpoint_files(stage.folder))
            )
        found.append(one)
        earlier[stage.name] = one.trial.game
    return found


def _rehearse(
    stage: Stage, earlier: Mapping[str, Game], measuring: bool, played: bool, restored: bool
) -> Rehearsed:
    if stage.is_main and not restored:
        _look_at_images(stage)
    game = stage.check(restored, compile=False)
    said = [stage.data.get("notice", ""), *notices(game)]
    check_built(game, stage.model, stage.loader.dataset, _rows_of_conditions(stage, game))
    check_stage_weights(game, stage.model, earlier)
    _check_hooks(stage, game)
    trial = try_iteration(stage, game) if played else Trial(game)
    said.append(trial.remark)
    with quietly():
        if trial.played:
            said += check_heeded(trial.game)
        if measuring and trial.game.generator in trial.game.networks:
            said += check_measurable(trial.game, stage.config.evaluation, trial.played)
    return Rehearsed(stage, trial, [line for line in dict.fromkeys(said) if line])


def _look_at_images(stage: Stage) -> None:
    """Every image once: all that are broken in one list, and classes with fewer images than clusters."""
    source = getattr(stage.loader.dataset, "source", None)
    clusters = (stage.config.model.get("conditioner") or {}).get("clusters")
    least = clusters if isinstance(clusters, int) else 1
    if isinstance(source, ImageSet):
        ranks.on_main(lambda: check_images(source, least))


def _check_hooks(stage: Stage, game: Game) -> None:
    hooks = list(stage.hooks().values())
    for hook in hooks:
        if hasattr(hook, "check_game"):
            hook.check_game(game, stage.config)
    batches: Any = stage.loader.batch_sampler
    if hasattr(batches, "check_hooks"):
        batches.check_hooks(hooks)


def _rows_of_conditions(stage: Stage, game: Game) -> int:
    """0 where there are no classes."""
    classes, config = list(game.conditioner.class_names), stage.model.get("conditioner")
    return count_conditions(config, classes) if classes and config else 0


def _check_saved(stage: Stage, measuring: bool, started_from: Mapping[str, str]) -> None:
    """Whoever needs a checkpoint needs a hook that saves it."""
    if any(map(saves_checkpoints, stage.hooks().values())):
        return
    needed = "evaluation measures a checkpoint" if measuring else started_from.get(stage.name)
    if needed:
        raise ConfigError(f"hooks.checkpoints=None: no hook saves checkpoints, and {needed}")


def _started_from(stages: Sequence[Stage]) -> dict[str, str]:
    """{stage: which network starts from it}."""
    found = {}
    for stage in stages:
        for name, config in stage.config.model["networks"].items():
            weights: Any = (config or {}).get("weights")
            if isinstance(weights, Mapping) and "stage" in weights:
                found[weights["stage"]] = f"the network {name!r} of stage {stage.name!r} starts from one"
    return found
