"""Whether two runs came to the same: weights, optimiser state and measured values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, read_checkpoint
from toolbox.training.evaluation.records import of_training, read_records

_COMPARED = ("state_dict", "frozen", "optimizer", "param_schedulers")


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common.

    Attributes:
        lines: what was compared, for people.
        differing: names of what differs; empty = the same.
    """

    lines: list[str]
    differing: list[str]


def compare_runs(one: Path, other: Path, stages: Mapping[str, str]) -> Comparison:
    """Newest checkpoints of every stage, and the metrics of the finished runs.

    Args:
        one, other: the runs' folders.
        stages: {stage: its folder below the run's}.
    """
    lines: list[str] = []
    differing: list[str] = []
    for stage, place in stages.items():
        old = digest(_newest(one / place))
        new = digest(_newest(other / place))
        different = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        result = _in_words(different) if different else f"the same (sha256 {_digest_of_all(old)})"
        lines.append(f"[{stage}] {len(old)} tensors and values: {result}")
        differing += [f"{stage}: {key}" for key in different]
    before = metrics_of(one)
    now = metrics_of(other)
    for name in sorted({*before, *now}):
        same = before.get(name) == now.get(name)
        lines.append(f"{name}: {before.get(name)} {'=' if same else '!='} {now.get(name)}")
        if not same:
            differing.append(name)
    return Comparison(lines, differing)


def _in_words(different: Sequence[str]) -> str:
    first = ", ".join(different[:5])
    return f"{len(different)} differ: {first}{' ...' if len(different) > 5 else ''}"


def _digest_of_all(digests: Mapping[str, str]) -> str:
    text = "".join(f"{key}{value}" for key, value in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """{dotted name: sha256 of type, shape and bytes} of what a checkpoint goes on from."""
    found: dict[str, str] = {}
    for part in _COMPARED:
        _add(checkpoint.get(part), part, found)
    return found


def metrics_of(folder: Path) -> dict[str, float]:
    """{metric: value} of a finished run, the newest of each."""
    records = read_records(folder / "metrics.jsonl")
    finished = [line for line in records if not of_training(line) and "metric" in line and "value" in line]
    finished = [line for line in finished if "error" not in line]
    return {line["metric"]: line["value"] for line in finished}


def _add(value: Any, name: str, found: dict[str, str]) -> None:
    if isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous()
        head = f"{data.dtype} {tuple(data.shape)}".encode()
        content = data.reshape(-1).view(torch.uint8).numpy().tobytes()
        found[name] = hashlib.sha256(head + content).hexdigest()
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _add(inner, f"{name}.{key}", found)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            _add(inner, f"{name}.{number}", found)
    elif value is not None:
        found[name] = repr(value)


def _newest(folder: Path) -> dict[str, Any]:
    path = latest_checkpoint(folder)
    if path is None:
        raise CheckpointError(f"{folder} holds no checkpoint to compare with")
    return read_checkpoint(path)
