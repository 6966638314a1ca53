"""Adversarial losses on cases small enough to compute by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from toolbox.losses.adversarial import AdversarialLoss, hinge, non_saturating, wasserstein

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (hinge, 0.5 / 2 + 2 / 2, 1.0),
        (wasserstein, -1 - 1.25, 1.0),
        (
            non_saturating,
            (
                math.log1p(math.exp(-2))
                + math.log1p(math.exp(-0.5))
                + math.log1p(math.exp(-3))
                + math.log1p(math.e)
            )
            / 2,
            (math.log1p(math.exp(3)) + math.log1p(math.exp(-1))) / 2,
        ),
    ],
)
def test_values(loss: AdversarialLoss, discriminator: float, generator: float) -> None:
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator)
    assert loss.generator(FAKE).item() == pytest.approx(generator)
    assert set(loss.formulas) == {"discriminator", "generator"}


def test_non_saturating_is_cross_entropy_of_logits() -> None:
    expected = F.binary_cross_entropy_with_logits(torch.cat([REAL, FAKE]), torch.tensor([1.0, 1, 0, 0])) * 2
    torch.testing.assert_close(non_saturating.discriminator(REAL, FAKE), expected)


def test_non_saturating_stays_finite() -> None:
    assert torch.isfinite(non_saturating.discriminator(torch.tensor([-1e4]), torch.tensor([1e4])))


@pytest.mark.parametrize("loss", [hinge, non_saturating, wasserstein])
def test_gradients(loss: AdversarialLoss) -> None:
    real, fake = REAL.double().requires_grad_(), FAKE.double().requires_grad_()
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake,))


@pytest.mark.parametrize("loss", [hinge, non_saturating, wasserstein])
def test_directions(loss: AdversarialLoss) -> None:
    """The discriminator wants real up and fake down, the generator wants fake up."""
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss.discriminator(real, fake).backward()
    assert (real.grad < 0).all() and (fake.grad > 0).all()
    fake.grad = None
    loss.generator(fake).backward()
    assert (fake.grad < 0).all()
