"""Moments and feature banks: reference values, sums of parts in any order, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.toys import golden
from toolbox.metrics.base import FeatureBank, Statistics
from toolbox.metrics.fid import Moments
from toolbox.metrics.intra_fid import ClassMoments
from toolbox.metrics.reference import KINDS

ARRAYS = golden("streaming_moments")
X = torch.from_numpy(ARRAYS["x"])


def of(statistics: Statistics, rows: torch.Tensor) -> Statistics:
    statistics.update(X[rows], rows % 3, rows)
    return statistics


def test_a_large_mean_costs_no_digits() -> None:
    moments = Moments(8)
    for chunk in np.split(ARRAYS["x"], ARRAYS["chunk_edges"][1:-1]):
        moments.update(torch.from_numpy(chunk))
    np.testing.assert_allclose(moments.mean, ARRAYS["mean"], rtol=1e-14)
    np.testing.assert_allclose(moments.covariance(), ARRAYS["cov_unbiased"], atol=1e-14)


@given(st.lists(st.integers(0, 1000), max_size=6), st.randoms())
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_parts_add_up_in_any_order(kind: str, cuts: list[int], random: object) -> None:
    parts = list(torch.tensor_split(torch.arange(1000), sorted(cuts)))
    random.shuffle(parts)  # type: ignore[attr-defined]
    merged = KINDS[kind](8)
    for rows in parts:
        merged.merge(of(KINDS[kind](8), rows).state())
    whole = of(KINDS[kind](8), torch.arange(1000))
    assert merged.n == 1000
    for one, other in zip(results(merged), results(whole), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@given(st.integers(1, 4), st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_batches_give_the_same_bits_however_they_are_shared(
    kind: str, ranks: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(20)
    batches = torch.arange(1000).split(50)
    parts = [KINDS[kind](8) for _ in range(ranks)]
    for place, number in enumerate(order):
        of(parts[place % ranks], batches[number])
    merged, whole = KINDS[kind](8), KINDS[kind](8)
    for part in parts:
        merged.merge(part.state())
    for rows in batches:
        of(whole, rows)
    for one, other in zip(results(merged), results(whole), strict=True):
        assert torch.equal(one, other)


def results(statistics: Statistics) -> list[torch.Tensor]:
    """What metrics compute from."""
    if isinstance(statistics, Moments):
        return [statistics.mean, statistics.covariance()]
    if isinstance(statistics, ClassMoments):
        return [value for label in sorted(statistics.of) for value in results(statistics.of[label])]
    return list(statistics.state().values())


def test_a_large_mean_costs_no_digits_of_many_images() -> None:
    rows = torch.randn(20_001, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moments = Moments(3)
    for part in (rows + 1e5).split(64):
        moments.update(part)
    torch.testing.assert_close(moments.covariance(), torch.cov((rows + 1e5).T), rtol=1e-11, atol=1e-11)


def test_class_moments_are_those_of_the_class() -> None:
    statistics = ClassMoments(8)
    of(statistics, torch.arange(1000))
    alone = Moments(8)
    alone.update(X[torch.arange(1000) % 3 == 1])
    torch.testing.assert_close(statistics.of[1].covariance(), alone.covariance())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_is_a_part_too(kind: str) -> None:
    merged = of(KINDS[kind](8), torch.arange(10))
    merged.merge(KINDS[kind](8).state())
    assert merged.n == 10


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_nan_is_named_by_its_image(kind: str) -> None:
    features = X[:5].clone()
    features[3, 2] = float("nan")
    with pytest.raises(ValueError, match="features of image 23 are not finite"):
        KINDS[kind](8).update(features, torch.zeros(5, dtype=torch.int64), torch.arange(20, 25))


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"shape \(1000, 8\): expected \(N, 4\)"):
        Moments(4).update(X)
    moments = Moments(8)
    moments.update(X[:1])
    with pytest.raises(ValueError, match="a covariance of 1 images: at least 2"):
        moments.covariance()
    with pytest.raises(ValueError, match="need a label"):
        ClassMoments(8).update(X)
    with pytest.raises(ValueError, match="'sum' has shape"):
        Moments(4).merge(Moments(8).state())
    with pytest.raises(ValueError, match="statistics lack 'n'"):
        Moments(4).merge({})


def test_an_image_fed_twice_is_refused() -> None:
    bank = FeatureBank(8)
    bank.update(X[:4], index=torch.tensor([0, 1, 2, 2]))
    with pytest.raises(ValueError, match="image 2 was fed twice"):
        bank.state()


def test_what_is_derived_from_a_bank_is_computed_once_until_it_grows() -> None:
    bank, calls = FeatureBank(8), []
    for _ in range(2):
        bank.once("sum", lambda: calls.append(1))
    bank.update(X[:4])
    bank.once("sum", lambda: calls.append(1))
    assert len(calls) == 2
