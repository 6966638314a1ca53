"""Maximum-matching mIoU: reference values, exhaustive search, the authors' evaluator, errors."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.metrics.toys import golden
from toolbox.metrics.functional import (
    adjusted_mutual_information,
    adjusted_rand_index,
    contingency_matrix,
    matched_iou,
    matched_iou_per_image,
)

SMALL, FORCED = golden("matching"), golden("matching_forced_vs_stop")


@pytest.mark.parametrize(
    ("arrays", "way"), [(SMALL, "forced"), (SMALL, "stop"), (FORCED, "forced"), (FORCED, "stop")]
)
def test_reference_values(arrays: dict[str, np.ndarray], way: str) -> None:
    for found, name in (
        (matched_iou(arrays["contingency"], way == "stop"), f"greedy_{way}_dataset"),
        (matched_iou_per_image(arrays["contingency"], way == "stop"), f"greedy_{way}_per_image"),
    ):
        np.testing.assert_array_equal(found.assignment, arrays[f"{name}_assign"])
        assert found.miou == pytest.approx(float(arrays[f"{name}_miou"]), abs=1e-12)
        if f"{name}_trace" in arrays:
            np.testing.assert_allclose(found.iou, arrays[f"{name}_iou"], atol=1e-12)
            np.testing.assert_allclose(found.trace, arrays[f"{name}_trace"], atol=1e-12)


def test_the_authors_evaluator() -> None:
    arrays = golden("matching_klish")
    found = matched_iou_per_image(arrays["c0_contingency"])
    np.testing.assert_array_equal(found.assignment, arrays["c0_assign"])
    np.testing.assert_allclose(found.iou, arrays["c0_iou"], atol=1e-6)
    assert found.miou == pytest.approx(float(arrays["c0_miou"]), abs=1e-6)
    pooled = contingency_matrix(arrays["c0_gt"].ravel(), arrays["c0_pred"].ravel(), (5, 8))
    np.testing.assert_array_equal(pooled, arrays["c0_contingency"].sum(axis=0))
    assert adjusted_mutual_information(pooled) == pytest.approx(float(arrays["c0_ami"]), abs=1e-9)
    assert adjusted_rand_index(pooled) == pytest.approx(float(arrays["c0_ari"]), abs=1e-9)


def test_never_above_exhaustive_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = rng.integers(0, 30, size=(2, 4))
        best = 0.0
        for assignment in product((-1, 0, 1), repeat=4):
            chosen = [np.array(assignment) == i for i in range(2)]
            inside = [counts[i, chosen[i]].sum() for i in range(2)]
            union = [counts[i].sum() + counts[:, chosen[i]].sum() - inside[i] for i in range(2)]
            best = max(best, float(np.mean([a / max(b, 1) for a, b in zip(inside, union, strict=True)])))
        assert matched_iou(counts).miou <= best + 1e-12


def test_the_same_partition_and_a_class_that_never_occurs() -> None:
    assert matched_iou(np.diag([5, 7, 2])).miou == 1
    assert matched_iou(np.diag([5, 7, 0])).miou == pytest.approx(2 / 3)
    split = matched_iou([[3, 4, 0], [0, 0, 9]])
    assert split.miou == 1 and split.assignment.tolist() == [0, 0, 1]


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\): expected \(I, R, K\), one table for each image"):
        matched_iou_per_image(np.eye(2, dtype=int))
    with pytest.raises(ValueError, match="expected whole numbers"):
        matched_iou(np.eye(2))
    with pytest.raises(ValueError, match="counts >= 0"):
        matched_iou([[-1, 2]])
