"""Images that fit their texts: loss terms of AttnGAN and DM-GAN, and DAMSM's own training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Condition, Objective, Sample, TextCodes, Turn, from_bytes
from toolbox.losses.damsm import matching_losses, sentence_scores, word_scores
from toolbox.ranges import check_positive
from toolbox.training.objectives.matching import following_captions


class MatchingAwareAdversarial(Objective):
    """Real or fake with the text, without it, and with another image's (Reed et al. 2016; AttnGAN).

    The discriminator judges images of its ``image_size``: those of the batch, their ``extras['images64']``
    (and so on), or the batch's reduced. A game has one term for each discriminator.

    Args:
        discriminator: name of the network that judges; its ``judge`` gives conditional logits under a
            condition with text, and unconditional ones under one without.
        generator: name of the network that is judged.
        unconditional: whether it also judges without text.
        mismatched: whether real images are judged with the text that follows in the step's batch (of all
            ranks and splits), too.
        wrap: the last image has the first one's text then; without it is left out (the authors' code).
    """

    def __init__(
        self,
        discriminator: str = "discriminator",
        generator: str = "generator",
        unconditional: bool = True,
        mismatched: bool = True,
        wrap: bool = False,
    ) -> None:
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.unconditional, self.mismatched, self.wrap = unconditional, mismatched, wrap
        name = "D" if discriminator == "discriminator" else discriminator
        real, fake = [f"{name}(x, t)"], [f"{name}(G(z, t), t)"]
        if unconditional:
            real, fake = [*real, f"{name}(x)"], [*fake, f"{name}(G(z, t))"]
        wrong = [f"{name}(x, t')"] if mismatched else []
        self.formulas = {
            discriminator: f"{_mean_of(real, '-')} + {_mean_of(fake + wrong, '')}",
            generator: " + ".join(f"E softplus(-{term})" for term in fake),
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Both sides of the game."""
        return {self.discriminator: self.discriminator_loss, self.generator: self.generator_loss}

    def discriminator_loss(self, turn: Turn) -> Tensor:
        """Mean of what real images cost, plus mean of what generated and mismatched ones cost.

        Raises:
            ValueError: for a batch without text codes, or of one image where mismatches are asked for.
        """
        real, fake = self._judged(turn, turn.real), self._judged(turn, turn.fake)
        for sample in (real, fake):
            turn.encoded(self.discriminator, sample)
        right = [F.softplus(-self._with_text(turn, real)).mean()]
        wrong = [F.softplus(self._with_text(turn, fake)).mean()]
        if self.mismatched:
            wrong.append(self._mismatched_loss(turn, real))
        if self.unconditional:
            right.append(F.softplus(-turn.score(self.discriminator, real, Condition())).mean())
            wrong.append(F.softplus(turn.score(self.discriminator, fake, Condition())).mean())
        return torch.stack(right).mean() + torch.stack(wrong).mean()

    def generator_loss(self, turn: Turn) -> Tensor:
        """Be taken for real, with the text and without."""
        fake = self._judged(turn, turn.fake)
        loss = F.softplus(-self._with_text(turn, fake)).mean()
        if self.unconditional:
            loss = loss + F.softplus(-turn.score(self.discriminator, fake, Condition())).mean()
        return loss

    def _judged(self, turn: Turn, sample: Sample) -> Sample:
        size = getattr(turn.network(self.discriminator), "image_size", sample.images.shape[2])
        # the sample stands beside its copy: as long as it lives, nothing else has its id
        made = turn.once(("of size", size, id(sample)), lambda: (sample, of_size(sample, size)))
        return made[1]

    def _with_text(self, turn: Turn, sample: Sample) -> Tensor:
        codes_asked(sample.condition, type(self).__name__)
        return turn.score(self.discriminator, sample)

    def _mismatched_loss(self, turn: Turn, real: Sample) -> Tensor:
        condition, weights = following_captions(turn, self.wrap)
        last = turn.rows.stop == turn.rows.total
        kept = slice(0, -1) if last and not self.wrap else slice(None)  # BatchNorm must not see the others
        features = turn.encoded(self.discriminator, real)[kept]
        if not len(features):  # a split of one image, the last
            return features.sum()
        each = F.softplus(turn.network(self.discriminator).judge(features, condition[kept]).float())
        return (each * weights[kept]).sum() / len(weights)


class ConditioningKL(Objective):
    """Keeps the conditioning augmentation near N(0, I) (StackGAN, Zhang et al. 2017, eq. 2).

    Mean over images and dimensions, as in AttnGAN's code.

    Args:
        generator: name of the network; it gives ``extras['mu']`` and ``extras['logvar']``.
    """

    def __init__(self, generator: str = "generator") -> None:
        super().__init__()
        self.generator = generator
        self.formulas = {generator: "E 1/2 (mu^2 + sigma^2 - 1 - log sigma^2)"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.divergence}

    def divergence(self, turn: Turn) -> Tensor:
        """KL divergence a dimension.

        Raises:
            ValueError: for a generator without such an augmentation.
        """
        extras = turn.fake.extras
        if "mu" not in extras or "logvar" not in extras:
            name = type(turn.network(self.generator)).__name__
            raise ValueError(f"ConditioningKL needs extras['mu'] and extras['logvar']; {name} gives none")
        mu, logvar = extras["mu"].float(), extras["logvar"].float()
        return (mu.square() + logvar.exp() - 1 - logvar).mean() / 2


class Damsm(Objective):
    """What DAMSM's terms share: images and texts of the batch of all ranks are matched (AttnGAN, sec. 3.2).

    Args:
        image_encoder: name of the network that gives ``encode_images(images) -> (codes, regions)``.
        gamma1, gamma2, gamma3: sharpness of the attention, of the sum over words, and of the matching. 4, 5
            and 10 in the configs of AttnGAN and DM-GAN; 5, 5 and 10 in SSA-GAN's and in the paper.
        words, sentence: which of the two matchings count.
        class_masking: pairs of one class (``condition.labels``; -1 is none) are no negatives of each other.
        paper_power: the paper's form of the sum over words, see :func:`toolbox.losses.damsm.word_scores`.

    Raises:
        ValueError: when nothing counts, or a gamma is not above 0.
    """

    def __init__(
        self,
        image_encoder: str = "image_encoder",
        gamma1: float = 4.0,
        gamma2: float = 5.0,
        gamma3: float = 10.0,
        words: bool = True,
        sentence: bool = True,
        class_masking: bool = True,
        paper_power: bool = False,
    ) -> None:
        super().__init__()
        check_positive(gamma1=gamma1, gamma2=gamma2, gamma3=gamma3)
        if not words and not sentence:
            raise ValueError("words=False and sentence=False: nothing is matched")
        self.image_encoder = image_encoder
        self.gamma1, self.gamma2, self.gamma3 = gamma1, gamma2, gamma3
        self.words, self.sentence = words, sentence
        self.class_masking, self.paper_power = class_masking, paper_power

    def matching(self, turn: Turn, images: Tensor, texts: TextCodes, labels: Tensor | None) -> Tensor:
        """Sum of the cross-entropies, both ways, of words and of sentences.

        Raises:
            ValueError: for texts or images without what is matched.
        """
        network = turn.network(self.image_encoder)
        key = ("image codes", self.image_encoder, id(images))  # shared by all terms that ask for them
        codes, regions = turn.once(key, lambda: network.encode_images(images))
        whole = texts.map(_gathered)
        known = ranks.gather_rows(labels) if self.class_masking and labels is not None else None
        scores = []
        if self.words:
            scores.append(self._word_scores(regions, whole))
        if self.sentence:
            scores.append(sentence_scores(codes.float(), whole.sentence))
        rows = [self.gamma3 * ranks.gather_rows_with_gradient(own) for own in scores]
        return torch.stack([loss for own in rows for loss in matching_losses(own, known)]).sum()

    def _word_scores(self, regions: Tensor | None, texts: TextCodes) -> Tensor:
        name = type(self).__name__
        if regions is None:
            raise ValueError(f"{name}: {self.image_encoder!r} gives no regions; match sentences: words=False")
        if texts.words is None:
            raise ValueError(f"{name}: the text encoder gives no words; match sentences: words=False")
        return word_scores(regions.float(), texts, self.gamma1, self.gamma2, self.paper_power)

    def _formula(self, image: str, text: str) -> str:
        pairs = [name for name in ("words", "sentence") if getattr(self, name)]
        terms = " + ".join(f"CE(s_{name}) + CE(s_{name}^T)" for name in pairs)
        return f"{terms}, s = {self.gamma3:g} match({image}, {text})"


class DamsmMatching(Damsm):
    """Generated images match their texts, in the eyes of a frozen DAMSM (AttnGAN, sec. 3.2).

    Its weight is 5 for CUB and 50 for COCO in AttnGAN and DM-GAN, 0.05 in SSA-GAN.

    Args:
        generator: name of the network that makes the images.
        image_encoder, gamma1, gamma2, gamma3, words, sentence, class_masking, paper_power: as in
            :class:`Damsm`.
    """

    def __init__(
        self,
        generator: str = "generator",
        image_encoder: str = "image_encoder",
        gamma1: float = 4.0,
        gamma2: float = 5.0,
        gamma3: float = 10.0,
        words: bool = True,
        sentence: bool = True,
        class_masking: bool = True,
        paper_power: bool = False,
    ) -> None:
        super().__init__(image_encoder, gamma1, gamma2, gamma3, words, sentence, class_masking, paper_power)
        self.generator = generator
        self.formulas = {generator: self._formula("G(z, t)", "t")}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.generator_loss}

    def generator_loss(self, turn: Turn) -> Tensor:
        """Of the generated images and the texts that they were asked for."""
        condition = turn.fake.condition
        texts = codes_asked(condition, type(self).__name__)
        return self.matching(turn, turn.fake.images, texts, condition.labels)


class DamsmPretraining(Damsm):
    """DAMSM's own training: a game of one player, who moves both encoders (AttnGAN, eq. 13).

    Args:
        text_encoder: name of the network that gives ``encode_text(ids, lengths) -> TextCodes``.
        image_encoder, gamma1, gamma2, gamma3, words, sentence, class_masking, paper_power: as in
            :class:`Damsm`.
    """

    def __init__(
        self,
        text_encoder: str = "text_encoder",
        image_encoder: str = "image_encoder",
        gamma1: float = 4.0,
        gamma2: float = 5.0,
        gamma3: float = 10.0,
        words: bool = True,
        sentence: bool = True,
        class_masking: bool = True,
        paper_power: bool = False,
    ) -> None:
        super().__init__(image_encoder, gamma1, gamma2, gamma3, words, sentence, class_masking, paper_power)
        self.text_encoder = text_encoder
        self.formulas = {text_encoder: self._formula("x", "t")}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The text encoder's; of both encoders, where one player moves both."""
        return {self.text_encoder: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        """Of the real images and their own texts.

        Raises:
            ValueError: for a batch without token ids.
        """
        condition = turn.real.condition
        if not isinstance(condition.text, Tensor):
            raise ValueError("DamsmPretraining needs token ids (N, L) as the batch's 'text'")
        network, ids = turn.network(self.text_encoder), condition.text
        key = ("text codes", self.text_encoder, id(ids))  # shared by all terms that ask for them
        texts = turn.once(key, lambda: network.encode_text(ids, None))
        return self.matching(turn, turn.real.images, texts, condition.labels)


def of_size(sample: Sample, size: int) -> Sample:
    """The sample with images of ``size`` pixels: its own, those in its ``extras``, or its own reduced.

    Raises:
        ValueError: when its images are smaller and the extras have none of that size.
    """
    own = sample.images.shape[2]
    if own == size:
        return sample
    name = f"images{size}"
    if name in sample.extras:
        return sample.replace(images=from_bytes(sample.extras[name]).float(), extras={})
    if own < size:
        raise ValueError(
            f"a discriminator judges {size} pixels; the images have {own}, and no extras[{name!r}]"
        )
    images = F.interpolate(sample.images, (size, size), mode="bilinear", antialias=True)
    return sample.replace(images=images, extras={})


def codes_asked(condition: Condition, owner: str) -> TextCodes:
    """The text codes of a condition.

    Raises:
        ValueError: where there are none.
    """
    if condition.codes is None:
        raise ValueError(
            f"{owner} needs condition.codes, and the batch has none: give the game a conditioner with a text "
            "encoder"
        )
    return condition.codes


def _gathered(value: Tensor) -> Tensor:
    return ranks.gather_rows_with_gradient(value) if value.is_floating_point() else ranks.gather_rows(value)


def _mean_of(terms: list[str], sign: str) -> str:
    each = " + ".join(f"E softplus({sign}{term})" for term in terms)
    return each if len(terms) == 1 else f"1/{len(terms)} [{each}]"
