"""Gradient penalty, drift and AC-GAN: cases that can be computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from toolbox import testing
from toolbox.interfaces import Condition, Discriminator, Sample
from toolbox.models.pggan import PGGANDiscriminator, PGGANGenerator
from toolbox.testing import FakeTurn
from toolbox.training.game.optim_wrappers import FiniteGradients
from toolbox.training.objectives.classification import AuxiliaryClassifier
from toolbox.training.objectives.regularisers import Drift, GradientPenalty

SIZE = dict(image_size=8, n_conditions=3, channel_base=64, channel_max=8)


class Quadratic(Discriminator):
    """D(x) = |x|^2 / 2, whose gradient is x."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        return self.scale * features.square().sum(dim=1) / 2


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return dict(
        generator=PGGANGenerator(latent_dim=4, **SIZE),
        discriminator=PGGANDiscriminator(minibatch_std_group=1, **SIZE),
    )


@pytest.mark.parametrize("objective", [GradientPenalty(), Drift(), AuxiliaryClassifier()])
def test_the_contract(objective: GradientPenalty) -> None:
    testing.check_objective(objective, networks())


def test_gradient_penalty_of_a_known_gradient() -> None:
    """Real and fake are r and 0: x' = e r, its gradient e r, its norm e |r|."""
    real = Sample(torch.randn(5, 3, 4, 4), Condition())
    turn = FakeTurn("discriminator", dict(discriminator=Quadratic()), real)
    turn._kept["fake"] = Sample(torch.zeros_like(real.images), Condition())
    turn.rng = torch.Generator().manual_seed(3)
    e = torch.rand(5, generator=torch.Generator().manual_seed(3))
    expected = 10 * (e * real.images.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(GradientPenalty().penalty(turn), expected)


def test_drift_is_the_mean_square_of_the_real_logits() -> None:
    turn = FakeTurn("discriminator", networks())
    expected = turn.score("discriminator", turn.real).square().mean()
    torch.testing.assert_close(Drift().penalty(turn), expected)


def test_classes_of_labelled_images_alone() -> None:
    turn = FakeTurn("discriminator", networks())
    labels = turn.real.condition.labels
    assert labels is not None
    logits = turn.network("discriminator").encode(turn.real.images)[:, 1:]
    expected = nn.functional.cross_entropy(logits[labels >= 0], labels[labels >= 0])
    torch.testing.assert_close(AuxiliaryClassifier()._cross_entropy(turn, turn.real), expected)


def test_classes_that_nobody_knows() -> None:
    turn = FakeTurn("discriminator", dict(networks(), discriminator=Quadratic()))
    with pytest.raises(ValueError, match="Quadratic has no class_logits"):
        AuxiliaryClassifier().discriminator_loss(turn)
    unlabelled = FakeTurn("discriminator", networks(), Sample(torch.randn(6, 3, 8, 8), Condition()))
    with pytest.raises(ValueError, match="the images have no labels"):
        AuxiliaryClassifier().discriminator_loss(unlabelled)


class TestFiniteGradients:
    def step(self, gradient: Tensor, wrapper: type = FiniteGradients) -> Tensor:
        parameter = nn.Parameter(torch.zeros(4))
        wrapped = wrapper(optimizer=torch.optim.SGD([parameter], lr=1.0))
        parameter.grad = gradient.clone()
        wrapped.step()
        return parameter.detach()

    def test_what_is_not_finite_becomes_so(self) -> None:
        moved = self.step(torch.tensor([float("nan"), float("inf"), -float("inf"), 2.0]))
        assert moved.tolist() == [0, -1e5, 1e5, -2]

    def test_finite_ones_are_untouched(self) -> None:
        from mmengine.optim import OptimWrapper

        gradient = torch.randn(4)
        assert torch.equal(self.step(gradient), self.step(gradient, OptimWrapper))

    def test_limit(self) -> None:
        with pytest.raises(ValueError, match="limit=0 must be a number above 0"):
            FiniteGradients(limit=0, optimizer=torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0))
