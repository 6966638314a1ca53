"""LCP on several processes: prototypes, coefficients, bank, labels and the classifier end as in one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from plugins.lcp.experiments.toy import CLASSES, ToyFeatures, ToyImages, config
from toolbox import testing
from toolbox.data.stream import Stream
from toolbox.registry import build
from toolbox.training.evaluation.measure import evaluate_game
from toolbox.training.evaluation.records import read_records


class Labeller(nn.Module):
    """Logits of the toy's classes, from a coarse look at the image."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(48, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(ToyFeatures()(images))


class Strong:
    """A second view of each image, for the classifier."""

    def apply(self, views: dict[str, Any], rng: Any) -> None:
        views["strong"] = views["images"][:, ::-1].copy()


def stream() -> Stream:
    """One image in three has a label."""
    return Stream(ToyImages(each=24), dict(labelled_fraction=0.34), [Strong()])


PLAYER = dict(
    networks=dict(classifier=dict(type=Labeller)),
    players=dict(classifier=["classifier"]),
    phases=[dict(player="classifier")],
    objectives=dict(labels=dict(type="PseudoLabelCrossEntropy", threshold=0.4)),
)


def classifier_game() -> Any:
    """The classifier alone."""
    return build(dict(type="Game", **PLAYER), "model")


def game(**changes: Any) -> Any:
    """The toy game with a classifier that trains along and labels what is shown."""
    arguments = config(0)
    for key in ("networks", "players", "objectives"):
        arguments[key] |= PLAYER[key]
    arguments["phases"] = [
        dict(player="classifier"),
        dict(player="discriminator", repeat=2),
        dict(player="generator"),
    ]
    arguments["conditioner"] |= dict(classifier="classifier", relabel=True, refresh_share=0.2, **changes)
    return build(arguments, "model")


@pytest.mark.parametrize("changes", [{}, dict(update_with_pseudo=True, freeze_prototypes_after=2)])
def test_state_ends_as_in_one_process(changes: dict[str, Any]) -> None:
    testing.check_ranks(partial(game, **changes), stream, compare_networks=False)


def test_the_mean_over_labelled_images_is_that_of_all_ranks() -> None:
    testing.check_ranks(classifier_game, stream, tolerance=1e-6)


def measured(folder: Path) -> list[dict[str, float]]:
    """Everything that an evaluation measures, under each kind of BatchNorm statistics."""
    made = game()
    made.prepare(stream())
    settings = dict(
        real=ToyImages(each=24),
        test=ToyImages(each=15, seed=1),
        extractor=ToyFeatures(),
        n_fake=40,
        batch_size=8,
        metrics=dict(fid=dict(type="FID"), consistency=dict(type="ClusterConsistency")),
        cache_dir=str(folder / "cache"),
    )
    kinds = ("running", "batch", "standing")
    return [evaluate_game(made, {**settings, "bn": bn}, folder / "metrics.jsonl") for bn in kinds]


@pytest.mark.slow
def test_an_evaluation_of_two_ranks_is_that_of_one(tmp_path: Path) -> None:
    one, other = testing.run_ranks(measured, tmp_path / "two")
    assert one == other == measured(tmp_path / "one")
    assert [name.partition("[")[0] for name in one[0]] == [
        "fid",
        "cluster-consistency",
        "cluster-consistency",
        "pseudo-labeller-accuracy",
    ]
    two, alone = (read_records(tmp_path / name / "metrics.jsonl") for name in ("two", "one"))
    assert len(two) == len(alone) == 9
    for line, same in zip(two, alone, strict=True):
        assert (line["metric"], line["values"]) == (same["metric"], same["values"])
