"""What training needs: objectives (loss terms), conditioners (what to draw) and the turn they look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from toolbox.interfaces.records import Condition, Sample


@runtime_checkable
class Turn(Protocol):
    """What one phase of an iteration sees.

    Attributes:
        player: name of the player that moves.
        iteration: 0-based.
        kimg: thousands of real images shown before this iteration.
        rng: CPU generator, a function of (seed, iteration, phase): draw from it and a resumed run draws the
            same. Draws for the images at hand go through :func:`toolbox.interfaces.draw_rows`, and several
            processes draw as one would.
        real: the real batch, its condition completed by the conditioner.
        branches: the turns of all branches of the batch, this one among them; one where there are no
            branches.
        fake: the generated batch; carries gradients to the generator if the generator moves.
    """

    player: str
    iteration: int
    kimg: float
    rng: torch.Generator
    branches: Any

    @property
    def real(self) -> Sample: ...

    @property
    def fake(self) -> Sample: ...

    def moves(self, network: str) -> bool:
        """Whether the player that moves owns this network."""
        ...

    def network(self, name: str) -> Any:
        """A network of the game."""
        ...

    def score(self, discriminator: str, sample: Sample, condition: Condition | None = None) -> Tensor:
        """Logits (N,): augments, encodes once a turn, judges under ``condition`` (default: the
        sample's own).
        """
        ...

    def encoded(self, discriminator: str, sample: Sample) -> Tensor:
        """What a discriminator's ``encode`` makes of a sample: augmented, and once a turn, as in
        :meth:`score`.
        """
        ...

    def score_pair(self, discriminator: str, real: Sample, fake: Sample) -> tuple[Tensor, Tensor]:
        """Logits of both from one joint pass, for discriminators whose condition is costly to encode."""
        ...

    def fewer_fakes(self, shrink: int) -> Sample:
        """A generated batch of its own, one image for ``shrink`` of the turn's (rounded up); ``fake`` need
        not be made.
        """
        ...

    def generate(self, network: str) -> Sample:
        """What another generator makes of the same latents and condition."""
        ...

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once a turn; later calls with this key get the same value."""
        ...

    def frozen(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once an iteration, without gradients: for what only frozen networks compute."""
        ...


class Objective(nn.Module, ABC):
    """A loss term of the game, or several that belong together. Its weight is the game's business.

    Attributes:
        formulas: {network: one line of mathematics}, shown by ``toolbox explain``.
        trains: network whose player the objective's own parameters join; None when it has none.
        float32: computed in float32 and uncompiled, whatever the game's precision (terms that differentiate a
            gradient).
    """

    formulas: Mapping[str, str] = {}
    trains: str | None = None
    float32: bool = False

    @abstractmethod
    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """{network: loss of the turn in which this network moves}.

        ``{'discriminator': self.discriminator_loss, 'generator': self.generator_loss}`` for an adversarial
        term. A loss is a scalar tensor.
        """

    def log(self) -> dict[str, Tensor]:
        """Scalars worth logging, still on the device, detached. Cleared by whoever reads them."""
        return {}


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


class Augment(nn.Module, ABC):
    """Differentiable augmentation of what discriminators see."""

    @abstractmethod
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images (N, 3, H, W) in, the same shape out; every draw comes from ``rng``, through
        ``draw_rows``.
        """

    def observe(self, logits: Tensor) -> None:
        """Logits (n,) of augmented real images, whenever a discriminator that moves has judged some."""

    def after_iteration(self, iteration: int, images: int) -> None:
        """Moving state. ``images`` real ones were shown, on all ranks together; state must stay
        equal on all.
        """

    def log(self) -> dict[str, Tensor]:
        """Scalars worth logging, still on the device, detached."""
        return {}


class FeatureExtractor(nn.Module, ABC):
    """A frozen network that maps images to vectors, for clustering and for metrics.

    Attributes:
        name: short, goes into protocol names (``toy-clip``, ``inception-tf``).
        n_features: length of a vector.
    """

    name: str
    n_features: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1]; does its own resizing and
        scaling.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of weights and preprocessing: two extractors that agree on it give the same features."""
