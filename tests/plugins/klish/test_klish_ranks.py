"""Two processes with half the rows each find the tree of one process with all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from toolbox import ranks, testing
from toolbox.registry import build
from toolbox_klish.toy import curved_clusters

CONFIGS = [
    dict(type="KLiSH", clusters=8, C=100.0, filter_sigma=None, precision="float64"),
    dict(type="KLiSH", clusters=3, first=8, C=100.0, filter_sigma=1.0, precision="float64"),
    dict(type="KASP", clusters=3, centres=8),
    dict(type="AHC", clusters=3, rows=150, classifier_steps=20),
]


def fit_own_rows(config: dict[str, Any], cut: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """State and labels of this rank's clusterer; with several ranks the first has the rows before ``cut``."""
    X, _ = curved_clusters(rows=500, width=8, classes=4, seed=2)
    if ranks.running():
        X = X[:cut] if ranks.rank() == 0 else X[cut:]
    model = build(config).fit(X)
    return model.state(), model.labels_


def fit_same_rows(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """State of a clusterer that has all rows, on every rank."""
    return build(config).fit(curved_clusters(rows=500, width=8, classes=4, seed=2)[0]).state()


def fit_broken_rows() -> str:
    """What is raised on a rank whose own rows are fine."""
    X, _ = curved_clusters(rows=100, width=8, classes=4, seed=2)
    if ranks.rank() == 1:
        X[3, 3] = np.nan
    with pytest.raises(ValueError) as caught:
        build(CONFIGS[0]).fit(X)
    return str(caught.value)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["type"])
def test_two_ranks_are_as_one(config: dict[str, Any]) -> None:
    expected, labels = fit_own_rows(config, 200)
    answers = testing.run_ranks(fit_own_rows, config, 200)
    for state, _ in answers:
        for key, value in expected.items():
            np.testing.assert_allclose(state[key], value, atol=1e-6, err_msg=key)
    np.testing.assert_array_equal(np.concatenate([own for _, own in answers]), labels)


def test_ranks_that_hold_the_same_rows_count_them_once() -> None:
    """As a conditioner's clusterer does: every rank fits on the whole set."""
    expected = fit_same_rows(CONFIGS[1])
    for state in testing.run_ranks(fit_same_rows, CONFIGS[1]):
        for key, value in expected.items():
            np.testing.assert_array_equal(state[key], value, err_msg=key)


def test_an_error_on_one_rank_is_an_error_on_all() -> None:
    assert all("NaN or infinite values" in said for said in testing.run_ranks(fit_broken_rows))
