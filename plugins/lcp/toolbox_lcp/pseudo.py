"""Classifiers that label what has no label, and what they can ask of a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Objective, Sample, Turn
from toolbox.losses.selected import mean_over_selected
from toolbox.ranges import check_not_negative, check_probability


class PseudoLabelCrossEntropy(Objective):
    """Labelled cross-entropy plus FixMatch's consistency on images without a label (Sohn et al. 2020).

    Weak and strong views are read from the batch (``extras['weak']``, ``extras['strong']``, made by the data
    stream); without a weak view the images themselves are used. How the paper trains its classifier is
    unknown.

    Args:
        classifier: name of the network; images (N, 3, H, W) to logits (N, C).
        threshold: tau, the confidence from which a prediction on the weak view teaches the strong one.
        unlabelled_weight: lambda_u.
    """

    def __init__(
        self, classifier: str = "classifier", threshold: float = 0.95, unlabelled_weight: float = 1.0
    ) -> None:
        super().__init__()
        check_probability(threshold=threshold)
        check_not_negative(unlabelled_weight=unlabelled_weight)
        self.classifier = classifier
        self.threshold = threshold
        self.unlabelled_weight = unlabelled_weight
        consistency = f"[max C(weak(x)) >= {threshold:g}] CE(C(strong(x)), argmax C(weak(x)))"
        self.formulas = {classifier: f"CE(C(weak(x)), y) + {unlabelled_weight:g} {consistency}"}
        self._log: dict[str, Tensor] = {}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The classifier's."""
        return {self.classifier: self.classifier_loss}

    def classifier_loss(self, turn: Turn) -> Tensor:
        """Both terms from one pass over both views, so that BatchNorm sees them together."""
        weak, strong, labels = _views(turn.real)
        logits = turn.network(self.classifier)(torch.cat([weak, strong]))  # (2 N, C)
        weak_logits = logits[: len(weak)]
        strong_logits = logits[len(weak) :]
        losses = F.cross_entropy(weak_logits, labels.clamp(min=0), reduction="none")  # (N,)
        labelled = mean_over_selected(losses, labels >= 0)
        unlabelled, confident = self._consistency(weak_logits.detach(), strong_logits, labels < 0)
        self._log = {"labelled": labelled.detach(), "confident": confident}
        return labelled + self.unlabelled_weight * unlabelled

    def _consistency(
        self, weak_logits: Tensor, strong_logits: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """FixMatch's term, and the share of confident images, over the ``hidden`` (N,) ones."""
        confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
        confident = (confidence >= self.threshold).float()
        losses = F.cross_entropy(strong_logits, guess, reduction="none") * confident
        return mean_over_selected(losses, hidden), mean_over_selected(confident, hidden)

    def log(self) -> dict[str, Tensor]:
        """Labelled term, and share of unlabelled images above the threshold."""
        values, self._log = self._log, {}
        return values


class LabelCrossEntropy(Objective):
    """Generated images should be classified as what they were asked to be: CE(C(G(z, y)), y).

    Args:
        classifier: name of the network.
        teaches: whose loss it is: 'generator', or the classifier itself (generated images as training data).
    """

    def __init__(self, classifier: str = "classifier", teaches: str = "generator") -> None:
        super().__init__()
        self.classifier = classifier
        self.teaches = teaches
        self.formulas = {teaches: "CE(C(G(z, y)), y)"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the network that is taught."""
        return {self.teaches: self.cross_entropy}

    def cross_entropy(self, turn: Turn) -> Tensor:
        """Mean over the generated batch."""
        labels = turn.fake.condition.labels
        if labels is None:
            raise ValueError(
                "LabelCrossEntropy needs condition.labels of the generated images: use a conditioner "
                "with classes"
            )
        logits = turn.network(self.classifier)(turn.fake.images)  # (N, C)
        return F.cross_entropy(logits, labels)


def _views(real: Sample) -> tuple[Tensor, Tensor, Tensor]:
    """Weak and strong views (N, 3, H, W), and the given labels (N,), -1 where hidden."""
    if "strong" not in real.extras:
        raise ValueError(
            "PseudoLabelCrossEntropy needs a strongly augmented view of each image, the batch has "
            f"{sorted(real.extras) or 'no extra fields'}: add the 'strong' view to the data stream"
        )
    labels = real.condition.labels
    if labels is None:
        raise ValueError("PseudoLabelCrossEntropy needs condition.labels (-1 = hidden); the data gives none")
    given = real.condition.extra.get("labelled")  # a conditioner may have filled hidden labels in
    labels = labels if given is None else labels.where(given, -1)
    return real.extras.get("weak", real.images), real.extras["strong"], labels
