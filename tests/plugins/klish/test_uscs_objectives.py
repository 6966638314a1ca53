"""GauGAN's loss terms by hand, on maps of a few numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Sample
from toolbox.testing import FakeTurn
from toolbox_klish.uscs.objectives import (
    FeatureMatching,
    MultiscaleHinge,
    PerceptualMatching,
    StyleKL,
    feature_distance,
    kl_divergence,
)

MASK = torch.zeros(2, 8, 8, dtype=torch.int64)


class Scales(Discriminator):
    """Two scales: the image's first channel (a map, then logits), and twice its mean."""

    def encode(self, images: Tensor) -> Tensor:
        return images

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        return features.mean(dim=(1, 2, 3))

    def maps(self, images: Tensor, condition: Condition) -> list[list[Tensor]]:
        assert condition.mask is not None and len(condition.mask) == len(images)
        x = images[:, :1]
        return [[x, 3 * x], [2 * x.mean(dim=(2, 3), keepdim=True), x.mean(dim=(2, 3), keepdim=True)]]


def turn_of(moves: str, real: float, fake: float, fake_mask: Tensor = MASK, **extras: Tensor) -> FakeTurn:
    """Constant images of one mask."""
    made = Sample(torch.full((2, 3, 8, 8), fake), Condition(mask=fake_mask), extras=extras)
    turn = FakeTurn(
        moves,
        dict(discriminator=Scales(), generator=nn.Identity(), perceptual=Looks()),
        Sample(torch.full((2, 3, 8, 8), real), Condition(mask=MASK), index=torch.arange(2)),
    )
    turn.once("fake", lambda: made)
    return turn


class Looks(nn.Module):
    """Two maps."""

    layer_weights = (0.5, 2.0)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images, images.square()]


def test_hinge_is_the_mean_over_scales() -> None:
    objective = MultiscaleHinge()
    # logits of real 1.5 and 0.5, of fake -0.6 and -0.2
    loss = objective.discriminator_loss(turn_of("discriminator", 0.5, -0.2))
    assert float(loss) == pytest.approx(((0 + 0.4) + (0.5 + 0.8)) / 2, abs=1e-6)
    loss = objective.generator_loss(turn_of("generator", 0.5, -0.2))
    assert float(loss) == pytest.approx((0.6 + 0.2) / 2, abs=1e-6)


def test_feature_matching_leaves_the_logits_out() -> None:
    turn = turn_of("generator", 0.5, -0.2)
    # |0.5 + 0.2| of the first map, twice that of the second scale's
    assert float(FeatureMatching().distance(turn)) == pytest.approx((0.7 + 1.4) / 2, abs=1e-6)


def test_feature_distance_sums_over_layers_and_leaves_real_ones_alone() -> None:
    real = [[torch.tensor([1.0]).requires_grad_(), torch.tensor([2.0]), torch.tensor([9.0])]]
    fake = [[torch.tensor([0.0]).requires_grad_(), torch.tensor([5.0]), torch.tensor([0.0])]]
    distance = feature_distance(real, fake)
    distance.backward()
    assert distance.item() == 1 + 3
    assert real[0][0].grad is None and fake[0][0].grad is not None


def test_perceptual_distance_is_weighted_by_layer() -> None:
    turn = turn_of("generator", 0.5, -0.2)
    expected = 0.5 * 0.7 + 2.0 * abs(0.25 - 0.04)
    assert float(PerceptualMatching().distance(turn)) == pytest.approx(expected, abs=1e-6)


def test_divergence_from_the_prior() -> None:
    mu, logvar = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    own = torch.distributions.Normal(mu, (logvar / 2).exp())
    exact = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum(dim=1).mean()
    assert float(kl_divergence(mu, logvar)) == pytest.approx(float(exact), abs=1e-6)
    turn = turn_of("generator", 0.0, 0.0, mu=mu, logvar=logvar)
    assert float(StyleKL().divergence(turn)) == pytest.approx(float(exact), abs=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the fakes' latents come from no encoder"):
        StyleKL().divergence(turn_of("generator", 0.0, 0.0))
    others = turn_of("generator", 0.0, 0.0, MASK + 1)
    with pytest.raises(ValueError, match=r"FeatureMatching compares fakes .* own_masks=True"):
        FeatureMatching().distance(others)
    bare = turn_of("generator", 0.0, 0.0)
    bare.fake.condition.mask = None
    with pytest.raises(ValueError, match=r"images without masks: conditioner=dict"):
        MultiscaleHinge().generator_loss(bare)


def test_they_name_what_they_train() -> None:
    for objective in (MultiscaleHinge(), FeatureMatching(), PerceptualMatching(), StyleKL()):
        assert set(objective.formulas) == set(objective.losses())
