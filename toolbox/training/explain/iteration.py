"""One iteration of a config in words and formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolbox.training.game.phases import LossWeight, Plan, Step
from toolbox.training.run.prepare import Stage, prepare

if TYPE_CHECKING:
    from mmengine import Config


def explain(config: Config) -> str:
    """One iteration of every stage, in order; no network is built.

    Raises:
        ConfigError, BuildError: for an unknown key or component.
        PlanError: when the parts of the game do not fit together.
    """
    stages = prepare(config)
    return "\n\n".join(_explain_stage(stage, named=len(stages) > 1) for stage in stages)


def _explain_stage(stage: Stage, named: bool) -> str:
    plan = stage.plan
    model = stage.config.model
    loader = stage.config.train_dataloader
    batch = int(loader["batch_size"]) // plan.repeats
    real = loader["dataset"] is not None
    title = f"stage {stage.name}: " if named else ""
    kind = "real" if real else "generated"
    lines = [f"{title}{stage.length:,} iterations, {batch * plan.repeats} {kind} images each"]
    with_fakes = model.get("generator", "generator") in model["networks"]
    seen = _seen(batch, real, with_fakes)
    for number, step in enumerate(plan.steps, 1):
        lines += _explain_step(number, step, plan, seen)
    coupled = [name for name, objective in plan.objectives.items() if objective.couples_branches]
    return "\n".join(lines + _explain_rest(model, coupled))


def _seen(batch: int, real: bool, generated: bool) -> str:
    """What a step looks at."""
    if not real:
        return f"{batch} generated images"
    return f"{batch} real" + (f" and {batch} generated images" if generated else " images")


def _explain_step(number: int, step: Step, plan: Plan, seen: str) -> list[str]:
    phase = step.phase
    when = f"every {phase.every}: " if phase.every > 1 else ""
    times = f"{phase.repeat} times: " if phase.repeat > 1 else ""
    how = f", {phase.accumulate} splits one after the other" if phase.accumulate > 1 else ""
    how += f", in {phase.precision}" if phase.precision else ""
    lines = [
        f"  {number}. {when}{times}move [{', '.join(plan.players[phase.player])}] on {seen}{how}, minimise"
    ]
    for name, network in step.terms:
        objective = plan.objectives[name]
        formula = objective.formulas.get(network, "(no formula given)")
        weight = _weight(plan.weights[name])
        if phase.every > 1:
            weight = f"{phase.every} * {weight}"
        lines.append(f"       {weight} * {name} ({type(objective).__name__}): {formula}")
    if step.choice is not None:
        what = step.choice.formula or "(no formula given)"
        lines.append(f"       what moves is chosen before each step ({type(step.choice).__name__}): {what}")
    return lines


def _weight(weight: LossWeight) -> str:
    if weight.end <= weight.begin:
        return f"{weight.to:g}"
    return f"{weight.start:g}->{weight.to:g} (over {weight.unit} {weight.begin:g} to {weight.end:g})"


def _explain_rest(model: Mapping[str, Any], coupled: list[str]) -> list[str]:
    """What holds for all steps; ``coupled`` names the terms that see all branches at once."""
    lines = []
    if model.get("fakes") == "shared":
        lines.append("  all steps of an iteration see the same generated batch")
    branches = model.get("branches") or ("images",)
    if tuple(branches) != ("images",):
        but = f" but {', '.join(coupled)}" if coupled else ""
        lines.append(f"  every term{but} is computed on each of {', '.join(branches)} and summed")
    for name, arguments in (model.get("average") or {}).items():
        if arguments is not None:
            said = ", ".join(f"{key}={value}" for key, value in arguments.items())
            lines.append(f"  then: average of {name} ({said})")
    conditioner = model.get("conditioner")
    if conditioner:
        lines.append(f"  conditions: {conditioner['type']}: {_what_it_is(conditioner['type'])}")
    latents = model.get("latents")
    if latents:
        lines.append(f"  latents: {latents['type']}: {_what_it_is(latents['type'])}")
    augment = model.get("augment")
    if augment:
        seen = ", ".join(augment.get("discriminators") or ["every discriminator"])
        lines.append(f"  {seen} sees its images through {augment['type']}")
    return lines + _explain_networks(model)


def _explain_networks(model: Mapping[str, Any]) -> list[str]:
    """Networks that do not simply start at random and move: borrowed, loaded, frozen."""
    moving = {name for members in model["players"].values() for name in members or ()}
    lines = []
    for name, network in sorted(model["networks"].items()):
        if network is None:
            continue
        remarks = [] if name in moving else ["does not move"]
        if network.get("freeze_layers"):
            remarks.append(f"{', '.join(network['freeze_layers'])} do not move")
        weights = network.get("weights")
        if weights is not None:
            remarks.append(f"starts from {_source(weights, name)}")
        remarks += [f"borrows {used}" for used in (network.get("uses") or {}).values()]
        if remarks:
            lines.append(f"  {name} ({network['type']}) {', '.join(remarks)}")
    return lines


def _source(weights: Any, name: str) -> str:
    if not isinstance(weights, Mapping):
        return str(weights)
    place = f"stage {weights['stage']}" if "stage" in weights else str(weights.get("checkpoint"))
    network = weights.get("network", name)
    return place if network == name else f"{network} of {place}"


def _what_it_is(name: str) -> str:
    from toolbox.plugins import host

    docstring = host().catalog.find(name).load().__doc__ or ""
    summary = docstring.strip().partition("\n\n")[0]
    return " ".join(summary.split())
