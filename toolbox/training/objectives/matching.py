"""Real, and showing what its caption says: loss terms of text-to-image games with one conditional logit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Condition, Objective, TextCodes, Turn
from toolbox.losses import adversarial, regularisers
from toolbox.ranges import check_in, check_not_negative


class MatchingHinge(Objective):
    """Hinge loss of images and captions, real images under others' captions being wrong too (DF-GAN, eq. 1).

    Each real image is judged under the caption that follows in the batch of the step, of all processes and
    splits.

    Args:
        discriminator: name of the network that judges; its logits are conditional.
        generator: name of the network that is judged.
        wrap: the last image is judged under the first caption (GALIP); without it is left out (SSA-GAN).
    """

    def __init__(
        self, discriminator: str = "discriminator", generator: str = "generator", wrap: bool = False
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.wrap = wrap
        self.formulas = {
            discriminator: "E relu(1 - D(x, s)) + 1/2 [E relu(1 + D(G(z, s), s)) + E relu(1 + D(x, s'))]",
            generator: "-E D(G(z, s), s)",
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Both sides of the game."""
        return {self.discriminator: self.discriminator_loss, self.generator: self.generator_loss}

    def discriminator_loss(self, turn: Turn) -> Tensor:
        """Tell real and matching from generated, and from real with a wrong caption.

        Raises:
            ValueError: for a batch of one image.
        """
        wrong, weights = following_captions(turn, self.wrap)
        real = turn.score(self.discriminator, turn.real)
        fake = turn.score(self.discriminator, turn.fake)
        mismatched = turn.score(self.discriminator, turn.real, wrong)
        return adversarial.matching_hinge_discriminator(real, fake, mismatched, weights)

    def generator_loss(self, turn: Turn) -> Tensor:
        """Be taken for real and matching."""
        return adversarial.negative_mean(turn.score(self.discriminator, turn.fake))


class MatchingAwarePenalty(Objective):
    """Gradient penalty on real images with their own captions, with respect to both (MA-GP; DF-GAN, eq. 2).

        strength E |(grad_x D(x, s), grad_s D(x, s))|^power

    x is what the discriminator's own layers see: images, or what frozen networks make of them (GALIP).

    Args:
        strength: 2 in DF-GAN, SSA-GAN and GALIP.
        power: 6 there.
        discriminator: name of the network.
    """

    float32 = True

    def __init__(
        self, strength: float = 2.0, power: float = 6.0, discriminator: str = "discriminator"
    ) -> None:
        super().__init__()
        check_not_negative(strength=strength)
        check_in("[2, inf)", power=power)
        self.strength = strength
        self.power = power
        self.discriminator = discriminator
        self.formulas = {discriminator: f"{strength:g} E |(grad_x D(x, s), grad_s D(x, s))|^{power:g}"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Of the real batch, judged anew; frozen networks do not look at it again."""
        network = turn.network(self.discriminator)
        seen = _leaves(turn.seen(self.discriminator, turn.real))
        codes = _codes_of(turn.real.condition)
        sentence = _leaf(codes.sentence)
        condition = turn.real.condition.replace(codes=codes.replace(sentence=sentence))
        logits = network.judge(network.encode(seen), condition)
        inputs = [seen] if isinstance(seen, Tensor) else list(vars(seen).values())
        return regularisers.matching_aware_penalty(logits, [*inputs, sentence], self.strength, self.power)


class ClipSimilarity(Objective):
    """-E cos(E_img(G(z, s)), s): generated images near their captions in CLIP's space (GALIP, eq. 3).

    GALIP has it with weight 4.

    Args:
        discriminator: name of a network that looks at images through CLIP (GALIPDiscriminator): its view of
            the fakes is used again.
        generator: name of the network that learns by it.
    """

    def __init__(self, discriminator: str = "discriminator", generator: str = "generator") -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.formulas = {generator: "-E cos(CLIP(G(z, s)), s)"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.similarity}

    def similarity(self, turn: Turn) -> Tensor:
        """Minus the mean cosine.

        Raises:
            ValueError: for a discriminator without CLIP, or sentence codes that are not CLIP's.
        """
        embedding = getattr(turn.seen(self.discriminator, turn.fake), "embedding", None)
        sentence = _codes_of(turn.fake.condition).sentence
        if embedding is None:
            name = type(turn.network(self.discriminator)).__name__
            raise ValueError(f"ClipSimilarity needs a discriminator that looks through CLIP; {name} does not")
        if embedding.shape != sentence.shape:
            raise ValueError(
                f"ClipSimilarity: sentence codes {tuple(sentence.shape)} are not those of the "
                f"discriminator's CLIP, which gives {tuple(embedding.shape)}: encode captions with that CLIP"
            )
        return -F.cosine_similarity(embedding.float(), sentence.float()).mean()


def following_captions(turn: Turn, wrap: bool = False) -> tuple[Condition, Tensor]:
    """(the sentence code that follows each, how much each row counts) of the whole batch of the step.

    The last is followed by the first; without ``wrap`` it does not count. Collective.

    Returns:
        A condition with sentence codes (n, D) alone, and weights (n,) whose mean over the step's batch, of
        all processes and splits, is 1.

    Raises:
        ValueError: for a batch of one, or one without codes.
    """
    sentence = ranks.gather_rows(_codes_of(turn.whole.condition).sentence)
    total = len(sentence)
    if total < 2:
        raise ValueError(
            "a batch of one has no mismatched caption: train_dataloader.batch_size must be 2 or more for "
            "each repetition of a phase"
        )
    places = torch.arange(turn.rows.start, turn.rows.stop, device=sentence.device)
    wrong = Condition(codes=TextCodes(sentence[(places + 1) % total]))
    counts = (places < total if wrap else places < total - 1).float()
    return wrong, counts * (1.0 if wrap else total / (total - 1))


def _codes_of(condition: Condition) -> TextCodes:
    if condition.codes is None:
        raise ValueError("the batch has no codes: give the game a conditioner that encodes captions")
    return condition.codes


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().float().requires_grad_()


def _leaves(seen: Any) -> Any:
    return _leaf(seen) if isinstance(seen, Tensor) else seen.map(_leaf)
