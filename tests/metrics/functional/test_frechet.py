"""Frechet distance: reference values, closed forms, invariances, errors."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.toys import golden
from toolbox.metrics.functional import few_sample_distance, frechet_distance, frechet_from_features

ARRAYS = golden("frechet")
seeds = st.integers(0, 2**31 - 1)


def features(seed: int, n: int = 40, d: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


def test_equals_torch_fidelity_and_torchmetrics() -> None:
    ours = frechet_from_features(ARRAYS["real"], ARRAYS["fake"])
    for theirs in (
        "fid_torch_fidelity",
        "fid_torchmetrics_stream",
        "fid_unbiased_cov",
        "fid_unbiased_cov_eigh",
    ):
        assert ours == pytest.approx(float(ARRAYS[theirs]), rel=1e-8)


def test_from_moments_equals_from_features() -> None:
    ours = frechet_distance(*(ARRAYS[key] for key in ("mu_real", "cov_real", "mu_fake", "cov_fake")))
    assert ours == pytest.approx(float(ARRAYS["fid_unbiased_cov"]), rel=1e-8)


def test_divisor_n_is_stylegans() -> None:
    ours = frechet_from_features(ARRAYS["real"], ARRAYS["fake"], ddof=0)
    assert ours == pytest.approx(float(ARRAYS["fid_biased_cov_stylegan"]), rel=1e-8)


def test_equals_forty_digit_arithmetic() -> None:
    ours = frechet_from_features(ARRAYS["real"][:, :16], ARRAYS["fake"][:, :16])
    assert ours == pytest.approx(float(ARRAYS["fid_first16_mpmath40"]), rel=1e-10)


def test_few_samples_are_exact_where_the_matrix_root_is_not() -> None:
    exact = float(ARRAYS["few_fid_exact"])
    ours = frechet_from_features(ARRAYS["few_real"], ARRAYS["few_fake"])
    assert ours == pytest.approx(exact, rel=1e-12)
    assert abs(float(ARRAYS["few_fid_eigh"]) / exact - 1) > 1e-8


def test_few_samples_on_one_side() -> None:
    few, many = ARRAYS["few_real"], ARRAYS["fake"]
    c1, c2 = np.cov(few, rowvar=False), np.cov(many, rowvar=False)
    assert few_sample_distance(few, many) == pytest.approx(
        frechet_distance(few.mean(0, dtype=float), c1, many.mean(0, dtype=float), c2), rel=1e-6
    )


def test_diagonal_closed_form() -> None:
    d = len(ARRAYS["diag_dmu"])
    ours = frechet_distance(
        np.zeros(d), np.diag(ARRAYS["diag_var1"]), ARRAYS["diag_dmu"], np.diag(ARRAYS["diag_var2"])
    )
    assert ours == pytest.approx(float(ARRAYS["diag_fid_closed_form"]), rel=1e-10)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_is_zero_on_itself_and_symmetric(seed: int) -> None:
    x, y = features(seed), features(seed + 1)
    assert frechet_from_features(x, x) <= 1e-6 * np.trace(np.cov(x, rowvar=False))
    assert frechet_from_features(x, y) == pytest.approx(frechet_from_features(y, x), rel=1e-8)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_ignores_a_common_rotation_and_adds_the_square_of_a_shift(seed: int) -> None:
    x, y = features(seed), features(seed + 1)
    rotation = np.linalg.qr(features(seed + 2, 5, 5))[0]
    assert frechet_from_features(x @ rotation, y @ rotation) == pytest.approx(
        frechet_from_features(x, y), rel=1e-8
    )
    shift = np.arange(5.0)
    assert frechet_from_features(x, x + shift) == pytest.approx(shift @ shift, rel=1e-6)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_both_ways_agree(seed: int) -> None:
    x, y = features(seed), features(seed + 1, n=30)
    assert few_sample_distance(x, y) == pytest.approx(frechet_from_features(x, y), rel=1e-7, abs=1e-7)


def test_one_feature() -> None:
    x, y = np.array([[0.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [8.0]])
    std = [np.std(v, ddof=1) for v in (x, y)]
    assert frechet_from_features(x, y) == pytest.approx((x.mean() - y.mean()) ** 2 + (std[0] - std[1]) ** 2)


def test_warns_of_a_value_below_zero_beyond_rounding(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert frechet_distance([0.0, 0], [[1.0, 0], [0, -9]], [0.0, 0], np.eye(2)) == 0
    assert "below zero" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((1, 3)), np.zeros((5, 3))), "features1 has 1 rows: at least 2"),
        ((np.zeros((5, 3)), np.zeros((5, 4))), "features1 has 3 features and features2 has 4"),
        ((np.zeros(5), np.zeros((5, 3))), r"shape \(5,\)"),
        ((np.zeros((5, 3)), np.array([[0, 0, 0], [0, np.nan, 0]])), "features2: row 1 is not finite"),
    ],
)
def test_bad_features(arguments: tuple[np.ndarray, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_from_features(*arguments)


def test_bad_moments() -> None:
    with pytest.raises(ValueError, match=r"covariance2 \(3, 3\): expected"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance([np.inf], [[1]], [0], [[1]])
    with pytest.raises(ValueError, match="mean1 has 2 features and mean2 has 3"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))
