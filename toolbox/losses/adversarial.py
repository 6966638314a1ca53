"""Adversarial losses of logits, as pairs: what the discriminator and what the generator minimises."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(NamedTuple):
    """A two-player loss. Logits have any shape (patches too); losses are scalar means over it.

    Attributes:
        discriminator: (real logits, fake logits) -> loss.
        generator: fake logits -> loss.
        formulas: {'discriminator': ..., 'generator': ...}, one line each.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    formulas: dict[str, str]


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E relu(1 - D(x)) + E relu(1 + D(G(z)))  (Lim & Ye 2017; SAGAN, eq. 4)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def matching_hinge_discriminator(
    real: Tensor, fake: Tensor, mismatched: Tensor, weights: Tensor | None = None
) -> Tensor:
    """E relu(1 - D(x, s)) + 1/2 [E relu(1 + D(G(z, s), s)) + E relu(1 + D(x, s'))] (DF-GAN, eq. 1).

    Args:
        real, fake: logits (N,) of real and generated images under their captions s.
        mismatched: logits (N,) of real images under others' captions s'.
        weights: (N,) of ``mismatched``, mostly of mean 1; None = all 1.
    """
    wrong = F.relu(1 + mismatched)
    wrong = wrong if weights is None else wrong * weights
    return F.relu(1 - real).mean() + (F.relu(1 + fake).mean() + wrong.mean()) / 2


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D(x)) + E softplus(D(G(z))): cross-entropy of logits (Goodfellow et al. 2014, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """E softplus(-D(G(z))) (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) - E D(x) (WGAN, algorithm 1); needs a Lipschitz constraint, such as the gradient penalty."""
    return fake.mean() - real.mean()


def negative_mean(fake: Tensor) -> Tensor:
    """-E D(G(z)): the generator's loss beside hinge and Wasserstein discriminators."""
    return -fake.mean()


hinge = AdversarialLoss(
    hinge_discriminator,
    negative_mean,
    {"discriminator": "E relu(1 - D(x)) + E relu(1 + D(G(z)))", "generator": "-E D(G(z))"},
)

non_saturating = AdversarialLoss(
    non_saturating_discriminator,
    non_saturating_generator,
    {"discriminator": "E softplus(-D(x)) + E softplus(D(G(z)))", "generator": "E softplus(-D(G(z)))"},
)

wasserstein = AdversarialLoss(
    wasserstein_discriminator,
    negative_mean,
    {"discriminator": "E D(G(z)) - E D(x)", "generator": "-E D(G(z))"},
)
