"""Real or fake: adversarial loss terms. Each opens with its formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from toolbox.interfaces import Objective, Turn
from toolbox.losses import adversarial
from toolbox.losses.adversarial import AdversarialLoss


class Adversarial(Objective):
    """Real or fake: the discriminator's and the generator's loss of one pair of formulas.

    Args:
        discriminator: name of the network that judges.
        generator: name of the network that is judged.
        joint: judge real and fake in one pass (one encoding of prompts; one power iteration of spectral
            norm).
    """

    loss: ClassVar[AdversarialLoss]

    def __init__(
        self, discriminator: str = "discriminator", generator: str = "generator", joint: bool = False
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.joint = joint
        name = "D" if discriminator == "discriminator" else discriminator
        formulas = {player: text.replace("D(", f"{name}(") for player, text in self.loss.formulas.items()}
        self.formulas = {discriminator: formulas["discriminator"], generator: formulas["generator"]}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Both sides of the game."""
        return {self.discriminator: self.discriminator_loss, self.generator: self.generator_loss}

    def discriminator_loss(self, turn: Turn) -> Tensor:
        """Tell real from fake."""
        if self.joint:
            real, fake = turn.score_pair(self.discriminator, turn.real, turn.fake)
        else:
            real = turn.score(self.discriminator, turn.real)
            fake = turn.score(self.discriminator, turn.fake)
        return self.loss.discriminator(real, fake)

    def generator_loss(self, turn: Turn) -> Tensor:
        """Be taken for real."""
        return self.loss.generator(turn.score(self.discriminator, turn.fake))


class HingeAdversarial(Adversarial):
    """Hinge loss (Lim & Ye 2017; BigGAN)."""

    loss = adversarial.hinge


class NonSaturatingAdversarial(Adversarial):
    """Non-saturating logistic loss (Goodfellow et al. 2014; StyleGAN)."""

    loss = adversarial.non_saturating


class WassersteinAdversarial(Adversarial):
    """Wasserstein loss (Arjovsky et al. 2017); the discriminator needs R1 or spectral normalisation too."""

    loss = adversarial.wasserstein
