"""Samplers: on the simplex, reproducible, true to what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolbox_lcp.coefficients import (
    DirichletCoefficients,
    EmpiricalCoefficients,
    OneHotCoefficients,
    SoftmaxNormalCoefficients,
    UniformCoefficients,
    fit_alpha,
)

SIZES = torch.tensor([3, 1, 2])
ONE = torch.zeros(1, dtype=torch.int64)  # the label of one image
SAMPLERS = [
    EmpiricalCoefficients(16),
    DirichletCoefficients(0.5),
    DirichletCoefficients("fit"),
    SoftmaxNormalCoefficients(),
    OneHotCoefficients(),
    UniformCoefficients(),
]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def real_coefficients(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients (n, 3) that fit SIZES, and labels 0..2 in turn."""
    labels = torch.arange(n) % 3
    u = torch.rand(n, 3, generator=rng(5)) * (torch.arange(3)[None] < SIZES[labels][:, None])
    return u / u.sum(1, keepdim=True), labels


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
def test_rows_lie_on_the_simplex_of_their_class_and_repeat(sampler):
    sampler.prepare(*real_coefficients(), SIZES, rng())
    labels = torch.arange(99) % 3
    u = sampler(labels, SIZES, 3, rng(1))
    torch.testing.assert_close(u.sum(1), torch.ones(99))
    assert u.shape == (99, 3) and (u >= 0).all() and u.dtype == torch.float32
    assert not u[labels == 1, 1:].any() and not u[labels == 2, 2:].any()
    assert torch.equal(u, sampler(labels, SIZES, 3, rng(1)))


def test_empirical_returns_rows_of_the_class_only():
    u, labels = real_coefficients()
    sampler = EmpiricalCoefficients(16)
    sampler.prepare(u, labels, SIZES, rng())
    drawn = sampler(torch.zeros(50, dtype=torch.int64), SIZES, 3, rng(2))
    known = {tuple(row) for row in u[labels == 0].tolist()}
    assert {tuple(row) for row in drawn.tolist()} <= known


def test_refresh_replaces_a_share_of_the_bank_of_the_right_class():
    u, labels = real_coefficients()
    sampler = EmpiricalCoefficients(100)
    sampler.prepare(u, labels, SIZES, rng())
    before = sampler.bank.clone()
    new = torch.tensor([[1.0, 0, 0]]).repeat(20, 1)
    sampler.refresh(new, torch.zeros(20, dtype=torch.int64), 0.02, rng(3))
    changed = (sampler.bank != before).any(2)
    assert changed[0].sum() == 6 and not changed[1:].any()
    sampler.refresh(new, torch.full((20,), -1), 0.02, rng(3))
    assert torch.equal(changed, (sampler.bank != before).any(2))


def test_bank_travels_with_the_state():
    sampler = EmpiricalCoefficients(16)
    sampler.prepare(*real_coefficients(), SIZES, rng())
    again = EmpiricalCoefficients(512)
    again.load_state_dict(sampler.state_dict())
    labels = torch.arange(9) % 3
    assert torch.equal(again(labels, SIZES, 3, rng()), sampler(labels, SIZES, 3, rng()))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_fit_finds_the_concentration(alpha):
    rows = np.random.default_rng(0).dirichlet([alpha] * 4, size=4000)
    assert fit_alpha(rows, np.full(4000, 4)) == pytest.approx(alpha, rel=0.1)


def test_dirichlet_mean_is_uniform_and_one_hot_covers_all():
    labels = torch.zeros(4000, dtype=torch.int64)
    assert DirichletCoefficients(0.5)(labels, SIZES, 3, rng()).mean(0) == pytest.approx([1 / 3] * 3, abs=0.03)
    hot = OneHotCoefficients()(labels, SIZES, 3, rng())
    assert hot.mean(0) == pytest.approx([1 / 3] * 3, abs=0.03) and set(hot.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DirichletCoefficients("auto"), "alpha='auto' must be a positive number or 'fit'"),
        (lambda: SoftmaxNormalCoefficients(0), "tau=0 must be a number above 0"),
        (lambda: EmpiricalCoefficients(0), "bank_size=0"),
        (lambda: EmpiricalCoefficients()(ONE, SIZES, 3, rng()), "bank of coefficients is empty"),
        (lambda: DirichletCoefficients("fit")(ONE, SIZES, 3, rng()), "has not seen coefficients"),
    ],
)
def test_faults(make, message):
    with pytest.raises(ValueError, match=message):
        make()
