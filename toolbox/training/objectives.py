"""Loss terms that many papers share. Each opens with its formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Objective, Turn
from toolbox.losses import adversarial, contrastive, regularisers
from toolbox.losses.adversarial import AdversarialLoss
from toolbox.losses.selected import mean_over_selected


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
        self.discriminator, self.generator, self.joint = discriminator, generator, joint
        name = "D" if discriminator == "discriminator" else discriminator
        self.formulas = {
            discriminator: self.loss.formulas["discriminator"].replace("D(", f"{name}("),
            generator: self.loss.formulas["generator"].replace("D(", f"{name}("),
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Both sides of the game."""
        return {self.discriminator: self.discriminator_loss, self.generator: self.generator_loss}

    def discriminator_loss(self, turn: Turn) -> Tensor:
        """Tell real from fake."""
        if self.joint:
            real, fake = turn.score_pair(self.discriminator, turn.real, turn.fake)
        else:
            real, fake = turn.score(self.discriminator, turn.real), turn.score(self.discriminator, turn.fake)
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
    """Wasserstein loss (Arjovsky et al. 2017); the discriminator needs R1 or spectral normalisation beside
    it.
    """

    loss = adversarial.wasserstein


class R1(Objective):
    """Zero-centred gradient penalty on real images (Mescheder et al. 2018).

    Args:
        gamma: strength.
        discriminator: name of the network.
    """

    float32 = True

    def __init__(self, gamma: float = 10.0, discriminator: str = "discriminator") -> None:
        super().__init__()
        self.gamma, self.discriminator = gamma, discriminator
        self.formulas = {discriminator: f"{gamma:g}/2 E |grad_x D(x)|^2"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """gamma/2 of the mean squared gradient norm."""
        images = turn.real.images.detach().requires_grad_(True)
        logits = turn.score(self.discriminator, turn.real.replace(images=images))
        return regularisers.r1_penalty(images, logits, self.gamma)


class CrossEntropy(Objective):
    """Classification of labelled real images; those with a hidden label (-1) are left out.

    Args:
        classifier: name of the network that is trained; logits (N, C).
        label_smoothing: in [0, 1).
    """

    def __init__(self, classifier: str = "classifier", label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.classifier, self.label_smoothing = classifier, label_smoothing
        self.formulas = {classifier: "-E log p(y | x) over labelled x"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The classifier's."""
        return {self.classifier: self.cross_entropy}

    def cross_entropy(self, turn: Turn) -> Tensor:
        """Mean over the labelled images of the batch (of all ranks); 0 where there is none."""
        labels = turn.real.condition.labels
        assert labels is not None
        logits = turn.network(self.classifier)(turn.real.images)
        each = F.cross_entropy(
            logits, labels, ignore_index=-1, reduction="none", label_smoothing=self.label_smoothing
        )
        return mean_over_selected(each, labels >= 0)


class ImageTextContrastive(Objective):
    """Symmetric InfoNCE between images and their captions (CLIP; Radford et al. 2021).

    Pairs of equal ``group`` (a field of the data's items) are positives of each other's captions; without
    that field, pairs whose captions are equal.

    Args:
        clip: name of the network (a Clip).
    """

    def __init__(self, clip: str = "clip") -> None:
        super().__init__()
        self.clip = clip
        self.formulas = {
            clip: "1/2 [CE(s <x, t>) over texts + CE(s <x, t>) over images], s = exp(logit scale)"
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """CLIP's."""
        return {self.clip: self.contrast}

    def contrast(self, turn: Turn) -> Tensor:
        """Cross-entropy of matching pairs, both ways; among the pairs of all ranks."""
        clip, ids = turn.network(self.clip), turn.real.condition.text
        assert isinstance(ids, Tensor), "ImageTextContrastive needs token ids (N, L) as the batch's 'text'"
        images = F.normalize(clip.encode_images(turn.real.images), dim=-1)
        texts = F.normalize(clip.encode_tokens(ids), dim=-1)
        groups = turn.real.extras.get("group")
        return contrastive.image_text_contrastive(
            ranks.gather_rows_with_gradient(images),
            ranks.gather_rows_with_gradient(texts),
            clip.logit_scale.exp().clamp(max=100),
            _groups(ranks.gather_rows(ids)) if groups is None else ranks.gather_rows(groups),
        )


def _groups(ids: Tensor) -> Tensor:
    """(N,) number of each distinct caption."""
    return torch.unique(ids, dim=0, return_inverse=True)[1]
