"""How text-to-image papers bring images to the networks that judge them, with the quirks of their code.

Images are floats in [-1, 1] and become floats; CLIP's own normalisation follows in the network.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.catalog import near_miss

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean, standard deviation


def clip_input(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images at CLIP's size in [-1, 1]: antialiased bicubic, clamped."""
    if tuple(images.shape[-2:]) == size:
        return images
    resized = F.interpolate((images + 1) / 2, size, mode="bicubic", align_corners=False, antialias=True)
    return resized.clamp(0, 1) * 2 - 1


def galip_clip_input(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The same as GALIP's code does it: mapped to [0, 1] twice, so in half the range; nearest pixels.

    Its CLIP scores (0.33 on COCO) depend on both.
    """
    return F.interpolate((images + 1) / 2, size, mode="nearest")  # the network maps it a second time


def legacy_inception_input(images: Tensor, size: int = 299) -> Tensor:
    """Input (N, 3, size, size) of torchvision's Inception as in DM-GAN's, DF-GAN's and GALIP's FID.

    Bilinear with aligned corners, then torchvision's map from ImageNet's normalisation to [-1, 1], though the
    images, in [0, 1], never had that normalisation: they span about [-0.03, 0.43] in red.
    """
    mean, std = _imagenet(images)
    return _aligned(images, size) * (std / 0.5) + (mean - 0.5) / 0.5


def imagenet_input(images: Tensor, size: int = 299) -> Tensor:
    """Input of torchvision's Inception as in BigGAN-PyTorch: ImageNet's normalisation, aligned bilinear."""
    mean, std = _imagenet(images)
    return (_aligned(images, size) - mean) / std


def plain_input(images: Tensor, size: int = 299) -> Tensor:
    """Images as they are, in [-1, 1]; bilinear without antialiasing (inception-score-pytorch)."""
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False)


def _aligned(images: Tensor, size: int) -> Tensor:
    """In [0, 1]."""
    return F.interpolate((images + 1) / 2, (size, size), mode="bilinear", align_corners=True)


def _imagenet(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation."""
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in _IMAGENET)
    return mean, std


PREPROCESSING: dict[str, Callable[[Tensor, tuple[int, int]], Tensor]] = {
    "plain": clip_input,
    "galip_legacy": galip_clip_input,
}


def check_preprocessing(name: str) -> str:
    """``name`` itself.

    Raises:
        ValueError: when it is unknown, with the near miss.
    """
    if name not in PREPROCESSING:
        hint = near_miss(name, PREPROCESSING)
        raise ValueError(f"preprocessing={name!r}{hint}; allowed: {', '.join(PREPROCESSING)}")
    return name
