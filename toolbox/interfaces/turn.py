"""What one phase of an iteration sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from toolbox.interfaces.draws import Rows
from toolbox.interfaces.sample import Condition, Sample


@runtime_checkable
class Turn(Protocol):
    """What one phase of an iteration sees.

    Attributes:
        player: name of the player that moves.
        iteration: 0-based.
        kimg: thousands of real images shown before this iteration; generated ones in a game without images.
        rng: CPU generator, a function of (seed, iteration, phase): draw from it and a resumed run draws the
            same. Draws for the images at hand go through :func:`toolbox.interfaces.draw_rows`, and several
            processes draw as one would.
        real: the real batch, its condition completed by the conditioner. A game without images
            (``train_dataloader.dataset=None``) has none, nor ``whole``: an error says so.
        whole: the real images of the optimiser step on this process, of which ``real`` are a split where a
            phase accumulates.
        rows: which rows of the step's batch, of all processes and splits, ``real`` and ``fake`` are.
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
    def whole(self) -> Sample: ...

    @property
    def rows(self) -> Rows: ...

    @property
    def fake(self) -> Sample: ...

    def moves(self, network: str) -> bool:
        """Whether the player that moves owns this network."""
        ...

    def network(self, name: str) -> Any:
        """A network of the game."""
        ...

    def score(self, discriminator: str, sample: Sample, condition: Condition | None = None) -> Tensor:
        """Logits (N,): augments, encodes once a turn, judges under ``condition``; None = the sample's own."""
        ...

    def view(self, sample: Sample, field: str) -> Sample:
        """A sample whose images are another field of it (a stage's size), for :meth:`score`; once a turn."""
        ...

    def seen(self, discriminator: str, sample: Sample) -> Any:
        """What enters a discriminator's ``encode``: images, augmented, as its ``look`` leaves them.

        Of the real batch, and of fakes that turns share, it is made once an iteration.
        """
        ...

    def encoded(self, discriminator: str, sample: Sample) -> Tensor:
        """What a discriminator's ``encode`` makes of a sample: augmented, once a turn, as :meth:`score`."""
        ...

    def score_pair(self, discriminator: str, real: Sample, fake: Sample) -> tuple[Tensor, Tensor]:
        """Logits of both from one joint pass, for discriminators whose condition is costly to encode."""
        ...

    def fewer_fakes(self, shrink: int) -> Sample:
        """A generated batch of its own, one image for ``shrink`` of the turn's (rounded up).

        ``fake`` need not be made for it.
        """
        ...

    def generate(self, network: str, same_noise: bool = False) -> Sample:
        """What another generator makes of the fakes' latents, condition and styles.

        No gradient reaches the fakes through it. Noise is drawn for this network in this turn, or is that of
        the fakes (``same_noise``). Like ``fake``, the images are not clipped.
        """
        ...

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once a turn; later calls with this key get the same value."""
        ...

    def frozen(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once an iteration, without gradients: for what only frozen networks compute."""
        ...
