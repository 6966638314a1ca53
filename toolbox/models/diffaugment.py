"""Differentiable augmentation of what discriminators see, real and fake alike.

Zhao et al.: Differentiable Augmentation for Data-Efficient GAN Training, NeurIPS 2020, section 3 and its
public code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Augment, uniform_rows, whole_rows
from toolbox.models.layers import near

Rng = torch.Generator | None


def brightness(x: Tensor, rng: Rng = None) -> Tensor:
    """x + b, b ~ U(-0.5, 0.5) for each image."""
    return x + (_uniform(x, rng) - 0.5)


def saturation(x: Tensor, rng: Rng = None) -> Tensor:
    """(x - m) s + m, s ~ U(0, 2) for each image, m = mean over the channels of a pixel."""
    return torch.lerp(x.mean(dim=1, keepdim=True).expand_as(x), x, 2 * _uniform(x, rng))


def contrast(x: Tensor, rng: Rng = None) -> Tensor:
    """(x - m) c + m, c ~ U(0.5, 1.5) for each image, m = mean over the image."""
    return torch.lerp(x.mean(dim=(1, 2, 3), keepdim=True).expand_as(x), x, _uniform(x, rng) + 0.5)


def translation(x: Tensor, rng: Rng = None, ratio: float = 0.125) -> Tensor:
    """Whole-pixel shifts of each image, uniform in [-r, r], r = round(ratio size); zeros come in."""
    n, c, h, w = x.shape
    reach_y = int(h * ratio + 0.5)
    reach_x = int(w * ratio + 0.5)
    padded = F.pad(x, (reach_x, reach_x, reach_y, reach_y))
    rows = _integers(x, 0, 2 * reach_y, rng) + torch.arange(h, device=x.device)  # (N, H)
    columns = _integers(x, 0, 2 * reach_x, rng) + torch.arange(w, device=x.device)  # (N, W)
    places = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).flatten(1)  # (N, HW)
    return padded.flatten(2).gather(2, places[:, None].expand(-1, c, -1)).view(n, c, h, w)


def cutout(x: Tensor, rng: Rng = None, ratio: float = 0.5) -> Tensor:
    """Zeros in one square of side round(ratio size) of each image.

    Its centre is uniform, so that it may stick out.
    """
    rows = _inside(x, x.shape[2], ratio, rng)  # (N, H)
    columns = _inside(x, x.shape[3], ratio, rng)  # (N, W)
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _inside(x: Tensor, length: int, ratio: float, rng: Rng) -> Tensor:
    """(N, length) bool: which rows (or columns) the square covers."""
    size = int(length * ratio + 0.5)
    first = _integers(x, 0, length - size % 2, rng) - size // 2
    place = torch.arange(length, device=x.device)
    return (place >= first) & (place < first + size)


def _uniform(x: Tensor, rng: Rng) -> Tensor:
    """(N, 1, 1, 1) draws of U(0, 1)."""
    return uniform_rows(len(x), 1, 1, 1, rng=rng, device=x.device).to(x)


def _integers(x: Tensor, low: int, high: int, rng: Rng) -> Tensor:
    """(N, 1) whole numbers from low to high, both included."""
    return whole_rows(low, high, len(x), 1, rng=rng, device=x.device)


POLICIES: dict[str, tuple[Callable[[Tensor, Rng], Tensor], ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


class DiffAugment(Augment):
    """DiffAugment: every image of the batch gets its own parameters, all drawn from ``rng``.

    Args:
        policy: names out of 'color', 'translation', 'cutout', separated by commas, applied in that order. The
            paper's BigGAN runs on CIFAR use 'translation,cutout'; StudioGAN all three; '' does nothing.

    Raises:
        ValueError: for an unknown name.
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        super().__init__()
        self.policy = policy
        names = [name.strip() for name in policy.split(",") if name.strip()]
        for name in names:
            if name not in POLICIES:
                raise ValueError(
                    f"policy={policy!r}: {name!r} is not an operation; choose from {list(POLICIES)}, "
                    f"separated by commas{near(name, POLICIES)}"
                )
        self.operations = [operation for name in names for operation in POLICIES[name]]

    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1] in; the same shape out, which may leave that range."""
        for operation in self.operations:
            images = operation(images, rng)
        return images

    def extra_repr(self) -> str:
        """For printing."""
        return f"policy={self.policy!r}"
