"""Loss terms of supervised parts: classes of images, classes of pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Objective, Sample, Turn
from toolbox.losses.selected import mean_over_selected
from toolbox.ranges import check_in


class CrossEntropy(Objective):
    """Classification of labelled real images; those with a hidden label (-1) are left out.

    Args:
        classifier: name of the network that is trained; logits (N, C).
        label_smoothing: in [0, 1).
    """

    def __init__(self, classifier: str = "classifier", label_smoothing: float = 0.0) -> None:
        super().__init__()
        check_in("[0, 1)", label_smoothing=label_smoothing)
        self.classifier = classifier
        self.label_smoothing = label_smoothing
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


class AuxiliaryClassifier(Objective):
    """Cross-entropy of the discriminator's class logits, for both players (AC-GAN: Odena et al. 2017).

    As in PGGAN's code.

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
        network = turn.network(self.discriminator)
        labels = sample.condition.labels
        if labels is None:
            raise ValueError(
                "AuxiliaryClassifier: the images have no labels "
                "(conditioner=dict(type='ClassConditions', ...) draws some)"
            )
        if not hasattr(network, "class_logits"):
            raise ValueError(f"AuxiliaryClassifier: {type(network).__name__} has no class_logits")
        logits = network.class_logits(turn.encoded(self.discriminator, sample))  # (N, classes)
        each = F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")  # (N,)
        return mean_over_selected(each, labels >= 0)


class PixelCrossEntropy(Objective):
    """Classification of every pixel of real images, from their masks (KLiSH, sec. 4.1).

        -E log p(part of pixel | image)

    Args:
        segmenter: name of the network that is trained; logits (N, parts, H, W).
    """

    def __init__(self, segmenter: str = "segmenter") -> None:
        super().__init__()
        self.segmenter = segmenter
        self.formulas = {segmenter: "-E log p(part | x) over the pixels of x"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The segmenter's."""
        return {self.segmenter: self.cross_entropy}

    def cross_entropy(self, turn: Turn) -> Tensor:
        """Mean over all pixels of the batch.

        Raises:
            ValueError: when the batch has no masks, or masks of another size than the logits.
        """
        mask = turn.real.condition.mask
        if mask is None:
            raise ValueError(
                "PixelCrossEntropy needs masks: give the training data dict(type='Stream', masks=True, ...), "
                "of a source that has them"
            )
        logits = turn.network(self.segmenter)(turn.real.images)
        if logits.shape[2:] != mask.shape[1:]:
            found = tuple(logits.shape[2:])
            raise ValueError(
                f"masks are {tuple(mask.shape[1:])} and the logits of {self.segmenter!r} {found}"
            )
        return F.cross_entropy(logits, mask)
