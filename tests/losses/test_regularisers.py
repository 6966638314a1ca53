"""Regularisers on networks whose gradients are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from toolbox.losses.regularisers import gradient_penalty, orthogonal_regularisation, r1_penalty


def linear(images: Tensor) -> Tensor:
    """D(x) = <w, x> with |w|^2 = 3 * 2 * 2 * 4 = 48."""
    return (2 * images).flatten(1).sum(1)


def test_r1_of_a_linear_discriminator() -> None:
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    assert r1_penalty(images, linear(images), gamma=0.5).item() == pytest.approx(0.25 * 48)


def test_r1_is_a_mean_over_images() -> None:
    images = torch.tensor([[1.0], [3.0]], requires_grad=True)
    assert r1_penalty(images, images.pow(2).sum(1), gamma=1.0).item() == pytest.approx((4 + 36) / 2 / 2)


def test_r1_reaches_the_weights() -> None:
    weight, images = (
        torch.randn(4, dtype=torch.double, requires_grad=True),
        torch.randn(3, 4, dtype=torch.double),
    )

    def penalty(w: Tensor) -> Tensor:
        x = images.clone().requires_grad_()
        return r1_penalty(x, torch.tanh(x @ w), gamma=2.0)

    assert torch.autograd.gradcheck(penalty, (weight,))


def test_r1_needs_gradients() -> None:
    with pytest.raises(ValueError, match=r"images do not require gradients: call images.requires_grad_"):
        r1_penalty(torch.randn(2, 3), torch.randn(2))


def test_gradient_penalty_of_a_linear_discriminator() -> None:
    value = gradient_penalty(linear, torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2), weight=10.0)
    assert value.item() == pytest.approx(10 * (48**0.5 - 1) ** 2, rel=1e-5)


def test_gradient_penalty_lies_between_real_and_fake_and_follows_its_rng() -> None:
    seen: list[Tensor] = []

    def remember(images: Tensor) -> Tensor:
        seen.append(images.detach().clone())
        return images.flatten(1).sum(1)

    real, fake = torch.ones(64, 3, 2, 2), torch.zeros(64, 3, 2, 2)
    for _ in range(2):
        gradient_penalty(remember, real, fake, rng=torch.Generator().manual_seed(1))
    assert torch.equal(seen[0], seen[1])
    shares = seen[0][:, 0, 0, 0]
    assert ((shares >= 0) & (shares <= 1)).all() and shares.std() > 0.2
    assert (seen[0] == shares.view(-1, 1, 1, 1)).all()


def test_gradient_penalty_shapes() -> None:
    with pytest.raises(ValueError, match=r"differ in shape: \(2, 3\) and \(3, 3\)"):
        gradient_penalty(linear, torch.randn(2, 3), torch.randn(3, 3))


def test_orthogonal_regularisation() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # rows' product 11, twice off the diagonal
    assert orthogonal_regularisation(layer, weight=0.5).item() == pytest.approx(0.5 * 2 * 121)
    layer.weight.data = 7 * nn.init.orthogonal_(torch.empty(2, 2))
    assert orthogonal_regularisation(layer).item() == pytest.approx(0, abs=1e-5)
    assert orthogonal_regularisation(nn.Embedding(4, 2)).item() == 0


def test_orthogonal_regularisation_reads_the_raw_weight_of_normalised_layers() -> None:
    layer = torch.nn.utils.spectral_norm(nn.Linear(3, 3))
    orthogonal_regularisation(layer).backward()
    assert layer.weight_orig.grad is not None
