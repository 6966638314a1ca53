"""A config in words: what one iteration does, and what would be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox import ranks
from toolbox.registry import build
from toolbox.training.building import build_loader, check_batch, fill_from_data, of_run
from toolbox.training.checking import check_config
from toolbox.training.facts import data_facts, notices
from toolbox.training.optimizers import PlayerOptimizers
from toolbox.training.phases import Phase, Step, Weight, plan
from toolbox.training.stages import MAIN, resolve_weights, stage_config


def explain(config: Any) -> str:
    """One iteration of every stage, in order; no network is built.

    Raises:
        ConfigError, BuildError: for an unknown key or component.
        PlanError: when the parts of the game do not fit together.
    """
    check_config(config)
    stages = [*config.get("stages", ()), MAIN]
    parts = [_explain_game(stage_config(config, stage), stage, len(stages) > 1) for stage in stages]
    return "\n\n".join(parts)


def _explain_game(config: Any, stage: str, named: bool) -> str:
    model = config.model
    objective_configs = {name: dict(c) for name, c in model["objectives"].items() if c is not None}
    weights = {name: Weight.read(c.pop("weight", 1.0), name) for name, c in objective_configs.items()}
    objectives = {
        name: build(c, "objective", f"model.objectives.{name}") for name, c in objective_configs.items()
    }
    players = {name: list(members) for name, members in model["players"].items()}
    steps = plan([Phase.read(phase) for phase in model["phases"]], players, objectives)
    repeats = max(step.phase.repeat for step in steps)
    batch = int(config.train_dataloader["batch_size"]) // repeats
    title = f"stage {stage}: " if named else ""
    lines = [f"{title}{int(config.train_cfg['max_iters']):,} iterations, {batch * repeats} real images each"]
    fakes = model.get("generator", "generator") in model["networks"]
    for number, step in enumerate(steps, 1):
        lines += _explain_step(number, step, players, objectives, weights, batch, fakes)
    return "\n".join(lines + _explain_rest(model))


def _explain_step(
    number: int,
    step: Step,
    players: Mapping[str, list[str]],
    objectives: Mapping[str, Any],
    weights: Mapping[str, Weight],
    batch: int,
    fakes: bool,
) -> list[str]:
    phase = step.phase
    when = f"every {phase.every}: " if phase.every > 1 else ""
    times = f"{phase.repeat} times: " if phase.repeat > 1 else ""
    how = f", {phase.accumulate} splits one after the other" if phase.accumulate > 1 else ""
    how += f", in {phase.precision}" if phase.precision else ""
    seen = f"{batch} real" + (f" and {batch} generated images" if fakes else " images")
    lines = [f"  {number}. {when}{times}move [{', '.join(players[phase.player])}] on {seen}{how}, minimise"]
    for name, network in step.terms:
        objective = objectives[name]
        formula = objective.formulas.get(network, "(no formula given)")
        factor = f"{phase.every} * " if phase.every > 1 else ""
        lines.append(
            f"       {factor}{_weight(weights[name])} * {name} ({type(objective).__name__}): {formula}"
        )
    return lines


def _weight(weight: Weight) -> str:
    if weight.end <= weight.begin:
        return f"{weight.to:g}"
    return f"{weight.start:g}->{weight.to:g} (over {weight.unit} {weight.begin:g} to {weight.end:g})"


def _explain_rest(model: Mapping[str, Any]) -> list[str]:
    lines = []
    if model.get("fakes") == "shared":
        lines.append("  all steps of an iteration see the same generated batch")
    branches = model.get("branches") or ("images",)
    if tuple(branches) != ("images",):
        lines.append(f"  every term is computed on each of {', '.join(branches)} and summed")
    for name, arguments in (model.get("average") or {}).items():
        if arguments is not None:
            lines.append(f"  then: average of {name} ({', '.join(f'{k}={v}' for k, v in arguments.items())})")
    conditioner = model.get("conditioner")
    if conditioner:
        lines.append(f"  conditions: {conditioner['type']}: {_first_line(conditioner['type'])}")
    augment = model.get("augment")
    if augment:
        seen = ", ".join(augment.get("discriminators") or ["every discriminator"])
        lines.append(f"  {seen} sees its images through {augment['type']}")
    return lines + _explain_networks(model)


def _explain_networks(model: Mapping[str, Any]) -> list[str]:
    """Networks that do not simply start at random and move: borrowed, loaded, frozen."""
    moving = {name for members in model["players"].values() if members is not None for name in members}
    lines = []
    for name, network in sorted(model["networks"].items()):
        if network is None:
            continue
        facts = [] if name in moving else ["does not move"]
        if network.get("freeze_layers"):
            facts.append(f"{', '.join(network['freeze_layers'])} do not move")
        weights = network.get("weights")
        if weights is not None:
            facts.append(f"starts from {_source(weights, name)}")
        facts += [f"borrows {used}" for used in (network.get("uses") or {}).values()]
        if facts:
            lines.append(f"  {name} ({network['type']}) {', '.join(facts)}")
    return lines


def _source(weights: Any, name: str) -> str:
    if not isinstance(weights, Mapping):
        return str(weights)
    other = f"{weights['network']} of " if weights.get("network", name) != name else ""
    return other + (f"stage {weights['stage']}" if "stage" in weights else str(weights.get("checkpoint")))


def _first_line(name: str) -> str:
    from toolbox.plugins import host

    return (host().catalog.find(name).load().__doc__ or "").strip().splitlines()[0]


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
    from toolbox.training.memory import estimate

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
