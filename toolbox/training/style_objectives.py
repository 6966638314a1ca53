"""Loss terms of style-based generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Objective, Turn, draw_rows
from toolbox.losses import regularisers


class PathLength(Objective):
    """Path length regularisation: a step in w changes the image by the same amount everywhere (StyleGAN2,
    section 3.2).

        E (|J_w^T y| - a)^2,  y ~ N(0, I) / sqrt(pixels),  a = running mean of |J_w^T y|

    StyleGAN2 computes it every 4 steps (its phase's ``every``) with weight 2. The generator must be the
    game's and give its styles in ``sample.extras['ws']``.

    Args:
        generator: name of the network.
        decay: how fast a moves.
        shrink: computed on a batch so many times smaller, to save memory.
    """

    float32 = True

    mean: Tensor
    moved: Tensor
    moved_at: Tensor

    def __init__(self, generator: str = "generator", decay: float = 0.01, shrink: int = 2) -> None:
        super().__init__()
        if shrink < 1:
            raise ValueError(f"shrink={shrink} must be 1 or more")
        self.generator, self.decay, self.shrink = generator, decay, shrink
        self.formulas = {
            generator: "E (|J_w^T y| - a)^2, y ~ N(0, I) / sqrt(pixels), a = running mean of |J_w^T y|"
        }
        self.register_buffer("mean", torch.zeros(()))  # a before the iteration ``moved_at``
        self.register_buffer("moved", torch.zeros(()))  # a after it
        self.register_buffer("moved_at", torch.tensor(-1))

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Mean squared deviation from a, which includes this batch (of all ranks) and carries gradient."""
        lengths = ranks.gather_rows_with_gradient(self._lengths(turn))
        start = torch.where(
            self.moved_at == turn.iteration, self.mean, self.moved
        )  # once an iteration, however often asked
        mean = torch.lerp(start, lengths.mean(), self.decay)
        with torch.no_grad():
            self.mean.copy_(start)
            self.moved.copy_(mean)
            self.moved_at.fill_(turn.iteration)
        return (lengths - mean).square().mean()

    def log(self) -> dict[str, Tensor]:
        """The running mean."""
        return {"mean_length": self.moved.detach().clone()}

    def _lengths(self, turn: Turn) -> Tensor:
        """(n,) of a batch of its own, the size of the turn's divided by ``shrink``: made once, with its
        gradients.
        """
        fake, rows = turn.fewer_fakes(self.shrink), len(turn.real)
        if "ws" not in fake.extras:
            name = type(turn.network(self.generator)).__name__
            raise ValueError(f"PathLength needs a style-based generator; {name} gives no extras['ws']")
        y = draw_rows(lambda n: torch.randn(n, *fake.images.shape[1:], generator=turn.rng), rows, turn.rng)
        return regularisers.path_lengths(fake.images, fake.extras["ws"], y[:: self.shrink].to(fake.images))
