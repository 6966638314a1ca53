"""What diffusion models are trained by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Objective, Turn, normal_rows, whole_rows
from toolbox.models.diffae import DiffAE


class DenoisingLoss(Objective):
    """A diffusion autoencoder learns what noise was added to its images (Preechakul et al. 2022, eq. 6).

        E |e - U(x_t, t, E(x0))|^2          x_t = sqrt(a_t) x0 + sqrt(1 - a_t) e,  t uniform,  e ~ N(0, I)

    Args:
        generator: name of the network, a DiffAE.
    """

    def __init__(self, generator: str = "generator") -> None:
        super().__init__()
        self.generator = generator
        self.formulas = {generator: "E |e - U(x_t, t, E(x))|^2"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.mean_square}

    def mean_square(self, turn: Turn) -> Tensor:
        """Mean over images, pixels and channels.

        Raises:
            ValueError: for a network that is no DiffAE.
        """
        network = turn.network(self.generator)
        if not isinstance(network, DiffAE):
            raise ValueError(
                f"generator={self.generator!r} is a {type(network).__name__}; DenoisingLoss needs a DiffAE"
            )
        images = turn.real.images
        n, last = len(images), network.ddim.n_train - 1
        steps = whole_rows(0, last, n, rng=turn.rng, device=images.device)
        noise = normal_rows(n, *images.shape[1:], rng=turn.rng, device=images.device)
        style = network.encode(images)
        if network.training:
            network.observe(ranks.gather_rows(style))
        seen = network.noise(network.ddim.noised(images, noise, steps), steps, style)
        return F.mse_loss(seen, noise)
