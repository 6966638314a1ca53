"""Random changes of one image, on the data side. Every draw comes from the generator that is handed in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from toolbox.data.base import Image

Rng = np.random.Generator
_GREY = 127


class Transform(ABC):
    """Image to image; a subclass that makes several views overrides :meth:`apply`."""

    @abstractmethod
    def __call__(self, image: Image, rng: Rng) -> Image:
        """uint8 (H, W, 3) to uint8 (H, W, 3); may write to ``image``."""

    def apply(self, views: dict[str, Image], rng: Rng) -> None:
        """Change ``views['images']``, or add views to the item."""
        views["images"] = self(views["images"], rng)


class HorizontalFlip(Transform):
    """Mirrors left and right with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p={p}: a probability lies in [0, 1]")
        self.p = p

    def __call__(self, image: Image, rng: Rng) -> Image:
        return image[:, ::-1] if rng.random() < self.p else image


class WeakAugment(Transform):
    """Flip and shift (FixMatch, Sohn et al. 2020, section 2.3).

    Args:
        flip: probability of mirroring; 0 where left and right differ (letters, digits).
        shift: largest shift in each direction, as a share of the size; what comes in is mirrored at the edge.
    """

    def __init__(self, flip: float = 0.5, shift: float = 0.125) -> None:
        if not 0 <= shift < 1:
            raise ValueError(f"shift={shift}: a share of the image size lies in [0, 1)")
        self._flip, self.shift = HorizontalFlip(flip), shift

    def __call__(self, image: Image, rng: Rng) -> Image:
        image = self._flip(image, rng)
        height, width = image.shape[:2]
        pad = round(self.shift * max(height, width))
        top, left = rng.integers(0, 2 * pad + 1, size=2)
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        return padded[top:top + height, left:left + width]


class StrongAugment(Transform):
    """Weak augmentation, then random operations, then Cutout (FixMatch, section 2.3 and appendix D).

    Args:
        operations: how many, drawn with replacement from OPERATIONS, each with a random magnitude in its range.
        cutout: largest side of the grey square, as a share of the size; 0 = none.
        flip, shift: of the weak augmentation before it.
    """

    def __init__(self, operations: int = 2, cutout: float = 0.5, flip: float = 0.5, shift: float = 0.125) -> None:
        if operations < 0 or not 0 <= cutout <= 1:
            raise ValueError(f"operations={operations}, cutout={cutout}: at least 0, and a share in [0, 1]")
        self._weak, self.operations, self.cutout = WeakAugment(flip, shift), operations, cutout

    def __call__(self, image: Image, rng: Rng) -> Image:
        picture = Pillow.fromarray(np.ascontiguousarray(self._weak(image, rng)))
        for _ in range(self.operations):
            low, high, operation = OPERATIONS[_NAMES[rng.integers(len(_NAMES))]]
            picture = operation(picture, rng.uniform(low, high))
        return cut_out(np.array(picture), rng.uniform(0, self.cutout), rng)


class TwoViews(Transform):
    """Adds the views ``weak`` and ``strong`` of the image to the item; ``images`` stays as it is.

    Args:
        weak, strong: transforms or their configs; None: the defaults of WeakAugment and StrongAugment.
    """

    def __init__(self, weak: Transform | Mapping[str, Any] | None = None,
                 strong: Transform | Mapping[str, Any] | None = None) -> None:
        from toolbox.registry import build

        self.weak: Transform = WeakAugment() if weak is None else build(weak, "transform")
        self.strong: Transform = StrongAugment() if strong is None else build(strong, "transform")

    def __call__(self, image: Image, rng: Rng) -> Image:
        return image

    def apply(self, views: dict[str, Image], rng: Rng) -> None:
        image = views["images"]
        first, second = rng.spawn(2)
        views["weak"], views["strong"] = self.weak(image.copy(), first), self.strong(image.copy(), second)


def cut_out(image: Image, share: float, rng: Rng) -> Image:
    """A copy with a grey square of side ``share`` x size at a random centre, cut at the edges (DeVries 2017)."""
    height, width = image.shape[:2]
    side = round(share * min(height, width))
    top, left = (int(rng.integers(size)) - side // 2 for size in (height, width))
    image = image.copy()
    image[max(top, 0):max(top + side, 0), max(left, 0):max(left + side, 0)] = _GREY
    return image


def _affine(picture: Pillow.Image, *matrix: float) -> Pillow.Image:
    return picture.transform(picture.size, Pillow.Transform.AFFINE, matrix, Pillow.Resampling.BILINEAR,
                             fillcolor=(_GREY, _GREY, _GREY))


def _rotate(picture: Pillow.Image, degrees: float) -> Pillow.Image:
    return picture.rotate(degrees, Pillow.Resampling.BILINEAR, fillcolor=(_GREY, _GREY, _GREY))


# Name: range of the magnitude, operation (FixMatch, appendix D, table 12).
OPERATIONS: dict[str, tuple[float, float, Callable[[Pillow.Image, float], Pillow.Image]]] = {
    "autocontrast": (0, 1, lambda picture, _: ImageOps.autocontrast(picture)),
    "brightness": (0.05, 0.95, lambda picture, m: ImageEnhance.Brightness(picture).enhance(m)),
    "color": (0.05, 0.95, lambda picture, m: ImageEnhance.Color(picture).enhance(m)),
    "contrast": (0.05, 0.95, lambda picture, m: ImageEnhance.Contrast(picture).enhance(m)),
    "equalize": (0, 1, lambda picture, _: ImageOps.equalize(picture)),
    "identity": (0, 1, lambda picture, _: picture),
    "posterize": (4, 8, lambda picture, m: ImageOps.posterize(picture, int(m))),
    "rotate": (-30, 30, _rotate),
    "sharpness": (0.05, 0.95, lambda picture, m: ImageEnhance.Sharpness(picture).enhance(m)),
    "shear_x": (-0.3, 0.3, lambda picture, m: _affine(picture, 1, m, 0, 0, 1, 0)),
    "shear_y": (-0.3, 0.3, lambda picture, m: _affine(picture, 1, 0, 0, m, 1, 0)),
    "solarize": (0, 1, lambda picture, m: ImageOps.solarize(picture, int(256 * m))),
    "translate_x": (-0.3, 0.3, lambda picture, m: _affine(picture, 1, 0, m * picture.width, 0, 1, 0)),
    "translate_y": (-0.3, 0.3, lambda picture, m: _affine(picture, 1, 0, 0, 0, 1, m * picture.height)),
}
_NAMES = tuple(OPERATIONS)
