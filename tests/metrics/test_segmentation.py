"""Scores of segmentations: small cases by hand, scikit-learn, and parts that add up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from toolbox.metrics.segmentation import SegmentationScores


def scores_of(truth: torch.Tensor, found: torch.Tensor, parts: int) -> dict:
    scores = SegmentationScores(parts)
    scores.update(truth, found)
    return scores.compute()


def test_by_hand() -> None:
    """Two images: part 1 has IoU 1/2 and 1; part 2 occurs in the first alone, with IoU 1/3."""
    truth = torch.tensor([[[0, 1, 1, 2]], [[0, 0, 0, 1]]])
    found = torch.tensor([[[2, 1, 2, 2]], [[0, 0, 0, 1]]])
    result = scores_of(truth, found, 4)
    assert result["miou"] == pytest.approx(
        (3 / 4 + 1 / 3) / 2
    )  # without background; part 3 never occurs and is left out
    assert result["iou"] == pytest.approx([3 / 4, 2 / 3, 1 / 3, 0])
    assert result["miou-pooled"] == pytest.approx((3 / 4 + 2 / 3 + 1 / 3 + 0) / 4)
    assert result["pixel-accuracy"] == 6 / 8


def test_pooled_is_scikit_learns_macro_jaccard() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (6, 9, 9))
    found = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 5, truth.shape))
    result = scores_of(torch.from_numpy(truth), torch.from_numpy(found), 5)
    assert result["miou-pooled"] == pytest.approx(
        jaccard_score(truth.ravel(), found.ravel(), average="macro")
    )
    pairs = [(t.ravel(), f.ravel()) for t, f in zip(truth, found, strict=True)]
    each = [[jaccard_score(t == part, f == part) for t, f in pairs] for part in range(1, 5)]
    assert result["miou"] == pytest.approx(np.mean(each))


def test_statistics_of_parts_add_up() -> None:
    rng = torch.Generator().manual_seed(0)
    truth, found = (torch.randint(0, 3, (5, 4, 6), generator=rng) for _ in range(2))
    first, second = SegmentationScores(3), SegmentationScores(3)
    first.update(truth[:2], found[:2])
    second.update(truth[2:], found[2:])
    first.merge(second.state())
    whole = scores_of(truth, found, 3)
    assert first.compute() == {name: pytest.approx(value) for name, value in whole.items()}


def test_perfect_and_empty() -> None:
    truth = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    assert {scores_of(truth, truth, 3)[name] for name in ("miou", "miou-pooled", "pixel-accuracy")} == {1.0}
    with pytest.raises(ValueError, match="no masks were fed"):
        SegmentationScores(3).compute()


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        (torch.zeros(1, 4, 4), torch.zeros(1, 8, 8), r"truth has shape \(1, 4, 4\) and found \(1, 8, 8\)"),
        (torch.full((1, 2, 2), 3), torch.zeros(1, 2, 2), "truth has parts 3 to 3: they must be 0 to 2"),
        (torch.zeros(1, 2, 2), torch.full((1, 2, 2), -1), "found has parts -1 to -1"),
    ],
)
def test_masks_that_do_not_fit(truth: torch.Tensor, found: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationScores(3).update(truth, found)
