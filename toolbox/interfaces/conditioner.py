"""The contract of a conditioner: what generated images are asked to show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces.sample import Condition, Sample


class Conditioner(nn.Module, ABC):
    """Decides what generated images are asked to be, and completes what is known of real ones.

    What it learns or stores is in buffers and parameters, so a checkpoint (and a release) holds it.
    """

    def prepare(self, dataset: Any, game: Any) -> None:
        """Once, before the first iteration of a run; never on resume. ``dataset`` is the training set."""

    def real(self, sample: Sample) -> Condition:
        """The full condition of a real batch. Default: as the data gives it."""
        return sample.condition

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Conditions of n images to generate, a function of ``rng`` (and of ``labels`` (n,), when given)."""

    def after_iteration(self, game: Any, real: Sample, rng: torch.Generator) -> None:
        """Moving state (prototypes, banks). ``real`` holds this process's rows of the iteration's real batch.

        State must stay equal on all processes: gather what it is moved by with ``game.gather(tensor)``, which
        gives the rows of the whole batch in the order that one process would see; ``rng`` is the same on all.
        """

    def forget_features(self) -> None:
        """Drop what only training needs, such as features of the training images: called before a release is
        written.
        """

    def modes(self) -> Condition | None:
        """One condition for each mode that can be asked for alone (a cluster); None where there are
        no modes.
        """
        return None

    def names(self) -> list[str]:
        """What each row of ``condition.weights`` (or each label) is called."""
        return []
