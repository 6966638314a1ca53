"""Inception Score: reference values of each convention, bounds, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.toys import golden
from toolbox.metrics.functional import inception_score

ARRAYS = golden("inception_score")
LOGITS = ARRAYS["logits"]


@pytest.mark.parametrize(
    ("rule", "ddof", "mean", "std"),
    [
        ("boundaries", 0, "is_mean_split10", "is_std_ddof0_split10"),
        ("boundaries", 1, "torch_fidelity_noshuffle_mean", "is_std_ddof1_split10"),
        ("drop", 0, "is_mean_split10_drop_remainder", "is_std_split10_drop_remainder"),
        ("ceil", 1, "is_mean_split10_ceil_chunks", "is_std_ddof1_split10_ceil_chunks"),
    ],
)
def test_split_rules(rule: str, ddof: int, mean: str, std: str) -> None:
    found = inception_score(LOGITS, rule=rule, shuffle_seed=None, ddof=ddof)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, (ARRAYS[mean], ARRAYS[std]), atol=1e-10)


def test_shuffled_as_torch_fidelity_does() -> None:
    expected = ARRAYS["torch_fidelity_shuffle2020_mean"], ARRAYS["torch_fidelity_shuffle2020_std"]
    np.testing.assert_allclose(inception_score(LOGITS), expected, atol=1e-10)


def test_one_split() -> None:
    mean, std = inception_score(LOGITS, splits=1)
    assert mean == pytest.approx(float(ARRAYS["is_split1"]), abs=1e-10)
    assert std == 0


def test_extremes() -> None:
    assert inception_score(ARRAYS["onehot_logits"], splits=1)[0] == pytest.approx(10)
    assert inception_score(np.zeros((50, 7)), splits=5)[0] == pytest.approx(1)
    assert np.isfinite(
        inception_score(np.eye(4)[[0, 0, 1]] * 1e4, splits=1)[0]
    )  # probabilities that underflow


@given(st.integers(0, 2**31 - 1), st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_between_one_and_the_class_count(seed: int, sharpness: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(40, 6)) * sharpness
    assert 1 - 1e-9 <= inception_score(logits, splits=2)[0] <= 6 + 1e-9


def test_errors() -> None:
    with pytest.raises(ValueError, match="rule='even': allowed are 'boundaries', 'drop', 'ceil'"):
        inception_score(LOGITS, rule="even")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="splits=10: allowed are 1 to 5"):
        inception_score(LOGITS[:5])
    with pytest.raises(ValueError, match="logits: row 2 is not finite"):
        inception_score([[0, 0], [0, 0], [np.nan, 0]], splits=1)
