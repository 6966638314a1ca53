"""The contract of a segmenter: which part of what it shows each pixel of an image belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Segmenter(nn.Module, ABC):
    """Images to scores of parts, a pixel at a time.

    Attributes:
        part_names: what the parts are called; by habit 0 is the background, or whatever is none of the
            others.
        image_size: height = width of the images it was made for, to which :meth:`scores` resizes; None = any.
    """

    part_names: Sequence[str]
    image_size: int | None = None

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, parts, H, W), logits, of images (N, 3, H, W), RGB in [-1, 1]."""

    def scores(self, images: Tensor, size: int | None = None) -> Tensor:
        """Logits (N, parts, size, size) of images of any size (N, 3, H, W); ``size`` None: (N, parts, H, W).

        Images of another size than ``image_size`` are resized to it, and the logits to the size asked for:
        bilinear, antialiased where pixels are lost.
        """
        wanted = tuple(images.shape[2:]) if size is None else (size, size)
        own = tuple(images.shape[2:]) if self.image_size is None else (self.image_size, self.image_size)
        return _resized(self(_resized(images, own)), wanted)

    @torch.no_grad()
    def labels(self, images: Tensor, size: int | None = None) -> Tensor:
        """Parts (N, H, W) int64, indices of ``part_names``; of images and sizes as :meth:`scores`."""
        return self.scores(images, size).argmax(dim=1)


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(maps.shape[2:]) == size:
        return maps
    return F.interpolate(maps, size=list(size), mode="bilinear", align_corners=False, antialias=True)
