"""Scores of segmentations: references, small cases by hand, scikit-learn, and parts that add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from toolbox.metrics.segmentation import SegmentationScores

DATA = Path(__file__).parents[1] / "data" / "metrics"


def scores_of(truth: torch.Tensor, found: torch.Tensor, parts: int, ignore: int | None = None) -> dict:
    scores = SegmentationScores(parts, ignore)
    scores.update(truth, found)
    return scores.compute()


def reference(name: str) -> tuple[dict[str, np.ndarray], torch.Tensor, torch.Tensor]:
    """A reference's values, its true masks and those found (4, 16, 16): 6 parts, the last never occurs."""
    values = dict(np.load(DATA / f"{name}.npz", allow_pickle=False))
    return values, torch.from_numpy(values["gt"]), torch.from_numpy(values["pred"])


def test_the_authors_evaluator_drops_pixels_whose_truth_is_background() -> None:
    """Its value is far above that of the images as they are: 0.610 against 0.568."""
    values, truth, found = reference("segmentation_klish")
    result = scores_of(truth, found, 6)
    assert result["miou-klish"] == pytest.approx(float(values["miou"]), abs=1e-12)
    assert result["miou-klish"] == pytest.approx(0.60993, abs=1e-5)
    assert result["miou-per-image"] == pytest.approx(0.56778, abs=1e-5)
    scores = SegmentationScores(6)
    scores.update(truth[:1], found[:1])  # of one image, IoU of each part; -1: it does not occur
    each = torch.where(scores.klish_occurs > 0, scores.klish_sum, -1.0)[1:]
    np.testing.assert_allclose(each, values["per_image_iou_classes1plus"][0], rtol=0, atol=1e-15)


def test_pixels_of_the_ignore_label_count_nowhere() -> None:
    values, truth, found = reference("segmentation")
    result = scores_of(truth, found, 6, ignore=255)
    assert result["miou-per-image"] == pytest.approx(
        float(values["miou_image_mean_without_class0"]), abs=1e-12
    )
    assert result["iou"][:5] == pytest.approx(values["iou_dataset"][:5], abs=1e-15)
    assert result["pixel-accuracy"] == pytest.approx(float(values["pixel_acc"]), abs=1e-15)
    theirs = float(reference("segmentation_klish")[0]["miou"])  # the same masks, with background for 255
    assert result["miou-klish"] == pytest.approx(theirs, abs=1e-12)


def test_shares_are_in_double_precision() -> None:
    truth, found = torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 1, 0, 0]]])
    result = scores_of(truth, found, 2)
    assert result["iou"] == [1 / 3, 1 / 3] and result["miou-per-image"] == 1 / 3


def test_by_hand() -> None:
    """Two images: part 1 has IoU 1/2 and 1; part 2 occurs in the first alone, with IoU 1/3."""
    truth = torch.tensor([[[0, 1, 1, 2]], [[0, 0, 0, 1]]])
    found = torch.tensor([[[2, 1, 2, 2]], [[0, 0, 0, 1]]])
    result = scores_of(truth, found, 4)
    # without background; part 3 never occurs and is left out
    assert result["miou-per-image"] == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert result["miou-klish"] == pytest.approx((3 / 4 + 1 / 2) / 2)  # the first pixel is dropped
    assert result["iou-klish"] == [None, 3 / 4, 1 / 2, None]
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
    assert result["miou-per-image"] == pytest.approx(np.mean(each))
    kept = [(t[t > 0], f[t > 0]) for t, f in pairs]
    each = [[jaccard_score(t == part, f == part) for t, f in kept] for part in range(1, 5)]
    assert result["miou-klish"] == pytest.approx(np.mean(each))


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
    perfect = scores_of(truth, truth, 3)
    assert {value for name, value in perfect.items() if not name.startswith("iou")} == {1.0}
    with pytest.raises(ValueError, match="no masks were fed"):
        SegmentationScores(3).compute()
    with pytest.raises(ValueError, match="no pixel but those of ignore"):
        scores_of(torch.full((1, 2, 2), 255), truth[:1, :2, :2], 3, ignore=255)


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


def test_an_ignore_label_is_the_number_of_no_part() -> None:
    with pytest.raises(ValueError, match="ignore=2 is the number of a part: it must be none of 0 to 2"):
        SegmentationScores(3, ignore=2)
    with pytest.raises(ValueError, match=r"truth has parts 0 to 254: they must be 0 to 2, or ignore=255"):
        scores_of(torch.tensor([[[0, 254, 255]]]), torch.zeros(1, 1, 3), 3, ignore=255)
