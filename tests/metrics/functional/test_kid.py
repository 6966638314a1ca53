"""Kernel distance: reference values, torch-fidelity's draw, symmetry, errors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.metrics.toys import golden
from toolbox.metrics.functional import kernel_distance, subset_indices, subset_kernel_distances

ARRAYS = golden("kid")
REAL, FAKE = ARRAYS["real"], ARRAYS["fake"]


def test_each_subset() -> None:
    indices = list(zip(ARRAYS["real_idx"], ARRAYS["fake_idx"], strict=True))
    values = subset_kernel_distances(REAL, FAKE, indices)
    np.testing.assert_allclose(values, ARRAYS["kid_per_subset"], atol=1e-10)
    assert values.mean() == pytest.approx(float(ARRAYS["kid_mean"]), abs=1e-10)
    assert values.std() == pytest.approx(float(ARRAYS["kid_std_ddof0"]), abs=1e-10)


def test_seed_2020_draws_torch_fidelitys_subsets() -> None:
    values = subset_kernel_distances(REAL, FAKE, subset_indices(len(REAL), len(FAKE), 12, 100, seed=2020))
    assert values.mean() == pytest.approx(float(ARRAYS["torch_fidelity_seed2020_mean"]), abs=1e-10)
    assert values.std() == pytest.approx(float(ARRAYS["torch_fidelity_seed2020_std"]), abs=1e-10)


def test_all_rows_of_unequal_sets() -> None:
    assert kernel_distance(REAL, FAKE) == pytest.approx(float(ARRAYS["full_unbiased_m_ne_n"]), abs=1e-10)


def test_symmetric_for_the_same_subsets() -> None:
    indices = list(zip(ARRAYS["real_idx"], ARRAYS["fake_idx"], strict=True))
    swapped = [(j, i) for i, j in indices]
    np.testing.assert_allclose(
        subset_kernel_distances(REAL, FAKE, indices), subset_kernel_distances(FAKE, REAL, swapped), atol=1e-12
    )


def test_subset_larger_than_a_set() -> None:
    with pytest.raises(
        ValueError, match=r"subset size 1000 is more than there are images \(400 real, 350 generated"
    ):
        subset_indices(400, 350)


def direct(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, term by term in float64."""
    x, y = x.astype(float), y.astype(float)
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("n", [700, 2000], ids=["all pairs at once", "subset by subset"])
def test_large_subsets_agree_with_float64(n: int, offset: float) -> None:
    rng = np.random.default_rng(1)
    real, fake = (rng.gamma(0.5, 0.8 * s, (n, 384)).astype(np.float32) + offset for s in (1, 1.05))
    real, fake = real.astype(np.float32), fake.astype(np.float32)
    indices = subset_indices(n, n, 3, 600)
    values = subset_kernel_distances(real, fake, indices)
    wanted = [direct(real[i], fake[j]) for i, j in indices]
    np.testing.assert_allclose(values, wanted, atol=1e-9)
    assert values.mean() == pytest.approx(np.mean(wanted), abs=1e-9)


def test_more_rows_than_a_block() -> None:
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(1100, 8)), rng.normal(size=(1030, 8)) + 0.3
    assert kernel_distance(real, fake) == pytest.approx(direct(real, fake), abs=1e-9)


def test_a_row_drawn_twice_counts_twice() -> None:
    often = [(np.array([0, 0, 1, 2]), np.array([3, 4, 4, 5]))]
    once = subset_kernel_distances(REAL, FAKE, often)
    shared = subset_kernel_distances(REAL[:6], FAKE[:6], often * 9)
    np.testing.assert_allclose(shared, np.repeat(once, 9), atol=1e-12)
