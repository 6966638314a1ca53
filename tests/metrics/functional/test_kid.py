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
