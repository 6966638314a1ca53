"""Metrics of several processes equal those of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.metrics.test_caption_metrics import Codes
from tests.metrics.toys import Blocks, Pixels, sampler
from toolbox import ranks
from toolbox.interfaces import Metric, Sample
from toolbox.metrics import (
    FID,
    KID,
    ClassifierAccuracy,
    ClusterConsistency,
    InceptionScore,
    IntraFID,
    PrecisionRecall,
    RPrecision,
    evaluate,
)
from toolbox.metrics.told import Told
from toolbox.testing.processes import run_ranks


def nearest_half(features: Tensor, labels: Tensor | None) -> Tensor:
    """Two "clusters": whether the first cell is brighter than the second."""
    return (features[:, 0] > features[:, 1]).long()


class Brightest(Metric):
    """A third party's metric: it takes reals itself and knows nothing of caches."""

    name = "brightest"

    def __init__(self) -> None:
        self.reset()

    def update_real(self, sample: Sample) -> None:
        self.values["real"] = torch.maximum(self.values["real"], sample.images.mean(dim=(1, 2, 3)).max())

    def update_fake(self, sample: Sample) -> None:
        self.values["fake"] = torch.maximum(self.values["fake"], sample.images.mean(dim=(1, 2, 3)).max())

    def compute(self) -> dict[str, float]:
        return {key: float(value) for key, value in self.values.items()}

    def state(self) -> dict[str, Any]:
        return dict(self.values)

    def merge(self, state: dict[str, Any]) -> None:
        self.values = {key: torch.maximum(value, state[key]) for key, value in self.values.items()}

    def reset(self) -> None:
        self.values = {"real": torch.tensor(-2.0), "fake": torch.tensor(-2.0)}


def metrics() -> list[Metric]:
    return [
        FID(Blocks()),
        FID(Blocks("few"), 20),
        IntraFID(Blocks()),
        IntraFID(Blocks("sums"), keep_features=False),
        KID(Blocks(), subsets=3, subset_size=20),
        PrecisionRecall(Blocks()),
        InceptionScore(Blocks(), splits=3),
        ClassifierAccuracy(Blocks()),
        ClusterConsistency(Blocks(), nearest_half),
        Brightest(),
        RPrecision(Codes(), candidates=11, folds=6),
    ]


class CaptionedPixels(Pixels):
    """Two captions an image, of the class and a number."""

    @property
    def captions(self) -> list[list[str]]:
        return [[f"{label + 1} {100 + i}", f"{label + 1} {200 + i}"] for i, label in enumerate(self.labels)]


def captioned(index: Tensor) -> Sample:
    sample = sampler(index)
    text = [f"{int(i) % 3 + 1} {100 + int(i)}" for i in index]
    return sample.replace(condition=sample.condition.replace(text=text))


def measure(folder: Path | None = None, batch_size: int = 8) -> dict[str, float]:
    return evaluate(
        captioned,
        Pixels(),
        metrics(),
        told=Told(CaptionedPixels(), seed=1),
        n_fake=60,
        batch_size=batch_size,
        cache_dir=folder and folder / "cache",
        record=folder and folder / "metrics.jsonl",
    )


def measure_in_many_ways(folder: Path) -> tuple[dict[str, float], ...]:
    return measure(folder), measure(folder), measure(), measure(batch_size=13)


def fail_on_one_rank(where: str) -> str:
    """What each rank raises when only one meets the fault."""

    def broken(index: Tensor) -> Sample:
        sample = sampler(index)
        if ranks.rank() == ranks.world() - 1 and where == "sampler":
            sample.images[0] = float("nan")
        return sample

    twice = [FID(Blocks()), FID(Blocks())] if where == "names" else [FID(Blocks())]
    try:
        evaluate(broken, Pixels(), twice, n_fake=60, batch_size=8)
    except ValueError as error:
        return str(error)
    return "nothing"


def test_two_ranks_equal_one_and_one_of_them_writes(tmp_path: Path) -> None:
    alone = measure()
    for cold, warm, uncached, other_batches in run_ranks(measure_in_many_ways, tmp_path):
        assert cold == warm == uncached == alone
        assert other_batches == pytest.approx(alone, rel=1e-6, abs=1e-6)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["n_fake"] for record in records[:4]] == [60, 20, 60, 60]
    assert len(records) == 2 * len(metrics()) and records[0]["n_real"] == 90
    data = Pixels()
    values = evaluate(sampler, data, [FID(Blocks())], n_fake=60, batch_size=8, cache_dir=tmp_path / "cache")
    assert data.reads == 0 and values["fid[blocks,60]"] == alone["fid[blocks,60]"]


def test_three_ranks_equal_one() -> None:
    assert run_ranks(measure, world=3) == [measure()] * 3


@pytest.mark.parametrize(
    ("where", "message"), [("sampler", "image 0 of the batch spans nan"), ("names", "two metrics are named")]
)
def test_a_fault_on_one_rank_is_raised_on_all(where: str, message: str) -> None:
    assert all(message in answer for answer in run_ranks(fail_on_one_rank, where))
