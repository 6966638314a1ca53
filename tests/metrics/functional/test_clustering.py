"""Clustering agreement: reference values, scikit-learn, permutations, numbers beyond 64 bits, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from tests.metrics.toys import golden
from toolbox.metrics.functional import (
    accuracy_scores,
    adjusted_mutual_information,
    adjusted_rand_index,
    agreement_per_class,
    contingency_matrix,
    purity,
)

ARRAYS = golden("clustering")
labellings = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


def test_reference_values() -> None:
    contingency = contingency_matrix(ARRAYS["labels_true"], ARRAYS["labels_pred"])
    np.testing.assert_array_equal(contingency, ARRAYS["contingency"])
    assert adjusted_mutual_information(contingency) == pytest.approx(float(ARRAYS["ami"]), abs=1e-10)
    assert adjusted_rand_index(contingency) == pytest.approx(float(ARRAYS["ari"]), abs=1e-10)


def test_twenty_million_counts_are_divided_by_a_thousand() -> None:
    big = ARRAYS["big_contingency"]
    assert adjusted_mutual_information(big) == pytest.approx(
        float(ARRAYS["big_ami_div1000_floor"]), abs=1e-10
    )
    assert adjusted_rand_index(big) == pytest.approx(float(ARRAYS["big_ari"]), abs=1e-10)


def test_rand_index_does_not_overflow() -> None:
    counts = np.array([[6, 1], [2, 5]])
    assert adjusted_rand_index(counts * 10**12) == pytest.approx(
        adjusted_rand_index(counts * 10**6), abs=1e-5
    )


def test_permuted_and_single_clusters() -> None:
    permuted = contingency_matrix(ARRAYS["perm_true"], ARRAYS["perm_pred"])
    one = contingency_matrix(ARRAYS["labels_true"], ARRAYS["one_cluster_pred"])
    for score in (adjusted_rand_index, adjusted_mutual_information):
        assert score(permuted) == pytest.approx(1)
        assert score(one) == pytest.approx(0, abs=1e-12)


@given(labellings)
@settings(max_examples=60, deadline=None)
def test_equals_scikit_learn(pair: tuple[list[int], list[int]]) -> None:
    contingency = contingency_matrix(*pair)
    expected = sklearn_metrics.adjusted_mutual_info_score(*pair)
    assert adjusted_mutual_information(contingency) == pytest.approx(expected, abs=1e-9)
    assert adjusted_rand_index(contingency) == pytest.approx(
        sklearn_metrics.adjusted_rand_score(*pair), abs=1e-12
    )


@given(labellings, st.permutations(range(5)))
@settings(max_examples=30, deadline=None)
def test_names_of_clusters_do_not_matter(pair: tuple[list[int], list[int]], names: list[int]) -> None:
    truth, clusters = pair
    renamed = contingency_matrix(truth, [names[c] for c in clusters])
    same = contingency_matrix(truth, clusters)
    assert adjusted_rand_index(renamed) == pytest.approx(adjusted_rand_index(same), abs=1e-12)
    assert adjusted_mutual_information(renamed) == pytest.approx(adjusted_mutual_information(same), abs=1e-9)
    assert purity(renamed) == purity(same)


def test_purity() -> None:
    assert purity([[8, 0], [2, 5]]) == pytest.approx(13 / 15)


def test_agreement_inside_classes() -> None:
    classes = np.array([0] * 4 + [1] * 4 + [2] * 2)
    factor = np.array([0, 0, 1, 1, 0, 1, 0, 1, 3, 3])
    assert agreement_per_class(factor, factor, classes) == pytest.approx(1)
    swapped = np.where(classes == 0, 1 - factor, factor)  # clusters are numbered anew in each class
    assert agreement_per_class(swapped, factor, classes) == pytest.approx(1)
    with pytest.raises(ValueError, match="factor has one value in every class"):
        agreement_per_class(factor, classes, classes)


def test_errors() -> None:
    with pytest.raises(ValueError, match="truth has 2 labels and clusters has 3"):
        contingency_matrix([0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="truth: label -1 in row 1"):
        contingency_matrix([0, -1], [0, 1])
    with pytest.raises(ValueError, match="not only zeros"):
        adjusted_rand_index(np.zeros((2, 2), dtype=int))
    with pytest.raises(ValueError, match="expected whole numbers"):
        adjusted_mutual_information(np.eye(2) / 2)


def test_accuracy_of_a_classifier() -> None:
    arrays = golden("accuracy")
    scores = accuracy_scores(arrays["logits"], arrays["labels"])
    assert scores == pytest.approx({key: float(arrays[key]) for key in ("top1", "top5", "balanced")})
    with pytest.raises(ValueError, match="label 12: the classifier knows classes 0 to 9"):
        accuracy_scores(arrays["logits"][:1], [12])
