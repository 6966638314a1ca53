"""Deterministic DDIM (Song et al. 2021): the steps between images and noise, forth and back.

With a_t = prod_{s <= t} (1 - beta_s), and e the noise that a network sees in x_t:

    x0   = (x_t - sqrt(1 - a_t) e) / sqrt(a_t)
    x_t' = sqrt(a_t') x0 + sqrt(1 - a_t') e
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from toolbox.ranges import check_whole

Noise = Callable[[Tensor, Tensor], Tensor]  # (x_t, numbers of the steps (N,)) -> e


class DDIM:
    """A schedule of T steps, and chains of fewer.

    A chain of n steps has the numbers floor(i T / n), i = 0 ... n - 1: Diff-AE's where n divides T. Before
    its first step stands the image, a = 1; after its last, noise alone, a = 0.

    Args:
        n_train: T, the steps that the network is trained on.
        first, last: beta_0 and beta_{T-1}; those between lie on a line.
        clip: x0 is clipped to [-1, 1] in every step, and e made anew of it.

    Attributes:
        alphas: (T,) float64, a_t.
    """

    def __init__(
        self, n_train: int = 1000, first: float = 1e-4, last: float = 0.02, clip: bool = True
    ) -> None:
        check_whole(1, n_train=n_train)
        if not 0 < first <= last < 1:
            raise ValueError(f"first={first!r}, last={last!r} must be 0 < first <= last < 1")
        self.n_train, self.clip = n_train, clip
        betas = torch.linspace(first, last, n_train, dtype=torch.float64)
        self.alphas = (1 - betas).cumprod(0)

    def chain(self, steps: int) -> list[int]:
        """Numbers of the steps of a chain of ``steps``, rising.

        Raises:
            ValueError: for no step, or more than T.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= self.n_train:
            raise ValueError(f"steps={steps!r} must be a whole number from 1 to {self.n_train}")
        return [i * self.n_train // steps for i in range(steps)]

    def noised(self, images: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """x_t = sqrt(a_t) x0 + sqrt(1 - a_t) e, of images and noise (N, 3, H, W) at steps (N,)."""
        alphas = self.alphas.to(images.device)[steps].to(images.dtype)[:, None, None, None]
        return alphas.sqrt() * images + (1 - alphas).sqrt() * noise

    def x0(self, x: Tensor, noise: Tensor, alpha: float) -> Tensor:
        """The image that noise was added to, by what the network says of it."""
        return (x - (1 - alpha) ** 0.5 * noise) / alpha**0.5

    def move(self, x: Tensor, noise: Tensor, alpha: float, to: float) -> Tensor:
        """One step from a_t = ``alpha`` to a_t' = ``to``."""
        image = self.x0(x, noise, alpha)
        if self.clip:
            image = image.clamp(-1, 1)
            noise = (x - alpha**0.5 * image) / (1 - alpha) ** 0.5
        return to**0.5 * image + (1 - to) ** 0.5 * noise

    def render(self, noise: Noise, x: Tensor, steps: int, recompute: bool = False) -> Tensor:
        """The image (N, 3, H, W) of the noise x_T.

        ``recompute``: of each step its input alone is kept for the gradient; the rest is computed again on
        the way back, with the same random draws.
        """
        chain = self.chain(steps)
        levels = [1.0, *self._levels(chain)]
        for number, step in reversed(list(enumerate(chain))):

            def moved(x: Tensor, step: int = step, number: int = number) -> Tensor:
                return self.move(x, noise(x, _numbers(step, x)), levels[number + 1], levels[number])

            x = checkpoint(moved, x, use_reentrant=False) if recompute else moved(x)
        return x

    def invert(self, noise: Noise, images: Tensor, steps: int) -> Tensor:
        """x_T (N, 3, H, W), of which :meth:`render` makes the images, nearly: the same steps, the other way.

        The last step ends at a = 0: x_T is the noise that was seen last.
        """
        chain = self.chain(steps)
        levels = [*self._levels(chain), 0.0]
        x = images
        for number, step in enumerate(chain):
            x = self.move(x, noise(x, _numbers(step, x)), levels[number], levels[number + 1])
        return x

    def _levels(self, chain: list[int]) -> list[float]:
        return [float(self.alphas[step]) for step in chain]


def _numbers(step: int, x: Tensor) -> Tensor:
    return torch.full((len(x),), step, device=x.device)
