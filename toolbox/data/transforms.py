"""Random changes of one image, on the data side. Every draw comes from the generator that is handed in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from toolbox.data.base import Image
from toolbox.interfaces.described import Described
from toolbox.ranges import check_in, check_not_negative, check_probability, check_whole

Rng = np.random.Generator
MASK = "mask"  # the view that holds the parts of the image's pixels
_GREY = 127
_BILINEAR = Pillow.Resampling.BILINEAR


class Transform(Described, ABC):
    """Image to image; a subclass that makes several views overrides :meth:`apply`.

    Attributes:
        keeps_masks: afterwards, the mask among the views still fits the image: no pixel was moved, or the
            mask's too.
    """

    keeps_masks: bool = False

    @abstractmethod
    def __call__(self, image: Image, rng: Rng) -> Image:
        """uint8 (H, W, 3) to uint8 (H, W, 3); may write to ``image``."""

    def apply(self, views: dict[str, Image], rng: Rng) -> None:
        """Change ``views['images']``, or add views to the item."""
        views["images"] = self(views["images"], rng)


class PixelMover(Transform):
    """Puts whole pixels elsewhere, whatever they hold: (H, W, C) for any C.

    The mask goes along as a fourth channel.
    """

    keeps_masks = True

    def apply(self, views: dict[str, Image], rng: Rng) -> None:
        if MASK not in views:
            return super().apply(views, rng)
        # one call for both, so that they see the same draws
        both = self(np.dstack([views["images"], views[MASK]]), rng)
        views["images"] = both[..., :3]
        views[MASK] = both[..., 3]


class HorizontalFlip(PixelMover):
    """Mirrors left and right with probability ``p``.

    Args:
        p: probability.
        swap: pairs of parts that a mirrored mask exchanges, such as [[3, 4]] for a left and a right eye.

    Raises:
        ValueError: for a part that is in two pairs, or no pairs of whole numbers.
    """

    def __init__(self, p: float = 0.5, swap: Sequence[Sequence[int]] = ()) -> None:
        check_probability(p=p)
        self.p = p
        self.swap = tuple(tuple(pair) for pair in swap)
        self._table = _swap_table(swap)

    def __call__(self, image: Image, rng: Rng) -> Image:
        """A mask as a fourth channel is mirrored, and its parts exchanged."""
        if rng.random() >= self.p:
            return image
        image = image[:, ::-1]
        if not self.swap or image.shape[2] < 4:
            return image
        return np.concatenate([image[..., :3], self._table[image[..., 3:]]], axis=2)


class ShorterSide(Transform):
    """Brings the shorter side to ``size`` pixels, and the other along (Pillow's antialiased bilinear).

    Args:
        size: pixels.
    """

    def __init__(self, size: int) -> None:
        check_whole(1, size=size)
        self.size = size

    def __call__(self, image: Image, rng: Rng) -> Image:
        height, width = image.shape[:2]
        short = min(height, width)
        if short == self.size:
            return image
        sides = int(self.size * width / short), int(self.size * height / short)
        return np.array(Pillow.fromarray(np.ascontiguousarray(image)).resize(sides, _BILINEAR))


class RandomCrop(PixelMover):
    """A square of ``size`` x ``size`` pixels at a random place.

    Args:
        size: pixels; images must have as many on both sides.
    """

    def __init__(self, size: int) -> None:
        check_whole(1, size=size)
        self.size = size

    def __call__(self, image: Image, rng: Rng) -> Image:
        height, width = image.shape[:2]
        if min(height, width) < self.size:
            raise ValueError(
                f"a crop of {self.size} pixels from an image of {width} x {height}: put ShorterSide before it"
            )
        top, left = rng.integers(0, [height - self.size + 1, width - self.size + 1])
        return image[top : top + self.size, left : left + self.size]


class SmallerSizes(Transform):
    """Adds the views ``images64``, ``images128`` and so on: the image at these sizes (Pillow's bilinear).

    Args:
        sizes: pixels, smaller than the image.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        for size in sizes:
            check_whole(1, sizes=size)
        self.sizes = tuple(sizes)

    def __call__(self, image: Image, rng: Rng) -> Image:
        return image

    def apply(self, views: dict[str, Image], rng: Rng) -> None:
        picture = Pillow.fromarray(np.ascontiguousarray(views["images"]))
        for size in self.sizes:
            views[f"images{size}"] = np.array(picture.resize((size, size), _BILINEAR))


class WeakAugment(PixelMover):
    """Flip and shift (FixMatch, Sohn et al. 2020, section 2.3).

    Args:
        flip: probability of mirroring; 0 where left and right differ (letters, digits).
        shift: largest shift in each direction, as a share of the size; what comes in is mirrored at the edge.
        swap: see :class:`HorizontalFlip`.
    """

    def __init__(self, flip: float = 0.5, shift: float = 0.125, swap: Sequence[Sequence[int]] = ()) -> None:
        check_probability(flip=flip)
        check_in("[0, 1)", shift=shift)
        self._flip = HorizontalFlip(flip, swap)
        self.shift = shift

    def __call__(self, image: Image, rng: Rng) -> Image:
        image = self._flip(image, rng)
        height, width = image.shape[:2]
        pad = round(self.shift * max(height, width))
        top, left = rng.integers(0, 2 * pad + 1, size=2)  # pad = no shift
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        return padded[top : top + height, left : left + width]


class StrongAugment(Transform):
    """Weak augmentation, then random operations, then Cutout (FixMatch, section 2.3 and appendix D).

    Args:
        operations: how many, drawn with replacement from OPERATIONS, each with a random magnitude in its
            range.
        cutout: largest side of the grey square, as a share of the size; 0 = none.
        flip, shift: of the weak augmentation before it.
    """

    def __init__(
        self, operations: int = 2, cutout: float = 0.5, flip: float = 0.5, shift: float = 0.125
    ) -> None:
        check_whole(0, operations=operations)
        check_probability(cutout=cutout)
        self._weak = WeakAugment(flip, shift)
        self.operations = operations
        self.cutout = cutout

    def __call__(self, image: Image, rng: Rng) -> Image:
        picture = Pillow.fromarray(np.ascontiguousarray(self._weak(image, rng)))
        for _ in range(self.operations):
            name = _NAMES[rng.integers(len(_NAMES))]
            low, high, operation = OPERATIONS[name]
            picture = operation(picture, rng.uniform(low, high))
        return cut_out(np.array(picture), rng.uniform(0, self.cutout), rng)


class TwoViews(Transform):
    """Adds the views ``weak`` and ``strong`` of the image to the item; ``images`` stays as it is.

    Args:
        weak, strong: transforms or their configs; None: the defaults of WeakAugment and StrongAugment.
    """

    def __init__(
        self,
        weak: Transform | Mapping[str, Any] | None = None,
        strong: Transform | Mapping[str, Any] | None = None,
    ) -> None:
        from toolbox.registry import build

        self.weak: Transform = WeakAugment() if weak is None else build(weak, "transform")
        self.strong: Transform = StrongAugment() if strong is None else build(strong, "transform")

    def __call__(self, image: Image, rng: Rng) -> Image:
        return image

    def apply(self, views: dict[str, Image], rng: Rng) -> None:
        image = views["images"]
        first, second = rng.spawn(2)
        views["weak"] = self.weak(image.copy(), first)
        views["strong"] = self.strong(image.copy(), second)


class PhotometricDistortion(Transform):
    """Brightness, contrast, saturation and hue, each changed with probability ``p`` (KLiSH, sec. 4.1).

    Args:
        brightness: largest shift, of 255.
        contrast, saturation: largest relative change.
        hue: largest turn, in degrees.
        p: of each change (0.5 is meant; the authors' draws come to 2/3).

    Raises:
        ValueError: for a number out of its range.
    """

    keeps_masks = True

    def __init__(
        self,
        brightness: float = 32,
        contrast: float = 0.5,
        saturation: float = 0.5,
        hue: float = 18,
        p: float = 0.5,
    ) -> None:
        check_in("[0, 255]", brightness=brightness)
        check_in("[0, 180]", hue=hue)
        check_probability(contrast=contrast, saturation=saturation, p=p)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.p = p

    def __call__(self, image: Image, rng: Rng) -> Image:
        on = rng.random(4) < self.p  # all draws are made, whatever is on: the stream of numbers stays in step
        largest = (self.brightness, self.contrast, self.saturation, self.hue)
        shift, gain, color, turn = rng.uniform(-1, 1, 4) * largest
        pixels = image.astype(np.float64)
        if on[0]:
            pixels = pixels + shift
        if on[1]:
            pixels = pixels * (1 + gain)
        if on[2] or on[3]:
            pixels = pixels @ _chroma_matrix(1 + color * on[2], turn * on[3]).T
        return np.rint(pixels.clip(0, 255)).astype(np.uint8)


class BlurAndNoise(Transform):
    """A Gaussian blur, then Gaussian noise, of random strengths: generated images have them, drawn ones not.

    Args:
        blur: largest standard deviation, in pixels.
        noise: largest standard deviation, of 255.

    Raises:
        ValueError: for a negative number.
    """

    keeps_masks = True

    def __init__(self, blur: float = 1.0, noise: float = 10.0) -> None:
        check_not_negative(blur=blur, noise=noise)
        self.blur, self.noise = blur, noise

    def __call__(self, image: Image, rng: Rng) -> Image:
        from scipy.ndimage import gaussian_filter

        blur, noise = rng.uniform(0, 1, 2) * (self.blur, self.noise)
        pixels = gaussian_filter(image.astype(np.float32), (blur, blur, 0), mode="nearest")
        pixels = pixels + np.float32(noise) * rng.standard_normal(image.shape, dtype=np.float32)
        return np.rint(pixels.clip(0, 255)).astype(np.uint8)


def check_keeps_masks(transforms: Sequence[Transform]) -> None:
    """Refuse transforms that would move an image's pixels and leave its mask where it was.

    Raises:
        ValueError: naming the transform, and those that can be had.
    """
    for transform in transforms:
        if not transform.keeps_masks:
            raise ValueError(
                f"{type(transform).__name__} does not take masks along (keeps_masks=False): leave it out, or "
                "take HorizontalFlip, WeakAugment, PhotometricDistortion or BlurAndNoise"
            )


def _swap_table(swap: Sequence[Sequence[int]]) -> np.ndarray:
    """(256,) uint8: which part each part becomes in a mirror."""
    parts = [part for pair in swap for part in pair]
    fine = all(isinstance(part, int) and not isinstance(part, bool) and 0 <= part < 256 for part in parts)
    if not fine or any(len(pair) != 2 for pair in swap) or len(set(parts)) < len(parts):
        raise ValueError(
            f"swap={[list(pair) for pair in swap]!r} must be pairs of parts, such as [[3, 4], [5, 6]], each "
            "part (0 to 255) once"
        )
    table = np.arange(256, dtype=np.uint8)
    for left, right in swap:
        table[[left, right]] = right, left
    return table


def _chroma_matrix(saturation: float, degrees: float) -> np.ndarray:
    """(3, 3) on RGB: colour differences (YIQ's I and Q) turned and scaled, brightness kept."""
    from_rgb = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    cos = saturation * np.cos(np.radians(degrees))
    sin = saturation * np.sin(np.radians(degrees))
    turned = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.linalg.inv(from_rgb) @ turned @ from_rgb


def cut_out(image: Image, share: float, rng: Rng) -> Image:
    """A copy with a grey square of side ``share`` x size at a random place, cut at edges (DeVries 2017)."""
    height, width = image.shape[:2]
    side = round(share * min(height, width))
    top = int(rng.integers(height)) - side // 2
    left = int(rng.integers(width)) - side // 2
    image = image.copy()
    image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = _GREY
    return image


def _affine(picture: Pillow.Image, *matrix: float) -> Pillow.Image:
    return picture.transform(
        picture.size,
        Pillow.Transform.AFFINE,
        matrix,
        Pillow.Resampling.BILINEAR,
        fillcolor=(_GREY, _GREY, _GREY),
    )


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
