"""Conditioners that need no paper: none, and plain class labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.data.base import to_tensor
from toolbox.data.classes import check_classes
from toolbox.data.no_images import NoImages
from toolbox.interfaces import Condition, Conditioner, Sample


class NoConditions(Conditioner):
    """Unconditional generation."""

    grants = ()
    on_host = True

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Nothing is asked of the images."""
        return Condition()


class ClassConditions(Conditioner):
    """Generated images show a class, drawn uniformly; unlabelled real ones get the label of a classifier.

    Args:
        class_names: names of the classes, in the order of the data set's labels; checked against it.
        classifier: name of a trained network of the game that labels unlabelled images (argmax), before the
            first iteration; None = hidden labels stay -1.
    """

    on_host = True

    def __init__(self, class_names: Sequence[str], classifier: str | None = None) -> None:
        super().__init__()
        self.class_names = list(class_names)
        self.classifier = classifier
        # given or predicted labels of the whole data set (len(dataset),)
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))

    def prepare(self, dataset: Any, game: Any) -> None:
        """Check the classes; label what is unlabelled. A game without images has neither.

        Raises:
            ValueError: when the data set's classes are not ``class_names``.
        """
        if isinstance(dataset, NoImages) and self.classifier is None:
            return
        check_classes(self.class_names, dataset.source.classes, "conditioner.class_names")
        labels = torch.as_tensor(np.array(dataset.visible_labels))
        if self.classifier is not None:
            classifier = game.network(self.classifier, averaged=True)
            labels = fill_labels(labels, dataset.source, classifier, game.device)
        self.labels = labels.cpu()

    def real(self, sample: Sample) -> Condition:
        """Given labels, and the classifier's where they are hidden."""
        if not len(self.labels) or sample.index is None:
            return sample.condition
        return sample.condition.replace(labels=self.labels[sample.index])

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Classes uniform over all."""
        drawn = torch.randint(len(self.class_names), (n,), generator=rng) if labels is None else labels
        return Condition(labels=drawn)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        key = f"{prefix}labels"  # its length is the data set's: take the saved one's
        if key in state_dict:
            self.labels = torch.zeros_like(state_dict[key], device=self.labels.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@torch.no_grad()
def fill_labels(
    labels: Tensor, source: Any, classifier: torch.nn.Module, device: torch.device, batch: int = 256
) -> Tensor:
    """Labels (N,) with every -1 replaced by the classifier's argmax on the unaugmented image."""
    filled = labels.clone()
    hidden = torch.nonzero(labels < 0).flatten()
    classifier.eval()
    for rows in hidden.split(batch):
        images = torch.stack([to_tensor(source.image(int(i))) for i in rows]).to(device)
        filled[rows] = classifier(images).argmax(1).cpu()
    return filled
