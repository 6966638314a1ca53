"""Portraits drawn from numbers, with the exact part of every pixel: a truth for segmenters, no download."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import Image, ImageSet, chosen_split, digest
from toolbox.data.drawn_captions import Traits, captions_of
from toolbox.data.drawn_styles import DRAWN_STYLES, Drawing, show
from toolbox.data.stream import generator
from toolbox.ranges import check_whole, given

PARTS = ("background", "clothes", "neck", "skin", "ear", "hair", "brow", "eye", "nose", "mouth", "hat")
STYLES = ("short hair", "long hair", "hat")
IMAGES = {"train": 8000, "test": 2000}
_RECIPE = 1  # raised whenever the same numbers give another picture
_STYLE_RECIPE = 1  # the same for styles and captions
_SPLIT_SEEDS = {"train": 0, "test": 1}

Plane = NDArray[np.float64]  # (H, W)
Color = NDArray[np.float64]  # (3,) RGB in [0, 1]

_SKINS = ((0.98, 0.86, 0.76), (0.93, 0.76, 0.62), (0.82, 0.62, 0.46), (0.62, 0.43, 0.30), (0.42, 0.28, 0.20))
_HAIRS = (
    (0.12, 0.10, 0.10),
    (0.33, 0.20, 0.12),
    (0.56, 0.36, 0.18),
    (0.88, 0.74, 0.42),
    (0.68, 0.28, 0.14),
    (0.68, 0.68, 0.70),
)
_HAIR_NAMES = ("black", "brown", "light brown", "blond", "red", "grey")
_MOUTHS: tuple[str, ...] = ("serious", "smiling")
_DARK = {"black": True, "brown": True, "blond": False, "grey": False}


class DrawnPortraits(ImageSet):
    """Head-and-shoulders portraits; class = hair style, factor 'mouth' (serious, smiling).

    Image i is a function of i. Position, pose, shape, light and colours vary; skin, hair, clothes and
    background have colours of their own in each image, so that a part is known by what it is, not by its
    colour. Not photographs and not meant to look like them.

    Args:
        split: 'train' or 'test', other portraits; ``train`` overrules it.
        image_size: pixels; parts are drawn at this size, not resized.
        images: how many; None: 8,000 or 2,000. A smaller set is the beginning of a larger one.
        cache: keep drawn images in memory (98 MB at 64 pixels).
        style: 'as drawn', 'pencil sketch', 'neon', 'watercolour', 'pixel art', 'comic' or 'black and white':
            the same portraits, another picture. Of a list, portrait i is in style i modulo its length, and
            'style' is a factor.
        captioned: give each portrait captions: a name of its style first, then sentences of several wordings.

    Attributes:
        part_names: what the numbers of :meth:`mask` mean; 0 is the background.
    """

    embedded = True
    part_names = PARTS

    def __init__(
        self,
        split: str = "train",
        train: bool | None = None,
        image_size: int = 64,
        images: int | None = None,
        cache: bool = True,
        style: str | Sequence[str] = "as drawn",
        captioned: bool = False,
    ) -> None:
        self.split = chosen_split(split, train)
        check_whole(1, **given(images=images))
        self.style, self._styles = style, _checked_styles(style)
        self.captioned = captioned
        n = IMAGES[self.split] if images is None else images
        faces = [_Portrait.draw(generator(_SPLIT_SEEDS[self.split], i)) for i in range(n)]
        self._portraits = faces
        factors, names = dict(mouth=[int(face.smile > 0) for face in faces]), dict(mouth=_MOUTHS)
        if len(self._styles) > 1:
            factors["style"], names["style"] = [i % len(self._styles) for i in range(n)], self._styles
        super().__init__(
            [face.style for face in faces],
            STYLES,
            image_size,
            _title(self._styles),
            factors=factors,
            factor_names=names,
            captions=[self._captions(i) for i in range(n)] if captioned else None,
            license="the toolbox's own",
        )
        self._cache: dict[int, Image] | None = {} if cache else None

    def image(self, i: int) -> Image:
        if self._cache is None:
            return self._picture(i)
        if i not in self._cache:
            self._cache[i] = self._picture(i)
        return self._cache[i].copy()

    def mask(self, i: int) -> NDArray[np.uint8]:
        """The part that covers most of each pixel of image i: uint8 (image_size, image_size)."""
        return self._portraits[i].paint(self.image_size).parts

    def fingerprint(self) -> str:
        plain = self._styles == ("as drawn",)
        more: list[object] = [] if plain else [(_STYLE_RECIPE, self._styles)]
        if self.captions is not None:
            more.append((_STYLE_RECIPE, "captioned"))
        return digest("drawn portraits", _RECIPE, self.split, len(self), self.image_size, *more)

    def _picture(self, i: int) -> Image:
        drawing = self._portraits[i].paint(self.image_size)
        rgb = show(drawing, self._style_of(i), generator(_SPLIT_SEEDS[self.split], i, 1))
        return np.rint(rgb * 255).astype(np.uint8)

    def _captions(self, i: int) -> list[str]:
        rng = generator(_SPLIT_SEEDS[self.split], i, 2)
        return captions_of(self._portraits[i].traits, self._style_of(i), rng)

    def _style_of(self, i: int) -> str:
        return self._styles[i % len(self._styles)]


def _checked_styles(style: str | Sequence[str]) -> tuple[str, ...]:
    styles = (style,) if isinstance(style, str) else tuple(style)
    unknown = [name for name in styles if name not in DRAWN_STYLES]
    if unknown or not styles:
        what = f"style={unknown[0]!r}" if unknown else "style is empty"
        raise ValueError(f"{what}: it is one of {', '.join(DRAWN_STYLES)}, or a list of them")
    return styles


def _title(styles: Sequence[str]) -> str:
    if styles == ("as drawn",):
        return "Drawn portraits (embedded)"
    said = styles[0] if len(styles) == 1 else f"{len(styles)} styles"
    return f"Drawn portraits, {said} (embedded)"


@dataclass(frozen=True)
class _Portrait:
    """The numbers of one portrait. Lengths are in half images: the image spans [-1, 1], y grows downwards."""

    style: int
    smile: float
    centre: tuple[float, float]
    head: tuple[float, float]  # half width, half height
    tilt: float  # radians
    turn: float  # of the face's features, sideways
    hairline: float  # share of the head's half height
    parting: float
    eyes: tuple[float, float]  # distance from the middle, half width
    brow_lift: float
    nose: float
    mouth: float
    shoulders: tuple[float, float]
    light: tuple[float, float]
    skin: Color
    hair: Color
    iris: Color
    clothes: Color
    hat: Color
    backdrop: tuple[Color, Color]  # at the top and at the bottom

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Portrait:
        width = rng.uniform(0.48, 0.56)
        angle = rng.uniform(0, 2 * np.pi)
        backdrop = rng.uniform(0.45, 0.95, 3)
        return cls(
            style=int(rng.choice(3, p=(0.4, 0.4, 0.2))),
            smile=rng.choice((-0.25, 1.0)) * rng.uniform(0.5, 1.0),
            centre=(rng.normal(0, 0.04), rng.normal(-0.04, 0.03)),
            head=(width, width * rng.uniform(1.12, 1.28)),
            tilt=rng.normal(0, 0.07),
            turn=rng.uniform(-0.09, 0.09),
            hairline=rng.uniform(0.45, 0.7),
            parting=rng.uniform(-0.4, 0.4),
            eyes=(width * rng.uniform(0.42, 0.5), rng.uniform(0.12, 0.145)),
            brow_lift=rng.uniform(0.18, 0.23),
            nose=rng.uniform(0.07, 0.1),
            mouth=rng.uniform(0.17, 0.24),
            shoulders=(rng.uniform(0.8, 1.0), rng.uniform(0.42, 0.52)),
            light=(0.22 * np.cos(angle), 0.12 * np.sin(angle)),
            skin=_between(rng, _SKINS),
            hair=_between(rng, _HAIRS),
            iris=rng.uniform(0.05, 0.45, 3),
            clothes=rng.uniform(0.1, 0.9, 3),
            hat=rng.uniform(0.1, 0.9, 3),
            backdrop=(backdrop, np.clip(backdrop + rng.uniform(-0.25, 0.25, 3), 0, 1)),
        )

    @property
    def traits(self) -> Traits:
        """What can be said of it."""
        nearest = int(((np.array(_HAIRS) - self.hair) ** 2).sum(axis=1).argmin())
        hair = _HAIR_NAMES[nearest]
        return Traits(STYLES[self.style], hair, _DARK.get(hair), self.smile > 0, self.clothes, self.hat)

    def paint(self, size: int) -> Drawing:
        """Layer over layer, each blended by the share of the pixel that it covers."""
        places = (np.arange(size) + 0.5) * 2 / size - 1  # centres of pixels in [-1, 1]
        y, x = np.meshgrid(places, places, indexing="ij")
        height = ((y + 1) / 2)[..., None]
        rgb = self.backdrop[0] * (1 - height) + self.backdrop[1] * height  # (H, W, 3)
        parts = np.zeros((size, size), dtype=np.uint8)
        edge, edge_of = np.full((size, size), np.inf), np.zeros((size, size), dtype=np.uint8)
        shade = (1 + self.light[0] * x + self.light[1] * y)[..., None]
        for part, depth, color in self._layers(x, y):
            pixels = depth * size / 2  # 0 at the edge
            cover = np.clip(0.5 - pixels, 0, 1)[..., None]
            rgb = rgb * (1 - cover) + np.clip(color * shade, 0, 1) * cover
            parts[cover[..., 0] > 0.5] = PARTS.index(part)
            nearest = (depth < 0) | (np.abs(depth) * 32 < edge)  # a layer hides the edges under it
            edge, edge_of = (
                np.where(nearest, np.abs(depth) * 32, edge),
                np.where(nearest, np.uint8(PARTS.index(part)), edge_of),
            )
        return Drawing(rgb, parts, edge, edge_of)

    def _layers(self, x: Plane, y: Plane) -> Iterator[tuple[str, Plane, Color]]:
        """(part, signed distance from its edge, negative inside, colour), from back to front."""
        cx, cy = self.centre
        a, b = self.head
        dx = x - cx
        dy = y - cy
        u = np.cos(self.tilt) * dx + np.sin(self.tilt) * dy  # along the head's width
        v = np.cos(self.tilt) * dy - np.sin(self.tilt) * dx
        if STYLES[self.style] == "long hair":
            behind = np.maximum(_ellipse(u, v - 0.18, 1.3 * a, 1.3 * b), v - 0.95)  # cut off below
            yield "hair", behind, self.hair * 0.85
        neck = np.maximum(np.abs(x - cx * 0.9) - 0.42 * a, cy - y)
        yield "neck", neck, self.skin * 0.82
        yield "clothes", _ellipse(x - cx * 0.6, y - 1.12, *self.shoulders), self.clothes
        for side in (-1, 1):
            yield "ear", _ellipse(u - side * a, v - 0.05, 0.11, 0.15), self.skin * 0.9
        yield "skin", _ellipse(u, v, a, b), self.skin
        yield from self._features(u - self.turn, v)
        yield from self._top(u, v, a, b)

    def _features(self, u: Plane, v: Plane) -> Iterator[tuple[str, Plane, Color]]:
        """Brows, eyes, nose and mouth; (0, 0) is the middle of the turned face."""
        apart, width = self.eyes
        for side in (-1, 1):
            e = u - side * apart
            bow = v + self.brow_lift + 1.5 * e**2
            yield "brow", _ellipse(e, bow, 1.25 * width, 0.042), self.hair * 0.7
            yield "eye", _ellipse(e, v, width, 0.085), np.full(3, 0.97)
            yield "eye", _ellipse(e - 0.3 * self.turn, v, 0.062, 0.068), self.iris
        yield "nose", _ellipse(u - 0.3 * self.turn, v - 0.2, self.nose, 0.1), self.skin * 0.78
        bend = v - 0.42 + 1.6 * self.smile * (u**2 - 0.015)
        yield "mouth", _ellipse(u, bend, self.mouth, 0.065), self.skin * np.array((0.85, 0.42, 0.42))

    def _top(self, u: Plane, v: Plane, a: float, b: float) -> Iterator[tuple[str, Plane, Color]]:
        """Hair above the hairline, or a hat over it."""
        hairline = v + self.hairline * b - 0.9 * (u - self.parting * a) ** 2
        yield "hair", np.maximum(_ellipse(u, v, 1.1 * a, 1.12 * b), hairline), self.hair
        if STYLES[self.style] == "hat":
            crown = np.maximum(_ellipse(u, v + 0.3 * b, 1.12 * a, 0.9 * b), v + 0.5 * b)
            brim = _ellipse(u, v + 0.5 * b, 1.35 * a, 0.085)
            yield "hat", np.minimum(crown, brim), self.hat


def _ellipse(x: Plane, y: Plane, a: float, b: float) -> Plane:
    """Signed distance from an ellipse with half axes a and b, to first order at its edge: f / |grad f|."""
    near = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    slope = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2)
    return near * (near - 1) / np.maximum(slope, 1e-12)


def _between(rng: np.random.Generator, colors: tuple[tuple[float, float, float], ...]) -> Color:
    """A colour between two neighbours of a list."""
    place = rng.uniform(0, len(colors) - 1)
    first = int(place)
    share = place % 1
    return (1 - share) * np.array(colors[first]) + share * np.array(colors[first + 1])
