"""Captions in an evaluation: metrics get them as text, of generated and of real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import Conditioner, Metric, Sample
from toolbox.metrics.told import Told
from toolbox.registry import build
from toolbox.training.evaluation.settings import REAL
from toolbox.training.game.sampler import Sampled, Sampler
from toolbox.weights.fingerprint import fingerprint


class InWords:
    """A sampler whose images have as text what they were asked to show, where it can be put into words."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def __call__(self, indices: Tensor) -> Sample:
        """Images number ``indices`` (n,)."""
        sample = self.sampler(indices)
        texts = self.sampler.game.conditioner.in_words(sample.condition)
        return sample.replace(condition=sample.condition.replace(text=texts)) if texts else sample


class ShowsCaptions:
    """A sampler whose images show captions of a data set; they have their text, label and group."""

    def __init__(self, sampler: Sampler, told: Told) -> None:
        self.sampler = sampler
        self.told = told

    def __call__(self, indices: Tensor) -> Sample:
        """Images number ``indices`` (n,)."""
        rows, texts = zip(*(self.told.shown_by(int(i)) for i in indices), strict=True)
        sample = self.sampler(indices, condition=self.sampler.game.conditioner.of_texts(texts))
        condition = sample.condition.replace(text=list(texts), labels=self.told.labels(rows))
        extras = {**sample.extras, "group": self.told.groups(rows)}
        return sample.replace(condition=condition, extras=extras)


def told_by(game: Sampled, settings: Mapping[str, Any], real: Any, metrics: Sequence[Metric]) -> Told | None:
    """What generated images are asked for, or real ones are told by: ``captions`` of the settings ('real' =
    those of the real data), else the real data where a metric needs captions and it has some.
    """
    seed = int(settings.get("seed", 0))
    in_words = type(game.conditioner).of_texts is not Conditioner.of_texts
    readable = (lambda text: can_be_asked_for(game.conditioner, text)) if in_words else None
    chosen = settings.get("captions")
    if chosen is not None:
        images = real if chosen == REAL else build(chosen, "dataset", "evaluation.captions")
        return Told(images, seed, readable)
    if any("captions" in metric.needs for metric in metrics) and getattr(real, "captions", None) is not None:
        return Told(real, seed, readable)
    return None


def with_text(sampler: Sampler, settings: Mapping[str, Any], told: Told | None) -> InWords | ShowsCaptions:
    """The sampler as metrics need it."""
    if told is not None and settings.get("captions") is not None:
        return ShowsCaptions(sampler, told)
    return InWords(sampler)


def can_be_asked_for(conditioner: Conditioner, text: str) -> bool:
    """Whether a conditioner reads at least a word of a text."""
    try:
        conditioner.of_texts([text])
    except ValueError:
        return False
    return True


@torch.no_grad()
def own_judge(metric: Metric, game: Sampled) -> str:
    """A remark where a metric that is to judge from outside holds the very weights of one of the game's
    networks; '' = it does not.
    """
    judges = [] if metric.own_networks else metric.judges()
    for name, network in game.networks.items():
        if any(type(network) is type(j) and fingerprint(network) == fingerprint(j) for j in judges):
            return (
                f"its encoder is the game's own {name!r}, by which the generator may have been taught: the "
                "value flatters it"
            )
    return ""
