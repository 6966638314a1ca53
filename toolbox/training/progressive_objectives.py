"""Loss terms of PGGAN beside the Wasserstein loss: gradient penalty, drift, classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Objective, Sample, Turn
from toolbox.losses import regularisers
from toolbox.losses.selected import mean_over_selected


class GradientPenalty(Objective):
    """Two-sided gradient penalty between real and generated images (WGAN-GP, eq. 3).

        strength E (|grad D(x')| - 1)^2,   x' = e x + (1 - e) G(z),  e ~ U(0, 1) for each image

    Args:
        strength: 10 in WGAN-GP and PGGAN.
        discriminator: name of the network.
    """

    float32 = True

    def __init__(self, strength: float = 10.0, discriminator: str = "discriminator") -> None:
        super().__init__()
        self.strength, self.discriminator = strength, discriminator
        self.formulas = {discriminator: f"{strength:g} E (|grad D(e x + (1 - e) G(z))| - 1)^2, e ~ U(0, 1)"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Judged under the real images' condition."""

        def judged(images: Tensor) -> Tensor:
            return turn.score(self.discriminator, Sample(images, turn.real.condition))

        return regularisers.gradient_penalty(
            judged, turn.real.images, turn.fake.images, self.strength, turn.rng
        )


class Drift(Objective):
    """E D(x)^2, which keeps a Wasserstein discriminator's output near zero (PGGAN, appendix A.1: weight
    0.001).

    Args:
        discriminator: name of the network.
    """

    def __init__(self, discriminator: str = "discriminator") -> None:
        super().__init__()
        self.discriminator = discriminator
        self.formulas = {discriminator: "E D(x)^2"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Of the logits that the adversarial term looks at too."""
        return turn.score(self.discriminator, turn.real).square().mean()


class AuxiliaryClassifier(Objective):
    """Cross-entropy of the discriminator's class logits, for both players (AC-GAN: Odena et al. 2017; PGGAN's
    code).

    Args:
        discriminator: name of a network whose ``class_logits(features)`` are (N, classes), such as
            PGGANDiscriminator.
        generator: name of the network that is asked for classes.
    """

    def __init__(self, discriminator: str = "discriminator", generator: str = "generator") -> None:
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.formulas = {
            discriminator: "-E log p(y | x) - E log p(c | G(z, c))",
            generator: "-E log p(c | G(z, c))",
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Both want the classes to be recognised."""
        return {self.discriminator: self.discriminator_loss, self.generator: self.generator_loss}

    def discriminator_loss(self, turn: Turn) -> Tensor:
        """Of labelled real and of generated images."""
        return self._cross_entropy(turn, turn.real) + self._cross_entropy(turn, turn.fake)

    def generator_loss(self, turn: Turn) -> Tensor:
        """Of generated images."""
        return self._cross_entropy(turn, turn.fake)

    def _cross_entropy(self, turn: Turn, sample: Sample) -> Tensor:
        network, labels = turn.network(self.discriminator), sample.condition.labels
        if labels is None or not hasattr(network, "class_logits"):
            missing = (
                "the images have no labels (conditioner=dict(type='ClassConditions', ...) draws some)"
                if labels is None
                else f"{type(network).__name__} has no class_logits"
            )
            raise ValueError(f"AuxiliaryClassifier: {missing}")
        logits = network.class_logits(turn.encoded(self.discriminator, sample))
        return mean_over_selected(
            F.cross_entropy(logits, labels, ignore_index=-1, reduction="none"), labels >= 0
        )
