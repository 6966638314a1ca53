"""A config in words: what one iteration does, and what would be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.registry import build
from toolbox.training.building import build_loader, fill_from_data, of_run
from toolbox.training.facts import data_facts, notices
from toolbox.training.phases import Phase, Step, Weight, plan
from toolbox.training.stages import MAIN, resolve_weights, stage_config


def explain(config: Any) -> str:
    """One iteration of every stage, in order; no network is built.

    Raises:
        PlanError: when the parts of the game do not fit together.
    """
    stages = [*config.get("stages", ()), MAIN]
    parts = [_explain_game(stage_config(config, stage), stage, len(stages) > 1) for stage in stages]
    return "\n\n".join(parts)


def _explain_game(config: Any, stage: str, named: bool) -> str:
    model = config.model
    objective_configs = {name: dict(c) for name, c in model["objectives"].items() if c is not None}
    weights = {name: Weight.read(c.pop("weight", 1.0), name) for name, c in objective_configs.items()}
    objectives = {name: build(c, "objective", f"model.objectives.{name}") for name, c in objective_configs.items()}
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


def _explain_step(number: int, step: Step, players: Mapping[str, list[str]], objectives: Mapping[str, Any],
                  weights: Mapping[str, Weight], batch: int, fakes: bool) -> list[str]:
    phase = step.phase
    when = f"every {phase.every}: " if phase.every > 1 else ""
    times = f"{phase.repeat} times: " if phase.repeat > 1 else ""
    seen = f"{batch} real" + (f" and {batch} generated images" if fakes else " images")
    lines = [f"  {number}. {when}{times}move [{', '.join(players[phase.player])}] on {seen}, minimise"]
    for name, network in step.terms:
        objective = objectives[name]
        formula = objective.formulas.get(network, "(no formula given)")
        factor = f"{phase.every} * " if phase.every > 1 else ""
        lines.append(f"       {factor}{_weight(weights[name])} * {name} ({type(objective).__name__}): {formula}")
    return lines


def _weight(weight: Weight) -> str:
    if weight.end <= weight.begin:
        return f"{weight.to:g}"
    return f"{weight.start:g}->{weight.to:g} (over {weight.unit} {weight.begin:g} to {weight.end:g})"


def _explain_rest(model: Mapping[str, Any]) -> list[str]:
    lines = []
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
    return lines


def _first_line(name: str) -> str:
    from toolbox.plugins import host

    return (host().catalog.find(name).load().__doc__ or "").strip().splitlines()[0]


def summary(config: Any) -> str:
    """One screen: networks with parameter counts, data with sizes, the iteration. Everything is built, nothing trained."""
    lines = []
    for stage in [*config.get("stages", ()), MAIN]:
        own = stage_config(config, stage)
        stream = build_loader(own, own.get("seed", 0)).dataset
        facts = data_facts(stream)
        model = fill_from_data(own.model, stream)
        game = build({**of_run(own), **resolve_weights(config, model, deferred=True)}, "model", "model")
        lines.append(f"[{stage}] data: {facts['title']}: {facts['n']:,} images, "
                     f"{facts['labelled']:,} labelled, {len(facts['classes'])} classes")
        lines += [f"    {notice}" for notice in [facts["notice"], *notices(game)] if notice]
        for name, network in game.networks.items():
            count = sum(p.numel() for p in network.parameters())
            moving = sum(p.numel() for p in network.parameters() if p.requires_grad)
            lines.append(f"    {name:<24}{type(network).__name__:<24}{count:>13,} parameters, {moving:,} of them move")
    return "\n".join([*lines, "", explain(config)])
