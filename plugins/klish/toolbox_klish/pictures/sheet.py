"""Sheets of small images: named rows under each other, in blocks with headings, a legend at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toolbox.data.base import to_uint8
from toolbox.visual.grids import FAINT, INK, PAPER, Picture, save_picture
from toolbox_klish.pictures.palette import Colours
from toolbox_klish.pictures.shown import Shown

# pixels
_MARGIN = 12
_GAP = 3  # between tiles
_GROUP_GAP = 22
_TITLE = 20  # heights of texts
_HEADING = 17
_TEXT = 15
_SWATCH = 16  # of the legend
_LINE = 24
_WIDEST = 1560  # all tiles of a row together
_TILES = (64, 144)  # least and most of one tile

Draw = Callable[[Any, Any, int], None]  # of an image, its pen, and the height to draw at


class Sheet:
    """A picture that is filled from top to bottom and then saved.

    Args:
        columns: tiles of a row; several numbers for groups with a gap between them.
        title: line above all.
        size: pixels of the maps that will be shown: tiles are a whole multiple of them where that fits.
    """

    def __init__(self, columns: int | Sequence[int], title: str = "", size: int = 64) -> None:
        self.groups = [columns] if isinstance(columns, int) else list(columns)
        self.tile = tile_size(sum(self.groups), size)
        self._bands: list[tuple[int, Draw]] = []
        self._names: list[list[str]] = [[] for _ in self.groups]
        self._widest = 0
        if title:
            self.text(title, _TITLE)
            self._space(4)

    def text(self, text: str, size: int = _TEXT, colour: tuple[int, int, int] = INK) -> None:
        """A line over the whole width."""
        font = _font(size)
        self._widest = max(self._widest, int(font.getlength(text)) + 2 * _MARGIN)
        self._bands.append((size + 9, lambda sheet, pen, y: pen.text((_MARGIN, y), text, colour, font)))

    def heading(self, text: str) -> None:
        """The beginning of a block."""
        self._space(12)
        self.text(text, _HEADING)

    def columns(self, names: Sequence[str]) -> None:
        """Names above the tiles."""

        def write(sheet: Any, pen: Any, y: int) -> None:
            for x, name in zip(self._lefts(), names, strict=False):
                pen.text((x + self.tile // 2, y), name, FAINT, _font(_TEXT), anchor="ma")

        self._bands.append((_TEXT + 8, write))

    def group_titles(self, names: Sequence[str]) -> None:
        """Names above the groups of tiles."""

        def write(sheet: Any, pen: Any, y: int) -> None:
            for (start, _), name in zip(self._spans(), names, strict=True):
                pen.text((start, y), name, INK, _font(_TEXT))

        self._bands.append((_TEXT + 8, write))

    def row(self, name: str | Sequence[str], tiles: Tensor, smooth: bool = False) -> None:
        """Tiles (n, 3, h, w) in [-1, 1], at most as many as there are columns.

        Args:
            name: text at the left, of one or several lines; a list for one at the left of each group.
            smooth: resize with averaging (images), not by repeating or leaving out pixels (maps).
        """
        if len(tiles) > sum(self.groups):
            raise ValueError(f"tiles holds {len(tiles)} images, the sheet has {sum(self.groups)} columns")
        pixels = _pixels(tiles, self.tile, smooth)
        names = [name] if isinstance(name, str) else list(name)
        for known, one in zip(self._names, names, strict=False):
            known.append(one)

        def write(sheet: Any, pen: Any, y: int) -> None:
            self._write_row(sheet, pen, y, names, pixels)

        self._bands.append((self.tile + _GAP, write))

    def scale(self, colours: Colours, low: str, high: str) -> None:
        """A bar of colours (n, 3) between two texts."""
        from PIL import Image

        font = _font(_TEXT)
        start = _MARGIN + int(font.getlength(low)) + 8

        def write(sheet: Any, pen: Any, y: int) -> None:
            pen.text((_MARGIN, y + _SWATCH // 2), low, INK, font, anchor="lm")
            bar = np.broadcast_to(colours, (_SWATCH, *colours.shape)).copy()
            sheet.paste(Image.fromarray(bar), (start, y))
            pen.text((start + len(colours) + 8, y + _SWATCH // 2), high, INK, font, anchor="lm")

        self._space(10)
        self._bands.append((_LINE, write))

    def legend(self, colours: Colours, texts: Sequence[str]) -> None:
        """A swatch and a text for each cluster, in columns. ``colours``: (K, 3)."""
        cell = _SWATCH + 32 + _longest(texts)
        across = max(1, (max(self._width(), 700) - 2 * _MARGIN) // cell)
        down = -(-len(texts) // across)
        self._widest = max(self._widest, -(-len(texts) // down) * cell + 2 * _MARGIN)

        def write(sheet: Any, pen: Any, y: int) -> None:
            for place, (colour, text) in enumerate(zip(colours.tolist(), texts, strict=True)):
                x = _MARGIN + place // down * cell
                top = y + place % down * _LINE
                pen.rectangle((x, top, x + _SWATCH, top + _SWATCH), tuple(colour))
                pen.text((x + _SWATCH + 8, top + _SWATCH // 2), text, INK, _font(_TEXT), anchor="lm")

        self._space(8)
        self._bands.append((down * _LINE, write))

    def draw(self) -> Picture:
        """uint8 (H, W, 3)."""
        from PIL import Image, ImageDraw

        height = 2 * _MARGIN + sum(height for height, _ in self._bands)
        sheet = Image.new("RGB", (max(self._width(), self._widest), height), PAPER)
        pen = ImageDraw.Draw(sheet)
        y = _MARGIN
        for height, write in self._bands:
            write(sheet, pen, y)
            y += height
        return np.array(sheet)

    def save(self, path: str | Path) -> Path:
        """Write a PNG, whole or not at all; folders are made. Returns its path, which a notebook shows."""
        return Shown(save_picture(self.draw(), path))

    def _space(self, height: int) -> None:
        self._bands.append((height, lambda sheet, pen, y: None))

    def _write_row(
        self, sheet: Any, pen: Any, y: int, names: Sequence[str], pixels: NDArray[np.uint8]
    ) -> None:
        from PIL import Image

        for x, tile in zip(self._lefts(), pixels, strict=False):
            sheet.paste(Image.fromarray(tile), (x, y))
        style: dict[str, Any] = dict(anchor="rm", align="right", spacing=5)
        for (start, _), name in zip(self._spans(), names, strict=False):
            pen.text((start - 12, y + self.tile // 2), name, INK, _font(_TEXT), **style)

    def _width(self) -> int:
        return self._spans()[-1][1] + _MARGIN

    def _spans(self) -> list[tuple[int, int]]:
        """Left and right end of each group; it takes all rows to know how much room their names need."""
        spans: list[tuple[int, int]] = []
        x = _MARGIN
        for count, names in zip(self.groups, self._names, strict=True):
            widest = _longest(names)
            x += widest + 12 if widest else 0
            spans.append((x, x + count * (self.tile + _GAP)))
            x = spans[-1][1] + _GROUP_GAP
        return spans

    def _lefts(self) -> list[int]:
        """Left end of each tile."""
        pitch = self.tile + _GAP
        lefts: list[int] = []
        for (start, _), count in zip(self._spans(), self.groups, strict=True):
            lefts += [start + i * pitch for i in range(count)]
        return lefts


def tile_size(columns: int, size: int) -> int:
    """Pixels of a tile: as large as fits, a whole multiple of ``size`` where one fits."""
    most = int(np.clip(_WIDEST // columns, *_TILES))
    return most - most % size if most >= size else most


def _pixels(tiles: Tensor, side: int, smooth: bool) -> NDArray[np.uint8]:
    """uint8 (n, side, side, 3)."""
    tiles = tiles.detach().float().cpu()
    whole = side % tiles.shape[-1] == 0 and side % tiles.shape[-2] == 0
    if smooth and not whole:
        resized = F.interpolate(tiles, (side, side), mode="bilinear", antialias=True)
    else:
        resized = F.interpolate(tiles, (side, side), mode="nearest-exact")
    return np.asarray(to_uint8(resized.clamp(-1, 1)).numpy())


def _longest(texts: Iterable[str]) -> int:
    """Pixels of the widest line of all texts."""
    font = _font(_TEXT)
    lines = "\n".join(texts).split("\n")
    return max(int(font.getlength(line)) for line in lines)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
