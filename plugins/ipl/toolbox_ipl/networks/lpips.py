"""LPIPS on VGG-16 (Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from toolbox.interfaces import FeatureExtractor
from toolbox.models.extractors import resize
from toolbox.ranges import check_whole
from toolbox_ipl.networks.files import load_strictly, tensors_of
from toolbox_ipl.networks.frozen import Frozen

BACKBONE = "vgg16-397923af.pth of download.pytorch.org/models (ImageNet, 528 MB)"
HEADS = "lpips/weights/v0.1/vgg.pth of github.com/richzhang/PerceptualSimilarity (5 tensors, 7 kB)"
STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class LPIPS(Frozen, FeatureExtractor):
    """Vectors whose squared distance is LPIPS: of two images, |f(a) - f(b)|^2 = LPIPS(a, b).

    LPIPS(a, b) = sum over five layers of mean over positions of sum_c w_c (a_c - b_c)^2, where a and b are
    VGG's activations of unit length at each position, and w >= 0 the learnt head of the layer.
    So f(x) holds sqrt(w_c / positions) x_c of all layers.

    Args:
        backbone: torchvision's VGG-16 of ImageNet, ``vgg16-397923af.pth``.
        heads: the five linear heads, ``vgg.pth`` of LPIPS 0.1.
        size: images are resized to this square first (bicubic, antialiased), in pixels, at least 16.
        sha256: what the backbone's digest must begin with; None accepts any file that fits.

    Raises:
        FileNotFoundError: without one of the files, saying which it is.
        ValueError: for a file that does not fit, naming what.
    """

    squared_distance = True  # of two vectors: what they are compared by
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        backbone: str | Path | None = None,
        heads: str | Path | None = None,
        size: int = 256,
        sha256: str | None = "397923af",
    ) -> None:
        super().__init__()
        check_whole(16, size=size)
        learnt = tensors_of(heads, "heads", "LPIPS", HEADS)
        pretrained = tensors_of(backbone, "backbone", "LPIPS", BACKBONE, sha256)
        self.size = size
        self.features = _vgg_convolutions()
        self.heads = nn.Sequential(*(nn.Conv2d(channels, 1, 1, bias=False) for _, channels in STAGES))
        convolutions = {k.removeprefix("features."): v for k, v in pretrained.items() if "features." in k}
        load_strictly(self.features, convolutions, f"backbone={str(backbone)!r}", "LPIPS", BACKBONE)
        renamed = {_ours(key): value for key, value in learnt.items()}
        load_strictly(self.heads, renamed, f"heads={str(heads)!r}", "LPIPS", HEADS)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)
        cells = sum(channels * (size // 2**number) ** 2 for number, (_, channels) in enumerate(STAGES))
        self.n_features = cells
        self.name = f"lpips-vgg-{size}px"
        self.preprocessing = f"bicubic antialias {size}, shift and scale"
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Vectors (N, n_features) float32 of images (N, 3, H, W) in [-1, 1]; 32 MB each at 256 pixels."""
        x = (resize(images.float(), self.size) - self.shift) / self.scale
        heads = [head.clamp(min=0) for head in self.heads.parameters()]
        found = []
        for number, stage in enumerate(_by_stage(self.features)):
            x = stage(x)
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            head = heads[number].view(1, -1, 1, 1)
            found.append((unit * (head / (x.shape[2] * x.shape[3])).sqrt()).flatten(1))
        return torch.cat(found, dim=1)


def _vgg_convolutions() -> nn.Sequential:
    """VGG-16 by torchvision's numbers, up to its last activation."""
    layers: list[nn.Module] = []
    width = 3
    for depth, channels in STAGES:
        layers += [nn.MaxPool2d(2, 2)] if layers else []
        for _ in range(depth):
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
    return nn.Sequential(*layers)


def _by_stage(layers: nn.Sequential) -> list[nn.Sequential]:
    """The layers up to relu1_2, from there to relu2_2, and so on."""
    starts = [0, *(number for number, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d))]
    ends = [*starts[1:], len(layers)]
    return [nn.Sequential(*list(layers)[start:end]) for start, end in zip(starts, ends, strict=True)]


def _ours(key: str) -> str:
    """'lin0.model.1.weight' of the file is '0.weight' here."""
    number, _, rest = key.removeprefix("lin").partition(".")
    return f"{number}.{rest.removeprefix('model.1.')}"
