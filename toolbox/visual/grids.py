"""Grids of images, with names of rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from toolbox.data.base import to_uint8
from toolbox.runs.files import write_whole

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

PAPER = (255, 255, 255)
INK = (38, 38, 42)
FAINT = (112, 112, 120)
# pixels
GAP = 2
MARGIN = 10
TEXT_SIZE = 15
LINE = 18  # from one line of a row's name to the next
WIDEST_NAME = 320
TARGET_TILE = 96  # how large a small image is shown
WIDEST = 2400  # how wide a grid may become by enlarging


def image_grid(
    images: Tensor,
    columns: int = 10,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    scale: int | None = None,
    title: str | None = None,
) -> Picture:
    """Images side by side on white, filled row by row.

    Args:
        images: (N, 3, H, W) in [-1, 1]; what is outside is clipped, NaN is drawn grey. The last row may be
            short.
        columns: images a row.
        row_names, column_names: texts at the left of the rows and above the columns. A row's may have several
            lines, of which those are drawn that find room.
        scale: enlargement, nearest neighbour (pixels stay visible); None: 1 to 4, for tiles of about 96
            pixels.
        title: a line above all.

    Returns:
        uint8 (H', W', 3) RGB.

    Raises:
        ValueError: no images, another shape, or a number of names that does not fit.
    """
    tiles = _tiles(images, columns, scale)
    columns = min(columns, len(tiles))
    n_rows = -(-len(tiles) // columns)
    _check_names("row_names", row_names, n_rows)
    _check_names("column_names", column_names, columns)
    return _Sheet(tiles, columns, row_names or (), column_names or (), title).draw()


def save_grid(
    images: Tensor,
    path: str | Path,
    columns: int = 10,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    scale: int | None = None,
    title: str | None = None,
) -> Path:
    """Write :func:`image_grid` as a PNG; folders are made. Returns the path."""
    return save_picture(image_grid(images, columns, row_names, column_names, scale, title), path)


def save_picture(picture: Picture, path: str | Path) -> Path:
    """Write a uint8 (H, W, 3) picture as PNG, whole or not at all; folders are made. Returns the path."""
    write_whole(path, lambda file: Image.fromarray(picture).save(file, format="PNG"))
    return Path(path)


class _Sheet:
    """The layout of a grid: margins that fit the names, tiles, names."""

    def __init__(
        self,
        tiles: Picture,
        columns: int,
        row_names: Sequence[str],
        column_names: Sequence[str],
        title: str | None,
    ) -> None:
        self.tiles = tiles
        self.columns = columns
        self.title = title
        self.column_names = column_names
        self.rows = -(-len(tiles) // columns)
        self.pitch_y = tiles.shape[1] + GAP
        self.pitch_x = tiles.shape[2] + GAP
        self.font = _font(TEXT_SIZE)
        self.title_font = _font(TEXT_SIZE + 4)
        room = max(1, self.pitch_y // LINE)
        lines = [str(name).split("\n")[:room] for name in row_names]
        self.row_names = [[_cut(line, self.font, WIDEST_NAME) for line in name] for name in lines]
        widest = max((self.font.getlength(line) for name in self.row_names for line in name), default=0)
        self.left = MARGIN + (int(widest) + 10 if widest else 0)
        self.top = MARGIN + (TEXT_SIZE + 18 if title else 0) + (TEXT_SIZE + 8 if column_names else 0)

    def draw(self) -> Picture:
        width = self.left + self.columns * self.pitch_x + MARGIN
        if self.title:
            width = max(width, int(self.title_font.getlength(self.title)) + 2 * MARGIN)
        sheet = Image.new("RGB", (width, self.top + self.rows * self.pitch_y + MARGIN), PAPER)
        for i, tile in enumerate(self.tiles):
            sheet.paste(Image.fromarray(tile), self._corner(i // self.columns, i % self.columns))
        self._write(ImageDraw.Draw(sheet))
        return np.array(sheet)

    def _corner(self, row: int, column: int) -> tuple[int, int]:
        return self.left + column * self.pitch_x, self.top + row * self.pitch_y

    def _write(self, pen: ImageDraw.ImageDraw) -> None:
        if self.title:
            pen.text((MARGIN, MARGIN), self.title, INK, self.title_font)
        for row, lines in enumerate(self.row_names):
            middle = self.top + row * self.pitch_y + (self.pitch_y - GAP) // 2
            for i, line in enumerate(lines):
                y = middle + LINE * (2 * i + 1 - len(lines)) // 2
                pen.text((self.left - 10, y), line, FAINT if i else INK, self.font, anchor="rm")
        for column, name in enumerate(self.column_names):
            x = self.left + column * self.pitch_x + (self.pitch_x - GAP) // 2
            pen.text((x, self.top - 6), _cut(name, self.font, self.pitch_x), FAINT, self.font, anchor="ms")


def _tiles(images: Tensor, columns: int, scale: int | None) -> Picture:
    """uint8 (N, H', W', 3), enlarged."""
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(
            f"images has shape {tuple(images.shape)}: expected (N, 3, H, W) with at least one image"
        )
    if columns < 1:
        raise ValueError(f"columns={columns}: at least 1")
    pictures = to_uint8(images.detach().float().cpu().nan_to_num(0.0)).numpy()
    factor = scale or _fitting_scale(pictures.shape[1], pictures.shape[2], min(columns, len(pictures)))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def _fitting_scale(height: int, width: int, columns: int) -> int:
    wanted = round(TARGET_TILE / max(height, 1))
    return max(1, min(wanted, 4, WIDEST // (width * columns)))


def _cut(text: str, font: Any, width: int) -> str:
    """``text``, shortened with dots when it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _check_names(argument: str, names: Sequence[str] | None, expected: int) -> None:
    if names is not None and len(names) != expected:
        raise ValueError(f"{argument} has {len(names)} entries for {expected} places")


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
