"""What metrics are given: an extractor where they ask for one, single modes where they need them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from toolbox.config import ConfigError
from toolbox.interfaces import Condition, Conditioner, Metric, Sample
from toolbox.plugins import host
from toolbox.training.evaluation.measure import ModeSampler, build_metrics


class Count(Metric):
    """How many images were fed; no extractor, no real images."""

    needs: tuple[str, ...] = ("fake",)

    def __init__(self) -> None:
        self.n = 0

    @property
    def name(self) -> str:
        return "count"

    def update_fake(self, sample: Sample) -> None:
        self.n += len(sample)

    def compute(self) -> dict[str, float]:
        return {"": float(self.n)}

    def state(self) -> dict[str, Any]:
        return {"n": torch.tensor(self.n)}

    def merge(self, state: dict[str, Any]) -> None:
        self.n += int(state["n"])

    def reset(self) -> None:
        self.n = 0


class CountModes(Count):
    """The same of single modes; it is told how they are found."""

    needs: tuple[str, ...] = ("fake", "modes")

    def __init__(self, assign: Any) -> None:
        super().__init__()
        self.assign = assign


class TwoModes(Conditioner):
    """Modes are labels 0 and 1."""

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return Condition(labels=torch.zeros(n, dtype=torch.int64))

    def modes(self) -> Condition:
        return Condition(labels=torch.arange(2))

    def assign(self, features: Tensor, labels: Tensor | None) -> Tensor:
        return torch.zeros(len(features), dtype=torch.int64)


class OneMode(TwoModes):
    def modes(self) -> Condition | None:  # type: ignore[override]
        return None


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Count, CountModes):
        if kind.__name__ not in host().catalog:
            host().catalog.add("metric", kind.__name__, f"{__name__}:{kind.__name__}", "tests")


SETTINGS = dict(metrics=dict(all=dict(type="Count"), modes=dict(type="CountModes"), gone=None))


def test_metrics_get_what_they_ask_for(named: None) -> None:
    conditioner = TwoModes()
    whole, by_mode = build_metrics(SimpleNamespace(conditioner=conditioner), SETTINGS, True)
    assert list(whole) == ["all"] and list(by_mode) == ["modes"]
    assert by_mode["modes"].assign == conditioner.assign  # type: ignore[attr-defined]


def test_metrics_of_modes_are_left_out_where_there_are_none(named: None) -> None:
    whole, by_mode = build_metrics(SimpleNamespace(conditioner=OneMode()), SETTINGS, False)
    assert list(whole) == ["all"] and not by_mode


def test_a_metric_that_needs_an_extractor_says_so(named: None) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.metrics\.fid needs an extractor"):
        build_metrics(SimpleNamespace(conditioner=OneMode()), dict(metrics=dict(fid=dict(type="FID"))), False)


def test_images_of_modes_take_turns() -> None:
    asked: list[int] = []

    def sampler(indices: Tensor, condition: Condition) -> Sample:
        assert condition.labels is not None
        asked.extend(condition.labels.tolist())
        return Sample(torch.zeros(len(indices), 3, 2, 2), condition)

    ModeSampler(sampler, TwoModes().modes())(torch.arange(3, 7))  # type: ignore[arg-type]
    assert asked == [1, 0, 1, 0]
