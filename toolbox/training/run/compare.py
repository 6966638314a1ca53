"""Whether two runs came to the same: weights, optimiser state and measured values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, read_checkpoint
from toolbox.training.evaluation.records import ORIGIN, read_records

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
    lines, differing = [], []
    for stage, place in stages.items():
        digests = [digest(_newest(folder / place)) for folder in (one, other)]
        different = [
            key for key in sorted({*digests[0], *digests[1]}) if digests[0].get(key) != digests[1].get(key)
        ]
        whole = hashlib.sha256(
            "".join(f"{key}{value}" for key, value in sorted(digests[0].items())).encode()
        ).hexdigest()[:16]
        lines.append(
            f"[{stage}] {len(digests[0])} tensors and values: "
            + (
                f"{len(different)} differ: {', '.join(different[:5])}{' ...' if len(different) > 5 else ''}"
                if different
                else f"the same (sha256 {whole})"
            )
        )
        differing += [f"{stage}: {key}" for key in different]
    values = [metrics_of(folder) for folder in (one, other)]
    for name in sorted({*values[0], *values[1]}):
        pair = [found.get(name) for found in values]
        same = pair[0] == pair[1]
        lines.append(f"{name}: {pair[0]} {'=' if same else '!='} {pair[1]}")
        differing += [] if same else [name]
    return Comparison(lines, differing)


def digest(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """{dotted name: sha256 of type, shape and bytes} of what a checkpoint goes on from."""
    found: dict[str, str] = {}
    for part in _COMPARED:
        _add(checkpoint.get(part), part, found)
    return found


def metrics_of(folder: Path) -> dict[str, float]:
    """{metric: value} of a finished run, the newest of each."""
    return {
        line["metric"]: line["value"]
        for line in read_records(folder / "metrics.jsonl")
        if line.get("during") != ORIGIN and "metric" in line and "value" in line
    }


def _add(value: Any, name: str, found: dict[str, str]) -> None:
    if isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous()
        head = f"{data.dtype} {tuple(data.shape)}".encode()
        found[name] = hashlib.sha256(head + data.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
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
