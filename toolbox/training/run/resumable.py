"""Whether a whole checkpoint holds all that a run goes on from: else it would go on as another run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.training.checkpoints import CheckpointError
from toolbox.weights.errors import short

_CURE = "resume from an older checkpoint (delete this one), or start anew"


def check_contents(checkpoint: Mapping[str, Any], what: str) -> None:
    """Raise CheckpointError for a checkpoint without tensors, or with damaged fingerprints."""
    state = checkpoint.get("state_dict")
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise CheckpointError(f"{what} holds no state_dict of named tensors: {short(state)}")
    frozen = checkpoint.get("frozen", {})
    if not isinstance(frozen, Mapping) or not all(isinstance(value, str) for value in frozen.values()):
        raise CheckpointError(f"{what}: its field frozen is {short(frozen)}, not names and digests")


def check_resumable(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Compare iteration, optimisers and schedules with the run that is to go on; clean what mmengine reads.

    mmengine skips an optimiser that is not there, and runs the text of a config in ``meta``: of that three
    numbers are kept, and its hub starts empty, as runs save it.

    Args:
        runner: mmengine's, with its optimisers built.
        checkpoint: the contents; ``meta`` and ``message_hub`` are replaced.

    Raises:
        CheckpointError: naming the field.
    """
    check_contents(checkpoint, "the checkpoint")
    iteration = _iteration_of(checkpoint["state_dict"])
    meta = checkpoint.get("meta")
    found = meta.get("iter") if isinstance(meta, Mapping) else None
    counted_on = bool(runner.cfg.get("load_from"))  # the game counts on from that checkpoint
    if isinstance(found, bool) or not isinstance(found, int) or not (counted_on or found == iteration):
        _refuse("meta.iter", f"{short(found)}, its tensors are of iteration {iteration}")
    seed = meta.get("seed") if isinstance(meta, Mapping) else None
    if isinstance(seed, bool) or not isinstance(seed, int):
        _refuse("meta.seed", short(seed))
    checkpoint["meta"] = {"iter": found, "epoch": 0, "seed": seed}
    checkpoint["message_hub"] = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    _check_optimisers(runner.optim_wrapper, checkpoint.get("optimizer"))
    if runner.param_schedulers:
        own = scheduler_states(runner.param_schedulers)
        _check_same("param_schedulers", own, checkpoint.get("param_schedulers"))


def scheduler_states(schedulers: Any) -> Any:
    """State dicts of mmengine's schedules, by player where they are."""
    if isinstance(schedulers, Mapping):
        return {name: [s.state_dict() for s in group] for name, group in schedulers.items()}
    return [s.state_dict() for s in schedulers]


def _check_same(name: str, own: Any, found: Any) -> None:
    """Every key and list of our own is there, with values of the same kind; more may be."""
    if isinstance(own, Mapping):
        if not isinstance(found, Mapping):
            _refuse(name, "missing" if found is None else short(found))
        for key, value in own.items():
            if key not in found:
                _refuse(f"{name}.{key}", f"missing{near_miss(str(key), map(str, found))}")
            _check_same(f"{name}.{key}", value, found[key])
    elif isinstance(own, (list, tuple)):
        if not isinstance(found, (list, tuple)) or len(own) != len(found):
            held = f"{len(found)} entries" if isinstance(found, (list, tuple)) else short(found)
            _refuse(name, f"{held}, this run has {len(own)} entries")
        for i, (value, other) in enumerate(zip(own, found, strict=True)):
            _check_same(f"{name}.{i}", value, other)
    elif isinstance(own, bool) != isinstance(found, bool) or (
        isinstance(own, (int, float)) and not isinstance(found, (int, float))
    ):
        _refuse(name, f"{short(found)}, this run has {short(own)}")


def _check_optimisers(wrapper: Any, found: Any) -> None:
    """Each player's optimiser is there, for parameters of this run's number and shapes."""
    if not isinstance(found, Mapping):
        _refuse("optimizer", "missing" if found is None else short(found))
    if not hasattr(wrapper, "optim_wrappers"):
        _check_optimiser("optimizer", wrapper, found)
        return
    for player, own in wrapper.items():
        name = f"optimizer.{player}"
        if not isinstance(found.get(player), Mapping):
            there = (
                short(found[player]) if player in found else f"missing{near_miss(player, map(str, found))}"
            )
            _refuse(name, there)
        _check_optimiser(name, own, found[player])


def _check_optimiser(name: str, wrapper: Any, found: Mapping[str, Any]) -> None:
    own = wrapper.state_dict()
    sizes = [dict(params=group["params"], lr=group["lr"]) for group in own["param_groups"]]
    _check_same(f"{name}.param_groups", sizes, found.get("param_groups"))
    if "loss_scaler" in own:
        _check_same(f"{name}.loss_scaler", own["loss_scaler"], found.get("loss_scaler"))
    state = found.get("state")
    if not isinstance(state, Mapping):
        _refuse(f"{name}.state", "missing" if state is None else short(state))
    parameters = [p for group in wrapper.optimizer.param_groups for p in group["params"]]
    for key, moments in state.items():
        place = f"{name}.state.{key}"
        if not isinstance(key, int) or not 0 <= key < len(parameters) or not isinstance(moments, Mapping):
            _refuse(place, f"{short(moments)}, this run has {len(parameters)} parameters")
        for kind, value in moments.items():  # a moment is a number, or has its parameter's shape
            if isinstance(value, Tensor) and value.ndim and value.shape != parameters[key].shape:
                shapes = f"{tuple(value.shape)}, its parameter is {tuple(parameters[key].shape)}"
                _refuse(f"{place}.{kind}", f"of shape {shapes}")


def _iteration_of(state: Mapping[str, Any]) -> Any:
    """What the game's own counter says; None where it is damaged, which is said when it is loaded."""
    value = state.get("iteration")
    return int(value) if isinstance(value, Tensor) and value.numel() == 1 else None


def _refuse(field: str, found: str) -> NoReturn:
    raise CheckpointError(
        f"the checkpoint cannot be resumed from, its field {field} is {found}; {_CURE}. Nothing was loaded"
    )
