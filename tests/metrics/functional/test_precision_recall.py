"""Precision, recall, density, coverage: reference values, scikit-learn's neighbours, swaps, errors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.metrics.toys import golden
from toolbox.metrics.functional import neighbour_radii, precision_recall

ARRAYS = golden("precision_recall")
REAL, FAKE = ARRAYS["real"], ARRAYS["fake"]


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("block", [7, 128, 4096])
def test_shares_are_exact_at_any_block_size(k: int, block: int) -> None:
    found = precision_recall(REAL, FAKE, k, block)
    assert found == {
        name: float(ARRAYS[f"{name}_k{k}"]) for name in ("precision", "recall", "density", "coverage")
    }


@pytest.mark.parametrize("k", [3, 5])
def test_radii(k: int) -> None:
    np.testing.assert_allclose(neighbour_radii(REAL, k), ARRAYS[f"radii_real_k{k}"], rtol=1e-6)
    np.testing.assert_allclose(neighbour_radii(FAKE, k), ARRAYS[f"radii_fake_k{k}"], rtol=1e-6)


def test_radii_are_scikit_learns() -> None:
    distances, _ = NearestNeighbors(n_neighbors=4).fit(REAL.astype(float)).kneighbors()
    np.testing.assert_allclose(neighbour_radii(REAL, 4), distances[:, -1], rtol=1e-9)


def test_precision_and_recall_swap_with_the_sets() -> None:
    there, back = precision_recall(REAL, FAKE), precision_recall(FAKE, REAL)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


def test_a_large_common_offset_changes_nothing() -> None:
    assert precision_recall(REAL.astype(float) + 1e5, FAKE.astype(float) + 1e5) == precision_recall(
        REAL, FAKE
    )


def test_same_and_distant_sets() -> None:
    assert {precision_recall(REAL, REAL)[name] for name in ("precision", "recall", "coverage")} == {1.0}
    assert set(precision_recall(REAL, REAL + 1000).values()) == {0.0}


def test_errors() -> None:
    with pytest.raises(ValueError, match="k=3: allowed are 1 to 2, one less than the number of images"):
        precision_recall(REAL[:3], FAKE)
    with pytest.raises(ValueError, match="real has 16 features and fake has 4"):
        precision_recall(REAL, FAKE[:, :4])
