"""TF32 is on where a game trains, off where something is measured, and as it was afterwards."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

from toolbox.tf32 import tf32
from toolbox.training.game.precision import exactly


def flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("on", [True, False])
def test_both_kinds_of_products_follow_and_come_back(on: bool) -> None:
    before = flags()
    with tf32(on):
        assert flags() == (on, on)
        with tf32(not on):
            assert flags() == (not on, not on)
        assert flags() == (on, on)
    assert flags() == before


def test_terms_that_ask_for_float32_get_it() -> None:
    with tf32(True), exactly(torch.device("cpu")):
        assert flags() == (False, False)


def test_metrics_are_measured_without(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = importlib.import_module("toolbox.metrics.evaluate")  # the package has a function of the name
    seen: list[Any] = []
    monkeypatch.setattr(evaluation, "_feed_real", lambda *_: seen.append(flags()))
    monkeypatch.setattr(evaluation, "_feed_fake", lambda *_: None)
    with tf32(True):
        evaluation.evaluate(lambda i: None, type("Set", (), dict(image_size=4))(), [], 1)
    assert seen == [(False, False)]
