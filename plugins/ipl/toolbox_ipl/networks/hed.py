"""Edge maps: HED's network (Xie and Tu 2015, Holistically-Nested Edge Detection), and Sobel's filter."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox_ipl.networks.files import load_strictly, tensors_of
from toolbox_ipl.networks.frozen import Frozen

ORIGIN = "network-bsds500.pytorch of github.com/sniklaus/pytorch-hed (38 tensors, 59 MB)"
MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)
# name, convolutions, channels of the five stages of VGG-16
STAGES = (("One", 2, 64), ("Two", 2, 128), ("Thr", 3, 256), ("Fou", 3, 512), ("Fiv", 3, 512))


class HED(Frozen):
    """Probability of an edge at every pixel, (N, 1, H, W) in [0, 1].

    Five stages of VGG-16; the last activation of each becomes one map by a 1x1 convolution, is resized
    bilinearly to the image, and a sixth convolution joins the five before the sigmoid.

    Args:
        weights: ``network-bsds500.pytorch``, whose names begin with 'module' or 'net'.

    Raises:
        FileNotFoundError: without the file, saying which it is.
        ValueError: for a file that does not fit, naming what.
    """

    name = "hed"
    preprocessing = "BGR * 255 - mean"
    mean: Tensor

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        tensors = tensors_of(weights, "weights", "HED", ORIGIN)
        width = 3
        for name, depth, channels in STAGES:
            setattr(self, f"netVgg{name}", _stage(width, channels, depth, pooled=name != "One"))
            setattr(self, f"netScore{name}", nn.Conv2d(channels, 1, 1))
            width = channels
        self.netCombine = nn.Sequential(nn.Conv2d(len(STAGES), 1, 1), nn.Sigmoid())
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)
        renamed = {_ours(key): value for key, value in tensors.items()}
        load_strictly(self, renamed, f"weights={str(weights)!r}", "HED", ORIGIN)
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Edges (N, 1, H, W) of images (N, 3, H, W), RGB in [-1, 1], at least 16 pixels a side."""
        x = (images.float() + 1).mul(127.5).flip(1) - self.mean
        size = images.shape[2:]
        sides = []
        for name, *_ in STAGES:
            x = getattr(self, f"netVgg{name}")(x)
            side = getattr(self, f"netScore{name}")(x)
            sides.append(F.interpolate(side, size, mode="bilinear", align_corners=False))
        edges: Tensor = self.netCombine(torch.cat(sides, dim=1))
        return edges


class Sobel(Frozen):
    """Strength of the grey image's gradient, (N, 1, H, W) in [0, 1]: needs no file, and is no HED.

    e = min(|(S_x * g, S_y * g)|, 1) with Sobel's filters / 4 and g the mean of the channels in [0, 1].
    """

    name = "sobel"
    preprocessing = "mean of RGB in [0, 1]"

    def __init__(self) -> None:
        super().__init__()
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Edges (N, 1, H, W) of images (N, 3, H, W), RGB in [-1, 1]."""
        grey = (images.float().mean(dim=1, keepdim=True) + 1) / 2
        g = F.pad(grey, (1, 1, 1, 1), mode="replicate")
        across = _smooth(g[..., 2:] - g[..., :-2], 2)  # differences first: flat areas give exactly 0
        down = _smooth(g[..., 2:, :] - g[..., :-2, :], 3)
        return (across.square() + down.square()).sqrt().clamp(max=1)


def _smooth(x: Tensor, dim: int) -> Tensor:
    """(1, 2, 1) / 4 along a dimension, which loses two entries."""
    n = x.shape[dim] - 2
    return (x.narrow(dim, 0, n) + 2 * x.narrow(dim, 1, n) + x.narrow(dim, 2, n)) / 4


def _stage(inputs: int, outputs: int, depth: int, pooled: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2, 2)] if pooled else []
    for number in range(depth):
        layers += [nn.Conv2d(outputs if number else inputs, outputs, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def _ours(key: str) -> str:
    """The file says 'moduleVggOne', its code's attributes are 'netVggOne'."""
    return f"net{key.removeprefix('module')}" if key.startswith("module") else key
