"""IR-SE50, the face embedding of ArcFace (Deng et al. 2019) as InsightFace_Pytorch trained it."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import FeatureExtractor
from toolbox_ipl.networks.files import load_strictly, tensors_of
from toolbox_ipl.networks.frozen import Frozen

ORIGIN = "model_ir_se50.pth of github.com/TreB1eN/InsightFace_Pytorch (397 tensors, 175 MB)"
GROUPS = ((64, 3), (128, 4), (256, 14), (512, 3))  # channels, blocks; the first block of each has stride 2
ROWS, COLUMNS = slice(35, 223), slice(32, 220)  # the face in an aligned photograph of 256 pixels


class IRSE50(Frozen, FeatureExtractor):
    """Embeddings (N, 512) of unit length of aligned faces; their scalar products are ID.

    Images that are not 256 pixels are averaged to 256 x 256, cut to rows 35..222 and columns 32..219, and
    averaged to 112 x 112, as StyleGAN-NADA does it. There is no search for landmarks: only portraits that are
    aligned as FFHQ's mean something.

    Args:
        weights: ``model_ir_se50.pth``.

    Raises:
        FileNotFoundError: without the file, saying which it is.
        ValueError: for a file that does not fit, naming what.
    """

    name = "ir-se50"
    n_features = 512
    preprocessing = "256, face 35:223 32:220, 112"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        tensors = tensors_of(weights, "weights", "IRSE50", ORIGIN)
        self.input_layer = nn.Sequential(_conv(3, 64), nn.BatchNorm2d(64), nn.PReLU(64))
        widths = [64, *(channels for channels, _ in GROUPS)]
        blocks = [
            _Block(widths[group] if first else channels, channels, stride=2 if first else 1)
            for group, (channels, number) in enumerate(GROUPS)
            for first in [True] + [False] * (number - 1)
        ]
        self.body = nn.Sequential(*blocks)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )
        load_strictly(self, tensors, f"weights={str(weights)!r}", "IRSE50", ORIGIN)
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, 512), of unit length, of portraits (N, 3, H, W) in [-1, 1]."""
        x = self.output_layer(self.body(self.input_layer(face_of(images.float()))))
        return F.normalize(x, dim=1)


def face_of(images: Tensor) -> Tensor:
    """The middle of aligned portraits (N, 3, H, W), averaged to (N, 3, 112, 112)."""
    if tuple(images.shape[2:]) != (256, 256):
        images = F.adaptive_avg_pool2d(images, 256)
    return F.adaptive_avg_pool2d(images[:, :, ROWS, COLUMNS], 112)


class _Block(nn.Module):
    """shortcut(x) + residual(x), with squeeze and excitation (Hu et al. 2018) at the residual's end."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)
            if inputs == outputs
            else nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            _conv(inputs, outputs),
            nn.PReLU(outputs),
            _conv(outputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            _SqueezeExcitation(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.shortcut_layer(x) + self.res_layer(x)
        return total


class _SqueezeExcitation(nn.Module):
    """x times a gate for each channel: sigmoid(W_2 relu(W_1 mean(x))), narrowed to a sixteenth."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True))))
        return x * gate.sigmoid()


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
