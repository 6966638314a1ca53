"""Image classifiers: the Wide ResNet of semi-supervised learning, and a small network for the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.models.layers import near
from toolbox.ranges import check_probability, check_whole

NORMALISATIONS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "none": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and standard deviation of the channels of images in [0, 1]; 'none' leaves [-1, 1] as it is."""


class Normalise(nn.Module):
    """Images in [-1, 1] to zero mean and unit variance a channel: ((x + 1) / 2 - mean) / std.

    Args:
        statistics: a name out of ``NORMALISATIONS``, or dict(mean=[r, g, b], std=[r, g, b]) of images in [0,
            1].

    Raises:
        ValueError: for an unknown name, or numbers that are not three (positive) ones.
    """

    def __init__(self, statistics: str | Mapping[str, Sequence[float]] = "none") -> None:
        super().__init__()
        mean, std = (torch.tensor(list(values), dtype=torch.float32) for values in _statistics(statistics))
        finite = torch.cat([mean, std]).isfinite().all()
        if mean.shape != (3,) or std.shape != (3,) or not finite or (std <= 0).any():
            raise ValueError(
                f"normalisation={statistics!r}: mean and std need three numbers each, std above 0"
            )
        self.scale: Tensor
        self.shift: Tensor
        # ((x + 1) / 2 - mean) / std = x scale + shift
        self.register_buffer("scale", (0.5 / std).view(3, 1, 1), persistent=False)
        self.register_buffer("shift", ((0.5 - mean) / std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> the same shape."""
        return images * self.scale + self.shift


def _statistics(given: str | Mapping[str, Sequence[float]]) -> tuple[Sequence[float], Sequence[float]]:
    if isinstance(given, Mapping):
        if set(given) != {"mean", "std"}:
            raise ValueError(f"normalisation has keys {sorted(given)}, expected 'mean' and 'std'")
        return given["mean"], given["std"]
    if given not in NORMALISATIONS:
        raise ValueError(
            f"normalisation={given!r} is not known; choose from {list(NORMALISATIONS)}, or give "
            f"dict(mean=[...], std=[...]){near(given, NORMALISATIONS)}"
        )
    return NORMALISATIONS[given]


class WideBlock(nn.Module):
    """BN, leaky ReLU, conv3x3, BN, leaky ReLU, conv3x3, and the skip (Zagoruyko & Komodakis 2016, fig. 1)."""

    def __init__(self, inputs: int, outputs: int, stride: int, activate_skip: bool, momentum: float) -> None:
        super().__init__()
        self.activate_skip = activate_skip
        self.bn1 = nn.BatchNorm2d(inputs, momentum=momentum)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, momentum=momentum)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        active = F.leaky_relu(self.bn1(x), 0.1)
        main = self.conv1(active)  # (N, outputs, H / stride, W / stride)
        main = self.conv2(F.leaky_relu(self.bn2(main), 0.1))
        return main + self.skip(active if self.activate_skip else x)


class WideResNet(nn.Module):
    """Wide ResNet as FixMatch uses it: leaky ReLU 0.1, the very first skip activated.

    Sohn et al. 2020, appendix B. WRN-28-2 has 1.47 M parameters for 10 classes.

    Args:
        depth: 6 n + 4 layers.
        width: channels are 16, 16 w, 32 w, 64 w.
        n_classes: number of logits.
        normalisation: see :class:`Normalise`.
        bn_momentum: FixMatch runs 2^20 steps with 0.001, which short runs cannot afford.

    Raises:
        ValueError: for a depth that is not 6 n + 4.
    """

    def __init__(
        self,
        depth: int = 28,
        width: int = 2,
        n_classes: int = 10,
        normalisation: str | Mapping[str, Sequence[float]] = "cifar10",
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        check_whole(1, depth=depth, width=width, n_classes=n_classes)
        check_probability(bn_momentum=bn_momentum)
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth={depth} is not 6 n + 4: take {max(depth - 4, 6) // 6 * 6 + 4}")
        blocks_a_stage = (depth - 4) // 6
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.n_classes = n_classes
        self.n_features = widths[-1]
        self.normalise = Normalise(normalisation)
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            first = stage == 0
            stride = 1 if first else 2
            blocks.append(WideBlock(inputs, outputs, stride, first, bn_momentum))
            blocks += [WideBlock(outputs, outputs, 1, False, bn_momentum) for _ in range(blocks_a_stage - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(widths[-1], momentum=bn_momentum)
        self.head = nn.Linear(widths[-1], n_classes)
        _initialise(self)

    def features(self, images: Tensor) -> Tensor:
        """(N, n_features): pooled activations before the last layer, of images (N, 3, H, W) in [-1, 1]."""
        x = self.blocks(self.stem(self.normalise(images)))  # (N, n_features, H / 4, W / 4)
        return F.leaky_relu(self.bn(x), 0.1).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, H, W) in [-1, 1]."""
        return self.head(self.features(images))


class SmallConvNet(nn.Module):
    """Three blocks of conv3x3, BN, leaky ReLU, 2x2 mean; about 95,000 parameters: quick on a CPU.

    Args:
        n_classes: number of logits.
        channels: of the first block; the next have twice and four times as many.
        normalisation: see :class:`Normalise`.
    """

    def __init__(
        self,
        n_classes: int = 10,
        channels: int = 32,
        normalisation: str | Mapping[str, Sequence[float]] = "none",
    ) -> None:
        super().__init__()
        check_whole(1, n_classes=n_classes, channels=channels)
        widths = [3, channels, 2 * channels, 4 * channels]
        self.n_classes = n_classes
        self.n_features = widths[-1]
        self.normalise = Normalise(normalisation)
        self.blocks = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            self.blocks.append(_block(inputs, outputs))
        self.head = nn.Linear(widths[-1], n_classes)
        _initialise(self)

    def features(self, images: Tensor) -> Tensor:
        """(N, n_features): pooled activations before the last layer, of images (N, 3, H, W) in [-1, 1]."""
        return self.blocks(self.normalise(images)).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, H, W) in [-1, 1]; height and width at least 8."""
        return self.head(self.features(images))


class PlacedConvNet(nn.Module):
    """Four blocks of conv3x3, BN, leaky ReLU, 2x2 mean, then a layer over all places.

    For aligned images: where something is counts, not only that it is there.

    Args:
        n_classes: number of logits.
        image_size: height = width of the images, a multiple of 16.
        channels: of the first block; the next have two, four and four times as many.
        n_features: width of the layer before the logits.
    """

    def __init__(
        self, n_classes: int = 10, image_size: int = 64, channels: int = 16, n_features: int = 64
    ) -> None:
        super().__init__()
        check_whole(1, n_classes=n_classes, channels=channels, n_features=n_features)
        check_whole(16, image_size=image_size)
        if image_size % 16:
            raise ValueError(f"image_size={image_size} must be a multiple of 16")
        self.n_classes, self.n_features, self.image_size = n_classes, n_features, image_size
        widths = [3, channels, 2 * channels, 4 * channels, 4 * channels]
        self.blocks = nn.Sequential(*(_block(inputs, outputs) for inputs, outputs in pairwise(widths)))
        self.places = nn.Sequential(
            nn.Linear(widths[-1] * (image_size // 16) ** 2, n_features),
            nn.BatchNorm1d(n_features),
            nn.LeakyReLU(0.1),
        )
        self.head = nn.Linear(n_features, n_classes)
        _initialise(self)

    def features(self, images: Tensor) -> Tensor:
        """(N, n_features): activations before the last layer, of images (N, 3, image_size, image_size)."""
        return self.places(self.blocks(images).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, image_size, image_size) in [-1, 1]."""
        return self.head(self.features(images))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
    )


def _initialise(network: nn.Module) -> None:
    """He initialisation for leaky ReLU 0.1; Glorot for the head, as in FixMatch."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.1, mode="fan_out", nonlinearity="leaky_relu")
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
