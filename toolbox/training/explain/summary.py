"""What a config would build, on one screen: networks, optimisers, data, memory, hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox import ranks
from toolbox.registry import build
from toolbox.training.checks.config import check_config
from toolbox.training.explain.iteration import explain
from toolbox.training.run.build import build_loader, check_batch, fill_from_data, of_run
from toolbox.training.run.facts import data_facts, notices
from toolbox.training.run.optimizers import PlayerOptimizers
from toolbox.training.run.stages import MAIN, resolve_weights, stage_config


def summary(config: Any, memory: bool = True) -> str:
    """One screen: networks, optimisers, data, memory, evaluation, hooks, the iteration. All is built, nothing
    kept or trained.

    Args:
        config: the loaded config.
        memory: estimate it, by playing an iteration on a few images.

    Raises:
        ConfigError, PlanError, BuildError: for what cannot be used.
    """
    check_config(config)
    lines = []
    for stage in [*config.get("stages", ()), MAIN]:
        own = stage_config(config, stage)
        stream = build_loader(own, own.get("seed", 0)).dataset
        facts = data_facts(stream)
        own.model = fill_from_data(own.model, stream)
        game = build(
            {**of_run(own), **resolve_weights(config, own.model, deferred=True), "compile": False},
            "model",
            "model",
        )
        check_batch(own, game)
        lines.append(
            f"[{stage}] data: {facts['title']}: {facts['n']:,} images, "
            f"{facts['labelled']:,} labelled, {len(facts['classes'])} classes"
        )
        lines += [f"    {notice}" for notice in [facts["notice"], *notices(game)] if notice]
        lines += [*_networks(game), *_optimizers(own.optim_wrapper, game), *_hooks(own)]
        lines += [_memory(game, own, stream)] if memory else []
    return "\n".join([*lines, *_evaluation(config), "", explain(config)])


def _networks(game: Any) -> list[str]:
    lines = []
    for name, network in game.networks.items():
        count = sum(p.numel() for p in network.parameters())
        moving = sum(p.numel() for p in network.parameters() if p.requires_grad)
        averaged = ", averaged" if name in game.average else ""
        lines.append(
            f"    {name:<24}{type(network).__name__:<24}{count:>13,} parameters, {moving:,} of them "
            f"move{averaged}"
        )
    return lines


def _optimizers(configs: Mapping[str, Any], game: Any) -> list[str]:
    """Builds them, as training would."""
    own = {name: config for name, config in configs.items() if name != "constructor" and config is not None}
    PlayerOptimizers(own)(game)
    lines = []
    for player, config in own.items():
        optimizer = config["optimizer"]
        rest = ", ".join(f"{key}={value}" for key, value in optimizer.items() if key != "type")
        lines.append(
            f"    player {player}: {optimizer['type']}({rest}) moves {', '.join(game.players[player])}"
        )
    return lines


def _hooks(config: Any) -> list[str]:
    """Builds and asks them, as training would."""
    shown = []
    for name, hook in sorted((config.get("hooks") or {}).items()):
        if hook is not None:
            built = build(hook, "hook", f"hooks.{name}")
            if hasattr(built, "check_config"):
                built.check_config(config)
            interval = f" every {built.interval:,}" if hasattr(built, "interval") else ""
            shown.append(f"{name} ({hook['type']}{interval})")
    return [f"    hooks: {', '.join(shown)}"] if shown else []


def _memory(game: Any, config: Any, stream: Any) -> str:
    from toolbox.training.explain.memory import estimate

    try:
        found = estimate(
            game, config.optim_wrapper, stream, int(config.train_dataloader.batch_size) // ranks.world()
        )
    except (
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
    ) as error:  # a trial on a few images may not be possible
        return (
            f"    memory: not estimated ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''})"
        )
    counted = ("weights", "conditioner", "gradients", "optimizers", "averages")
    parts = ", ".join(f"{name} {_size(getattr(found, name))}" for name in counted)
    return (
        f"    memory: {parts}, passes about {_size(found.passes)} (estimated); together about "
        f"{_size(found.total)}"
    )


def _size(n: float) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.1f} MiB"


def _evaluation(config: Any) -> list[str]:
    evaluation = config.get("evaluation")
    if not evaluation:
        return ["evaluation: none"]
    real = build(evaluation["real"], "dataset", "evaluation.real")
    metrics = sorted((evaluation.get("metrics") or {}).items())
    names = [f"{name} ({metric['type']})" for name, metric in metrics if metric is not None]
    return [
        f"evaluation: {', '.join(names) or 'no metrics'}; {int(evaluation.get('n_fake', 10000)):,} generated "
        "images against "
        f"{real.title} ({len(real):,} images)"
    ]
