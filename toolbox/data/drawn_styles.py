"""Styles in which a drawn portrait can be shown: functions of its colours, parts and edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]  # (H, W)
Picture = NDArray[np.float64]  # (H, W, 3) RGB in [0, 1]

_LUMA = np.array((0.299, 0.587, 0.114))
_PAPER = np.array((0.98, 0.97, 0.94))
_NIGHT = np.array((0.05, 0.02, 0.12))
_TUBES = np.array(  # colours of neon tubes, by part
    (
        (0.3, 0.3, 1.0),  # background: never an edge of its own
        (0.2, 0.55, 1.0),  # clothes
        (1.0, 0.35, 0.75),  # neck
        (1.0, 0.3, 0.7),  # skin
        (1.0, 0.35, 0.75),  # ear
        (0.1, 1.0, 0.85),  # hair
        (0.75, 0.4, 1.0),  # brow
        (0.95, 0.95, 0.35),  # eye
        (1.0, 0.5, 0.25),  # nose
        (1.0, 0.15, 0.25),  # mouth
        (0.35, 1.0, 0.25),  # hat
    )
)


@dataclass(frozen=True)
class Drawing:
    """A portrait as it was drawn, before it is a picture in a style.

    Attributes:
        rgb: (H, W, 3) in [0, 1].
        parts: (H, W) number of the part that each pixel shows.
        edge: (H, W) distance from the nearest edge that is seen, in 64ths of the image.
        edge_of: (H, W) number of the part that this edge bounds.
    """

    rgb: Picture
    parts: NDArray[np.uint8]
    edge: Plane
    edge_of: NDArray[np.uint8]

    @property
    def unit(self) -> float:
        """Pixels of a 64th of the image."""
        return len(self.edge) / 64

    @property
    def grey(self) -> Plane:
        """(H, W) luminance in [0, 1]."""
        grey: Plane = self.rgb @ _LUMA
        return grey

    def line(self, width: float) -> Plane:
        """(H, W) share of each pixel that a line along all edges covers; width in 64ths of the image."""
        reach = 0.5 / self.unit  # half a pixel
        return np.clip((width / 2 + reach - self.edge) / (2 * reach), 0, 1)


Style = Callable[[Drawing, np.random.Generator], Picture]


def show(drawing: Drawing, style: str, rng: np.random.Generator) -> Picture:
    """(H, W, 3) RGB in [0, 1]: the drawing in one of ``DRAWN_STYLES``; ``rng`` makes paper and strokes."""
    return np.clip(_STYLES[style](drawing, rng), 0, 1)


def as_drawn(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Flat colours under one light."""
    return drawing.rgb


def pencil_sketch(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Grey strokes on paper: outlines of uneven pressure, and hatching where it is dark."""
    size = len(drawing.edge)
    y, x = np.mgrid[:size, :size] / drawing.unit
    pressure = 0.75 + 0.35 * _clouds(rng, size, 6)
    outline = drawing.line(0.9) * np.clip(pressure, 0.3, 1)
    shade = 1 - drawing.grey
    wobble = 1.2 * _clouds(rng, size, 5)
    strokes = 0.5 + 0.5 * np.sin((x + y + wobble) * 2 * np.pi / 4)
    crossing = 0.5 + 0.5 * np.sin((x - y + wobble) * 2 * np.pi / 4)
    hatching = shade * (0.35 + 0.65 * strokes) + np.clip(shade - 0.5, 0, 1) * crossing
    ink = np.maximum(0.85 * outline, 0.62 * np.clip(hatching - 0.1, 0, 1))
    grain = 0.03 * rng.standard_normal((size, size))
    return _PAPER * (1 - np.clip(ink + grain, 0, 0.92))[..., None]


def neon(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Glowing tubes along the edges, before the night."""
    tube = drawing.line(1.2)[..., None]
    light = _TUBES[drawing.edge_of] * tube
    glow = 2.2 * _blurred(light, 2.2 * drawing.unit) + 1.2 * _blurred(light, 5 * drawing.unit)
    wall = _NIGHT + 0.08 * drawing.rgb
    lit = 1 - (1 - np.clip(wall, 0, 1)) * np.exp(-glow)
    core = _TUBES[drawing.edge_of] * 0.65 + 0.35
    return lit * (1 - tube) + core * tube


def watercolour(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Washes of thin paint that run beyond the edges, dry darker at them, and leave paper around."""
    size, unit = len(drawing.edge), drawing.unit
    y, x = np.mgrid[:size, :size].astype(np.float64)
    run = 1.6 * unit
    places = (y + run * _clouds(rng, size, 9), x + run * _clouds(rng, size, 9))
    wash = _blurred(_read(drawing.rgb, places), 0.9 * unit)
    rim = np.exp(-((_read(drawing.edge, places) / 1.3) ** 2))
    water = 0.62 + 0.3 * _clouds(rng, size, 5) + 0.3 * rim
    paint = _painted(rng, size)
    grain = 1 + 0.06 * rng.standard_normal((size, size))
    thickness = np.clip(water * grain, 0.15, 1.1) * paint
    vivid = _saturated(wash, 1.35)
    return _PAPER * (1 - thickness[..., None] * (1 - vivid))


def pixel_art(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Large square pixels of few strong colours, each of the part that fills most of it."""
    size = len(drawing.edge)
    cells = min(size, 16)
    of = np.arange(size) * cells // size  # the cell of each row and column
    where = (of[:, None] * cells + of).ravel()
    part = drawing.parts.ravel().astype(np.int64)
    kinds = int(part.max()) + 1
    counts = np.bincount(where * kinds + part, minlength=cells * cells * kinds).reshape(-1, kinds)
    kept = counts.argmax(axis=1)[where] == part
    sums = [np.bincount(where[kept], drawing.rgb[..., c].ravel()[kept]) for c in range(3)]
    means = np.stack(sums, axis=1) / counts.max(axis=1)[:, None]
    few = np.round(np.clip(_saturated(means, 1.5), 0, 1) * 5) / 5
    return few[where].reshape(size, size, 3)


def comic(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Strong flat colours inside black outlines, a dotted background."""
    size = len(drawing.edge)
    y, x = np.mgrid[:size, :size] / drawing.unit
    flat = np.round(np.clip(_saturated(drawing.rgb, 2.2) * 1.08, 0, 1) * 3) / 3
    flat = 0.1 + 0.9 * flat
    away = np.hypot((x + y) % 4 - 2, (x - y) % 4 - 2)
    dots = np.clip(1.7 - away, 0, 1) * (drawing.parts == 0)
    dotted = flat * (1 - dots[..., None]) + np.array((1.0, 0.95, 0.35)) * dots[..., None]
    return dotted * (1 - drawing.line(2.0))[..., None]


def black_and_white(drawing: Drawing, rng: np.random.Generator) -> Picture:
    """Greys of strong contrast, darker corners, the grain of a film."""
    size = len(drawing.edge)
    y, x = (np.mgrid[:size, :size] + 0.5) * 2 / size - 1
    strong = 0.5 + 0.5 * np.tanh(2.6 * (drawing.grey - 0.52)) / np.tanh(1.25)
    corners = 1 - 0.3 * np.clip(np.hypot(x, y) - 0.6, 0, 1)
    grain = 0.035 * rng.standard_normal((size, size))
    grey = np.clip(strong * corners + grain, 0, 1)
    return np.repeat(grey[..., None], 3, axis=2)


_STYLES: dict[str, Style] = {
    "as drawn": as_drawn,
    "pencil sketch": pencil_sketch,
    "neon": neon,
    "watercolour": watercolour,
    "pixel art": pixel_art,
    "comic": comic,
    "black and white": black_and_white,
}
DRAWN_STYLES = tuple(_STYLES)


def _clouds(rng: np.random.Generator, size: int, cells: int) -> Plane:
    """(size, size) smooth noise, mostly in [-1, 1]: random values on a grid, cubic curves between."""
    from scipy.ndimage import map_coordinates

    grid = rng.uniform(-1, 1, (cells + 3, cells + 3))
    places = 1 + np.arange(size) * cells / size
    y, x = np.meshgrid(places, places, indexing="ij")
    smooth: Plane = map_coordinates(grid, (y, x), order=3, mode="nearest")
    return smooth


def _read(values: Picture | Plane, places: tuple[Plane, Plane]) -> Picture:
    """Values at other places than the pixels' own, linear between pixels."""
    from scipy.ndimage import map_coordinates

    if values.ndim == 2:
        read: Picture = map_coordinates(values, places, order=1, mode="nearest")
        return read
    return np.stack([_read(values[..., c], places) for c in range(values.shape[2])], axis=-1)


def _blurred(picture: Picture, sigma: float) -> Picture:
    from scipy.ndimage import gaussian_filter

    blurred: Picture = gaussian_filter(picture, (sigma, sigma, 0), mode="nearest")
    return blurred


def _saturated(picture: Picture, factor: float) -> Picture:
    """Colours further from grey."""
    grey = (picture @ _LUMA)[..., None]
    return grey + factor * (picture - grey)


def _painted(rng: np.random.Generator, size: int) -> Plane:
    """(size, size) 1 where the brush went, 0 at the uneven border of the sheet."""
    places = (np.arange(size) + 0.5) * 2 / size - 1
    y, x = np.meshgrid(places, places, indexing="ij")
    round_square = (np.abs(x) ** 6 + np.abs(y) ** 6) ** (1 / 6)
    return np.clip((0.9 + 0.09 * _clouds(rng, size, 7) - round_square) * 16 + 0.5, 0, 1)
