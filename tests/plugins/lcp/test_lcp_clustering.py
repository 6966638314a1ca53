"""Soft k-means: the reference arrays, the formulas on small cases, the critical temperature, faults."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from toolbox_lcp.clustering import CollapseWarning, HardKMeans, SoftKMeans
from toolbox_lcp.equations import coefficients, critical_temperature, perplexity, update

GOLDEN = np.load(Path(__file__).parent / "data" / "softkmeans_seed0.npz")


def golden_class(c: int) -> SoftKMeans:
    delta = np.array([GOLDEN["delta"][c], GOLDEN["delta_crit"][c]])
    state = {"prototypes": GOLDEN["rho0"][c], "delta": delta}
    return SoftKMeans(3, mu=float(GOLDEN["mu"])).load_state(state)


@pytest.mark.parametrize("c", [0, 1])
def test_golden_coefficients_update_and_critical_temperature(c):
    model = golden_class(c)
    rows = GOLDEN["y"] == c
    features = GOLDEN["f"]
    assert critical_temperature(features[rows]) == pytest.approx(GOLDEN["delta_crit"][c], abs=1e-10)
    np.testing.assert_allclose(model.membership(features[rows]), GOLDEN["u0"][rows], atol=1e-10)
    order = [i for i in GOLDEN["order"] if rows[i]]
    model.partial_fit(features[order])
    np.testing.assert_allclose(model.prototypes_, GOLDEN["rho1"][c], atol=1e-10)
    np.testing.assert_allclose(model.membership(features[rows]), GOLDEN["u1"][rows], atol=1e-10)


def test_two_clusters_by_hand():
    prototypes, feature = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 4.0]])
    u = coefficients(prototypes, feature, 0.5)[0]
    expected = np.exp([0.6 / 0.5, 0.8 / 0.5])
    np.testing.assert_allclose(u, expected / expected.sum())
    moved = update(prototypes, feature[0], u, 0.1)
    np.testing.assert_allclose(moved[0], 0.9 * prototypes[0] + 0.1 * u[0] * feature[0])


def test_coefficients_sum_to_one_and_ignore_scale(mixture):
    features, _ = mixture(3)
    prototypes = features[[0, 60, 120]]
    u = coefficients(prototypes, features, 0.02)
    np.testing.assert_allclose(u.sum(axis=1), 1)
    np.testing.assert_allclose(u, coefficients(7 * prototypes, features * 0.01, 0.02), atol=1e-9)


def test_temperature_limits(mixture):
    features, _ = mixture(3)
    prototypes = features[[0, 60, 120]]
    assert perplexity(coefficients(prototypes, features, 1e-6)) == pytest.approx(1, abs=1e-3)
    assert perplexity(coefficients(prototypes, features, 1e6)) == pytest.approx(3, abs=1e-6)


@pytest.mark.parametrize(("share", "largest_cosine"), [(1.5, True), (0.5, False)])
def test_prototypes_collapse_above_the_critical_temperature(share, largest_cosine, mixture, purity):
    features, mode = mixture(5, each=30, width=64)
    model = SoftKMeans(5, delta_share=share, passes=15).fit(features)
    report = model.report(features)
    assert (report["largest_cosine"] > 0.9999) == largest_cosine
    assert report["perplexity"] == pytest.approx(5, abs=1e-2) if share > 1 else report["perplexity"] < 2
    if share < 1:
        assert purity(model.labels_, mode) > 0.97


def test_automatic_temperature_finds_the_modes_whatever_the_seed(mixture, purity):
    features, mode = mixture(4, seed=3)
    for seed in range(3):
        assert purity(SoftKMeans(4, seed=seed).fit(features).labels_, mode) > 0.97


def test_warns_of_a_temperature_that_collapses(mixture):
    features, _ = mixture(3)
    with pytest.warns(CollapseWarning, match=r"delta=1 is above the critical temperature .*delta='auto'"):
        SoftKMeans(3, delta=1.0, passes=1).fit(features)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoftKMeans(3, delta=0.5 * critical_temperature(features), passes=1).fit(features)


def test_prototype_length_settles_at_feature_length_over_k(mixture):
    features, _ = mixture(3, each=200)
    lengths = np.linalg.norm(SoftKMeans(3).fit(features).prototypes_, axis=1)
    expected = np.linalg.norm(features, axis=1).mean() / 3
    np.testing.assert_allclose(lengths, expected, rtol=0.25)


def test_a_starved_prototype_is_put_on_the_worst_fitted_sample(mixture):
    features, _ = mixture(2)
    outlier = np.zeros((1, features.shape[1]))
    outlier[0, 0] = 5.0
    model = SoftKMeans(2).fit(features)
    model.prototypes_ = np.stack([features.mean(axis=0), -features.mean(axis=0)])
    model._reseed(np.concatenate([features, outlier]))
    np.testing.assert_allclose(model.prototypes_[1], outlier[0] / 2)


def test_hard_membership_is_one_hot(mixture):
    features, _ = mixture(3)
    u = SoftKMeans(3, hard=True).fit(features).membership(features)
    assert set(np.unique(u)) == {0.0, 1.0}


@pytest.mark.parametrize("kind", [SoftKMeans, HardKMeans])
def test_state_round_trip_and_chunks(kind, mixture, purity):
    features, mode = mixture(3)
    model = kind(3).fit(features)
    again = kind(1).load_state(model.state())
    np.testing.assert_array_equal(again.membership(features), model.membership(features))
    np.testing.assert_array_equal(kind(3).fit(iter(np.array_split(features, 4))).labels_, model.labels_)
    assert again.n_clusters == 3 and purity(model.labels_, mode) > 0.97


def test_one_cluster_has_coefficient_one(mixture):
    features, _ = mixture(2)
    np.testing.assert_array_equal(SoftKMeans(1).fit(features).membership(features), 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftKMeans(0), "clusters=0 must be a whole number"),
        (lambda: SoftKMeans(2, delta="Auto"), "delta='Auto' must be a positive number or 'auto'"),
        (lambda: SoftKMeans(2, mu=1.0), r"mu=1.0 must be a number in \(0, 1\)"),
        (lambda: SoftKMeans(2).predict(np.ones((3, 2))), r"call fit\(features\)"),
        (lambda: SoftKMeans(9).fit(np.ones((3, 2))), "3 rows of features cannot make 9 clusters"),
        (
            lambda: SoftKMeans(2).fit(np.array([[1.0, np.nan], [1, 2], [3, 4]])),
            "NaN or infinite values in 1 rows",
        ),
        (lambda: SoftKMeans(2).fit(np.ones(5)), r"must be \(N, D\)"),
        (lambda: HardKMeans(2).fit(np.ones((1, 2))), "cannot make 2 clusters"),
        (lambda: golden_class(0).predict(np.ones((2, 3))), "features have 3 numbers each, the prototypes 16"),
    ],
)
def test_faults_name_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
