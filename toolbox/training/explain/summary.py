"""What a config would build, on one screen: networks, optimisers, data, memory, hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolbox import ranks
from toolbox.registry import build
from toolbox.training.evaluation.settings import REAL, real_of
from toolbox.training.explain.iteration import explain
from toolbox.training.game.game import Game
from toolbox.training.run.prepare import Stage, prepare
from toolbox.training.run.rehearse import rehearse
from toolbox.training.run.trial import Trial, quietly

if TYPE_CHECKING:
    from mmengine import Config


def summary(config: Config, memory: bool = True) -> str:
    """Networks, optimisers, data, memory, evaluation, hooks, the iteration. All is built and played once.

    Args:
        config: the loaded config.
        memory: estimate it, by playing more iterations on a few images.

    Raises:
        ConfigError, PlanError, BuildError: for what cannot be used.
    """
    lines = []
    for one in rehearse(prepare(config)):
        stage, game = one.stage, one.trial.game
        lines.append(f"[{stage.name}] {_data(stage.data)}")
        lines += [f"    {line}" for line in one.lines]
        lines += [*_networks(game), *_optimizers(stage.config.optim_wrapper, game), *_hooks(stage)]
        if memory:
            lines.append(_memory(one.trial, stage))
    return "\n".join([*lines, *_evaluation(config), "", explain(config)])


def _data(facts: Mapping[str, Any]) -> str:
    if not facts:
        return "data: none, the game generates its own images"
    labels = f"{facts['labelled']:,} labelled, {len(facts['classes'])} classes"
    return f"data: {facts['title']}: {facts['n']:,} images, {labels}"


def _networks(game: Game) -> list[str]:
    lines = []
    for name, network in game.networks.items():
        count = sum(p.numel() for p in network.parameters())
        moving = sum(p.numel() for p in network.parameters() if p.requires_grad)
        averaged = ", averaged" if name in game.average else ""
        kind = type(network).__name__
        lines.append(f"    {name:<24}{kind:<24}{count:>13,} parameters, {moving:,} of them move{averaged}")
    return lines


def _optimizers(configs: Mapping[str, Any], game: Game) -> list[str]:
    lines = []
    for player, members in sorted(game.players.items()):
        optimizer = configs[player]["optimizer"]
        rest = ", ".join(f"{key}={value}" for key, value in optimizer.items() if key != "type")
        lines.append(f"    player {player}: {optimizer['type']}({rest}) moves {', '.join(members)}")
    return lines


def _hooks(stage: Stage) -> list[str]:
    shown = []
    for name, hook in stage.hooks().items():
        interval = f" every {hook.interval:,}" if hasattr(hook, "interval") else ""
        shown.append(f"{name} ({type(hook).__name__}{interval})")
    return [f"    hooks: {', '.join(shown)}"] if shown else []


def _memory(trial: Trial, stage: Stage) -> str:
    from toolbox.training.explain.memory import estimate_prepared

    if not trial.played:
        return "    memory: not estimated"
    data = stage.loader.dataset
    share = int(stage.config.train_dataloader.batch_size) // ranks.world()
    try:
        with quietly():
            found = estimate_prepared(trial.game, trial.wrappers, trial.images, data, share)
    except (RuntimeError, ValueError, LookupError, TypeError) as error:  # a few images may not be enough
        reason = str(error).partition("\n")[0]
        return f"    memory: not estimated ({type(error).__name__}: {reason})"
    counted = ("weights", "conditioner", "gradients", "optimizers", "averages")
    parts = ", ".join(f"{name} {_size(getattr(found, name))}" for name in counted)
    passes = f"passes about {_size(found.passes)} (estimated)"
    return f"    memory: {parts}, {passes}; together about {_size(found.total)}"


def _size(n: float) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.1f} MiB"


def _evaluation(config: Config) -> list[str]:
    evaluation = config.get("evaluation")
    if not evaluation:
        return ["evaluation: none"]
    real = real_of(evaluation)
    metrics = sorted((evaluation.get("metrics") or {}).items())
    names = [f"{name} ({metric['type']})" for name, metric in metrics if metric is not None]
    n_fake = int(evaluation.get("n_fake", 10000))
    against = f"{n_fake:,} generated images"
    truncation = float(evaluation.get("truncation", 1))
    against += "" if truncation == 1 else f" at truncation {truncation:g}"
    against += "" if real is None else f" against {real.title} ({len(real):,} images)"
    of_captions = "" if evaluation.get("captions") is None else ", of captions of " + _title(evaluation, real)
    return [f"evaluation: {', '.join(names) or 'no metrics'}; {against}{of_captions}"]


def _title(evaluation: Any, real: Any) -> str:
    """What the data set is called whose captions generated images show."""
    chosen = evaluation["captions"]
    told = real if chosen == REAL else build(chosen, "dataset", "evaluation.captions")
    return str(told.title)
