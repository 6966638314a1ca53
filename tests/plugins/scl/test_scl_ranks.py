"""The objective on two processes: the value and the gradients of one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.plugins.scl.toy import D, networks, turns
from toolbox import ranks
from toolbox.testing import run_ranks
from toolbox_scl.classifiers import LabelClassifiers
from toolbox_scl.objective import LabelContrast

LABELS = [0, 1, -1, 2, 0, 2]
SETS = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 1]])
WAYS: dict[str, dict[str, Any]] = {
    "joint": {},
    "pairwise": dict(mode="pairwise"),
    "sets": dict(labels="jaccard"),
    "ignore_overlap": dict(ignore_overlap=True),
    "unicl": dict(label_loss="unicl"),
    "nt_xent": dict(label_loss="nt_xent"),
    "ce": dict(label_loss="ce", classifier=dict(type=LabelClassifiers, classes=3, code_dim=D)),
    "local": dict(gather="local"),
}


def loss_and_gradients() -> dict[str, list[Tensor]]:
    """Of this process's rows of the batch, averaged over processes as the game does."""
    here = slice(3 * ranks.rank(), 3 * ranks.rank() + 3) if ranks.running() else slice(None)
    found = {}
    for way, arguments in WAYS.items():
        parts = networks()
        torch.manual_seed(0)
        objective = LabelContrast(teaches="image_encoder", text_encoder="text_encoder", **arguments)
        both = turns("image_encoder", LABELS, parts, label_set=SETS)
        for turn in both:
            turn._real = turn._real[here]
        loss = objective.contrast(both[0])
        loss.backward()
        moving = [*parts["image_encoder"].parameters(), *parts["text_encoder"].parameters()]
        gradients = [p.grad for p in (*moving, *objective.parameters())]
        found[way] = [ranks.mean_over_ranks(value) for value in (loss.detach(), *gradients)]
    return found


def test_two_processes_are_one() -> None:
    alone = loss_and_gradients()
    first, second = run_ranks(loss_and_gradients)
    for way in WAYS:
        assert all(torch.equal(a, b) for a, b in zip(first[way], second[way], strict=True))
        same = [
            torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(alone[way], first[way], strict=True)
        ]
        assert all(same) or way == "local", way
    assert first["local"][0] != pytest.approx(float(alone["local"][0]), rel=1e-3)
