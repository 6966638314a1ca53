"""Frozen networks by whose maps images are compared: VGG-19 of a file, and a small one that is shipped."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from toolbox.models.classifiers import Normalise
from toolbox.models.extractors import resize
from toolbox.models.judge_embedded import PortraitJudge
from toolbox.weights.errors import WeightsError, misfits
from toolbox.weights.reading import read_weights

FILE = "vgg19-dcbb9e9d.pth of download.pytorch.org/models (ImageNet, 548 MB)"
_ENDS = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, ... by torchvision's numbers
_CONVOLUTIONS = ((2, 64), (2, 128), (4, 256), (4, 512), (1, 512))  # up to relu5_1


class PerceptualMaps(nn.Module):
    """Images to a list of maps, frozen.

    Attributes:
        layer_weights: of each map, in a sum of distances.
    """

    layer_weights: tuple[float, ...]

    def train(self, mode: bool = True) -> PerceptualMaps:
        """Stays in eval mode: it is never trained."""
        return super().train(False)

    def freeze(self) -> None:
        """Last line of a constructor."""
        self.requires_grad_(False).eval()


class VGG19Maps(PerceptualMaps):
    """relu1_1 to relu5_1 of VGG-19 of ImageNet, with the weights 1/32, 1/16, 1/8, 1/4, 1 (Wang et al. 2018).

    Args:
        weights: torchvision's ``vgg19-dcbb9e9d.pth``; None gives random ones, for measurements of time only.

    Raises:
        WeightsError: for a file that is not there or does not fit, saying which it should be.
    """

    layer_weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)

    def __init__(self, weights: str | Path | None) -> None:
        super().__init__()
        self.normalise = Normalise("imagenet")
        self.features = _convolutions()
        if weights is not None:
            self._load(Path(weights))
        self.freeze()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Five maps (N, C, h, w) of images (N, 3, H, W) in [-1, 1]."""
        x = self.normalise(images)
        found = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in _ENDS:
                found.append(x)
        return found

    def _load(self, path: Path) -> None:
        if not path.is_file():
            raise WeightsError(f"VGG19Maps: weights={str(path)!r}: no such file; it takes {FILE}")
        wanted = self.features.state_dict()
        found = read_weights(path).state_dict()
        own = {key.removeprefix("features."): v for key, v in found.items() if key.startswith("features.")}
        kept = {key: value for key, value in own.items() if key in wanted}
        if problems := misfits(kept, wanted):
            raise WeightsError(f"VGG19Maps: weights={str(path)!r} does not fit: {problems}; it takes {FILE}")
        self.features.load_state_dict(kept)


class PortraitMaps(PerceptualMaps):
    """A stand-in for VGG-19 where there is no file: four blocks of :class:`PortraitJudge`, at 64 pixels.

    It knows drawn portraits and nothing else.
    """

    layer_weights = (1 / 8, 1 / 4, 1 / 2, 1.0)

    def __init__(self) -> None:
        super().__init__()
        judge = PortraitJudge()
        self.size = judge.size
        self.blocks = judge.network.blocks
        self.freeze()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Four maps (N, C, h, w) of images (N, 3, H, W) in [-1, 1]."""
        x = resize(images, self.size)
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found


def _convolutions() -> nn.Sequential:
    """VGG-19 up to relu5_1, by torchvision's numbers."""
    layers: list[nn.Module] = []
    width = 3
    for depth, channels in _CONVOLUTIONS:
        layers += [nn.MaxPool2d(2, 2)] if layers else []
        for _ in range(depth):
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
    return nn.Sequential(*layers)
