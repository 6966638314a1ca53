"""Segmenters: a small U-Net for the CPU, and torchvision's DeepLabV3, KLiSH's teacher (its sec. 4.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Segmenter
from toolbox.ranges import check_whole, given
from toolbox.weights.reading import read_weights

FOLDER = Path(__file__).parent / "embedded"
WEIGHTS = FOLDER / "segmenter_embedded.safetensors"
CARD = FOLDER / "segmenter_embedded.json"


def _two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Twice conv3x3, BN, ReLU."""
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers.append(nn.Conv2d(width, outputs, 3, padding=1, bias=False))
        layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(Segmenter):
    """U-Net (Ronneberger et al. 2015): down by 2x2 means, up by interpolation, each map carried over.

    Args:
        part_names: of the parts.
        channels: at full resolution; twice as many at each half.
        depth: how often the resolution is halved. Sides of the images are multiples of 2^depth.
        image_size: see :class:`Segmenter`.

    Raises:
        ValueError: for fewer than two parts, or sizes that do not fit.
    """

    def __init__(
        self, part_names: Sequence[str], channels: int = 16, depth: int = 3, image_size: int | None = 64
    ) -> None:
        super().__init__()
        _check_parts(part_names)
        check_whole(1, channels=channels, depth=depth, **given(image_size=image_size))
        if image_size is not None and image_size % 2**depth:
            raise ValueError(f"image_size={image_size!r} must be a multiple of 2^depth={2**depth}, or None")
        self.part_names = list(part_names)
        self.image_size = image_size
        self.depth = depth
        widths = [channels * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _two_convolutions(inputs, outputs) for inputs, outputs in pairwise([3, *widths])
        )
        self.up = nn.ModuleList(_two_convolutions(3 * width, width) for width in reversed(widths[:-1]))
        self.head = nn.Conv2d(channels, len(part_names), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, parts, H, W) of images (N, 3, H, W) in [-1, 1], H and W multiples of 2^depth."""
        if any(side % 2**self.depth for side in images.shape[2:]):
            raise ValueError(
                f"images of {tuple(images.shape[2:])} cannot be halved depth={self.depth} times: their sides "
                f"must be multiples of {2**self.depth}"
            )
        maps = [self.down[0](images)]  # of all resolutions, the largest first
        for block in self.down[1:]:
            maps.append(block(F.avg_pool2d(maps[-1], 2)))
        x = maps.pop()  # (N, channels 2^depth, H / 2^depth, W / 2^depth)
        for block, map_ in zip(self.up, reversed(maps), strict=True):
            larger = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([map_, larger], dim=1))  # 1 + 2 widths in, 1 out
        return self.head(x)


class DeepLabV3(Segmenter):
    """torchvision's DeepLabV3 with ResNet50, from scratch: the paper's teacher for faces (KLiSH, sec. 4.1).

    The authors' code has another head (DeepLabV3+, no pooled branch). Its pooled branch needs batches of two
    or more to train.

    Args:
        part_names: of the parts.
        image_size: see :class:`Segmenter`; 512 in the paper.
    """

    def __init__(self, part_names: Sequence[str], image_size: int | None = 512) -> None:
        super().__init__()
        _check_parts(part_names)
        check_whole(1, **given(image_size=image_size))
        from torchvision.models.segmentation import deeplabv3_resnet50

        self.part_names = list(part_names)
        self.image_size = image_size
        self.network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=len(part_names))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, parts, H, W) of images (N, 3, H, W) in [-1, 1]."""
        logits: Tensor = self.network(images)["out"]
        return logits


class EmbeddedSegmenter(UNet):
    """The segmenter that is shipped with the toolbox: the parts of drawn portraits, at 64 pixels, frozen.

    It knows :class:`toolbox.data.drawn.DrawnPortraits` and what generators trained on them make, and nothing
    else; what it reaches on their test part is in its card (``weights/segmenter_embedded.json``).

    Attributes:
        card: what is known of the weights: how they were trained, and what was measured.
    """

    def __init__(self) -> None:
        card = embedded_card()
        super().__init__(**card["network"])
        self.card = card
        tensors = read_weights(WEIGHTS).tensors
        self.load_state_dict({name: _full(value) for name, value in tensors.items()}, strict=True)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> EmbeddedSegmenter:
        """Stays in eval mode: it is never trained."""
        super().train(False)
        return self


def embedded_card() -> dict[str, Any]:
    """The card of the shipped weights."""
    card: dict[str, Any] = json.loads(CARD.read_text(encoding="utf-8"))
    return card


def _full(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _check_parts(part_names: Sequence[str]) -> None:
    if isinstance(part_names, str) or len(part_names) < 2:
        raise ValueError(f"part_names={part_names!r}: name at least two parts; does the data set have masks?")
