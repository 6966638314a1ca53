"""Feature maps whose positions are samples (SIFID): Inception's first layers, and the shipped toy CLIP's."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from toolbox_ipl.networks.files import load_strictly, tensors_of
from toolbox_ipl.networks.frozen import Frozen

ORIGIN = "inception_v3_google-0cc3c7bd.pth of download.pytorch.org/models (104 MB, sha256 begins 0cc3c7bd)"
CHANNELS = (64, 192)


class Maps(Protocol):
    """What SIFID asks of a network: maps (N, C, h, w) of images (N, 3, H, W) in [-1, 1]."""

    name: str

    def __call__(self, images: Tensor) -> Tensor: ...

    def fingerprint(self) -> str: ...


class InceptionMaps(Frozen):
    """torchvision's Inception of ImageNet up to before a pooling; images are not resized.

    Args:
        weights: ``inception_v3_google-0cc3c7bd.pth``.
        channels: 192: the map before the second pooling (SinGAN's paper); 64: before the first (its first
            script). Numbers of the two do not compare.
        sha256: what the file's digest must begin with; None accepts any file that fits.

    Raises:
        FileNotFoundError: without the file, saying which it is.
        ValueError: for other channels, or a file that does not fit.
    """

    preprocessing = "[-1, 1], no resize"

    def __init__(
        self, weights: str | Path | None = None, channels: int = 192, sha256: str | None = "0cc3c7bd"
    ) -> None:
        super().__init__()
        if channels not in CHANNELS:
            raise ValueError(f"channels={channels!r}: allowed are {' and '.join(map(str, CHANNELS))}")
        tensors = tensors_of(weights, "weights", "InceptionMaps", ORIGIN, sha256)
        self.Conv2d_1a_3x3 = _ConvBN(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _ConvBN(32, 32, 3)
        self.Conv2d_2b_3x3 = _ConvBN(32, 64, 3, padding=1)
        if channels == 192:
            self.Conv2d_3b_1x1 = _ConvBN(64, 80, 1)
            self.Conv2d_4a_3x3 = _ConvBN(80, 192, 3)
        layers = {key.partition(".")[0] for key in self.state_dict()}
        own = {key: value for key, value in tensors.items() if key.partition(".")[0] in layers}
        load_strictly(self, own, f"weights={str(weights)!r}", "InceptionMaps", ORIGIN)
        self.channels = channels
        self.name = f"inception-{channels}"
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, channels, h, w) of images (N, 3, H, W) in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images.float())))
        if self.channels == 192:
            x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        return x


class ToyClipMaps(Frozen):
    """The shipped toy CLIP's first layers: a stand-in for Inception's, named so; no file is needed.

    Distances on these maps compare runs on the embedded data with each other, and with nothing else.
    """

    name = "toy-clip-stem"
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        from toolbox.models.clip_embedded import EmbeddedClip

        clip = EmbeddedClip()
        self.stem = clip.model.visual
        self.register_buffer("mean", clip.mean, persistent=False)
        self.register_buffer("std", clip.std, persistent=False)
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, C, H / 4, W / 4) of images (N, 3, H, W) in [-1, 1]."""
        maps: Tensor = self.stem.stem(((images.float() + 1) / 2 - self.mean) / self.std)
        return maps


class _ConvBN(nn.Module):
    """Convolution without bias, batch normalisation (epsilon 1e-3), ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))
