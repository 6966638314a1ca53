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
CAPTION_SIZE, CAPTION_LINE = 13, 16  # of what does not fit into one line over or under an image
CAPTION_LINES = 8  # at most
WIDEST_NAME = 320
WIDEST_TITLE = 640  # of a sheet that is narrower
TARGET_TILE = 96  # how large a small image is shown
CAPTIONED_TILE = 144  # where there are sentences over or under it
WIDEST = 2400  # how wide a grid may become by enlarging


def image_grid(
    images: Tensor,
    columns: int = 10,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    scale: int | None = None,
    title: str | None = None,
    captions: Sequence[str] | None = None,
) -> Picture:
    """Images side by side on white, filled row by row.

    Whatever is longer than its place goes on in the next line, and ends in dots where there is no more room.

    Args:
        images: (N, 3, H, W) in [-1, 1]; what is outside is clipped, NaN is drawn grey. The last row may be
            short.
        columns: images a row.
        row_names, column_names: texts at the left of the rows and above the columns. A row's may have several
            lines, of which those are drawn that find room.
        scale: enlargement, nearest neighbour (pixels stay visible); None: at most 4, for tiles of about 96
            pixels, or 6 for 144 where there are sentences.
        title: above all.
        captions: a text under each image.

    Returns:
        uint8 (H', W', 3) RGB.

    Raises:
        ValueError: no images, another shape, or a number of names that does not fit.
    """
    sentences = captions or any(_font(TEXT_SIZE).getlength(name) > TARGET_TILE for name in column_names or ())
    tiles = _tiles(images, columns, scale, CAPTIONED_TILE if sentences else TARGET_TILE)
    columns = min(columns, len(tiles))
    n_rows = -(-len(tiles) // columns)
    _check_names("row_names", row_names, n_rows)
    _check_names("column_names", column_names, columns)
    _check_names("captions", captions, len(tiles))
    return _Sheet(tiles, columns, row_names or (), column_names or (), title, captions or ()).draw()


def save_grid(
    images: Tensor,
    path: str | Path,
    columns: int = 10,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    scale: int | None = None,
    title: str | None = None,
    captions: Sequence[str] | None = None,
) -> Path:
    """Write :func:`image_grid` as a PNG; folders are made. Returns the path."""
    return save_picture(image_grid(images, columns, row_names, column_names, scale, title, captions), path)


def save_picture(picture: Picture, path: str | Path) -> Path:
    """Write a uint8 (H, W, 3) picture as PNG, whole or not at all; folders are made. Returns the path."""
    write_whole(path, lambda file: Image.fromarray(picture).save(file, format="PNG"))
    return Path(path)


def stacked(pictures: Sequence[Picture]) -> Picture:
    """Pictures one under the other, on white."""
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([_widened(picture, width) for picture in pictures])


class _Lines:
    """Texts in places of one width: as they are where all fit into one line, else smaller and wrapped."""

    def __init__(self, texts: Sequence[str], width: int) -> None:
        font = _font(TEXT_SIZE)
        fits = all(font.getlength(str(text)) <= width for text in texts)
        self.font, self.step = (font, LINE) if fits else (_font(CAPTION_SIZE), CAPTION_LINE)
        self.texts = [wrapped(str(text), self.font, width, CAPTION_LINES) for text in texts]
        self.height = self.step * max(map(len, self.texts), default=0)

    def write(self, pen: ImageDraw.ImageDraw, number: int, x: int, y: int) -> None:
        """Lines of a text, centred at x, the first one's top at y."""
        for i, line in enumerate(self.texts[number]):
            pen.text((x, y + i * self.step), line, FAINT, self.font, anchor="ma")


class _Sheet:
    """The layout of a grid: margins that fit the names, tiles, names."""

    def __init__(
        self,
        tiles: Picture,
        columns: int,
        row_names: Sequence[str],
        column_names: Sequence[str],
        title: str | None,
        captions: Sequence[str],
    ) -> None:
        self.tiles = tiles
        self.columns = columns
        self.rows = -(-len(tiles) // columns)
        self.pitch_x = tiles.shape[2] + (8 if captions else GAP)
        self.column_names = _Lines(column_names, tiles.shape[2] - 6)
        self.captions = _Lines(captions, tiles.shape[2])
        self.pitch_y = tiles.shape[1] + GAP + (self.captions.height + 8 if captions else 0)
        self.font = _font(TEXT_SIZE)
        self.row_names = [self._lines_of(str(name)) for name in row_names]
        widest = max((self.font.getlength(line) for name in self.row_names for line, _ in name), default=0)
        self.left = MARGIN + (int(widest) + 10 if widest else 0)
        self.width = self.left + self.columns * self.pitch_x + MARGIN
        self.title_font = _font(TEXT_SIZE + 4)
        room = max(self.width, WIDEST_TITLE) - 2 * MARGIN
        self.title = wrapped(title, self.title_font, room, 3) if title else []
        above = len(self.title) * (TEXT_SIZE + 8) + 10 if self.title else 0
        self.top = MARGIN + above + (self.column_names.height + 5 if column_names else 0)

    def draw(self) -> Picture:
        widths = [int(self.title_font.getlength(line)) + 2 * MARGIN for line in self.title]
        size = (max([self.width, *widths]), self.top + self.rows * self.pitch_y + MARGIN)
        sheet = Image.new("RGB", size, PAPER)
        for i, tile in enumerate(self.tiles):
            sheet.paste(Image.fromarray(tile), self._corner(i // self.columns, i % self.columns))
        self._write(ImageDraw.Draw(sheet))
        return np.array(sheet)

    def _lines_of(self, name: str) -> list[tuple[str, tuple[int, int, int]]]:
        """A row's name as lines and their colours: the first one goes on where it is too long."""
        first, *others = name.split("\n")
        room = max(1, self.tiles.shape[1] // LINE)
        own = wrapped(first, self.font, WIDEST_NAME, max(1, room - len(others)))
        lines = [(line, INK) for line in own]
        lines += [(_cut(line, self.font, WIDEST_NAME), FAINT) for line in others]
        return lines[:room]

    def _corner(self, row: int, column: int) -> tuple[int, int]:
        return self.left + column * self.pitch_x, self.top + row * self.pitch_y

    def _write(self, pen: ImageDraw.ImageDraw) -> None:
        height, width = self.tiles.shape[1:3]
        for i, line in enumerate(self.title):
            pen.text((MARGIN, MARGIN + i * (TEXT_SIZE + 8)), line, INK, self.title_font)
        for row, lines in enumerate(self.row_names):
            middle = self.top + row * self.pitch_y + height // 2
            for i, (line, colour) in enumerate(lines):
                y = middle + LINE * (2 * i + 1 - len(lines)) // 2
                pen.text((self.left - 10, y), line, colour, self.font, anchor="rm")
        for column, text in enumerate(self.column_names.texts):
            x = self._corner(0, column)[0] + width // 2
            self.column_names.write(pen, column, x, self.top - 5 - self.column_names.step * len(text))
        for i in range(len(self.captions.texts)):
            x, y = self._corner(i // self.columns, i % self.columns)
            self.captions.write(pen, i, x + width // 2, y + height + 3)


def _tiles(images: Tensor, columns: int, scale: int | None, target: int) -> Picture:
    """uint8 (N, H', W', 3), enlarged."""
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(
            f"images has shape {tuple(images.shape)}: expected (N, 3, H, W) with at least one image"
        )
    if columns < 1:
        raise ValueError(f"columns={columns}: at least 1")
    pictures = to_uint8(images.detach().float().cpu().nan_to_num(0.0)).numpy()
    columns = min(columns, len(pictures))
    factor = scale or _fitting_scale(pictures.shape[1], pictures.shape[2], columns, target)
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def _fitting_scale(height: int, width: int, columns: int, target: int) -> int:
    wanted = round(target / max(height, 1))
    return max(1, min(wanted, target // 24, WIDEST // (width * columns)))


def wrapped(text: str, font: Any, width: int, lines: int) -> list[str]:
    """``text`` in at most so many lines that are no wider than ``width`` pixels; the last may end in dots."""
    words = text.split()
    found: list[str] = []
    while words and len(found) < lines - 1:
        taken = 1
        while taken < len(words) and font.getlength(" ".join(words[: taken + 1])) <= width:
            taken += 1
        found.append(_cut(" ".join(words[:taken]), font, width))
        words = words[taken:]
    return [*found, _cut(" ".join(words), font, width)] if words else found


def _widened(picture: Picture, width: int) -> Picture:
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255)


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
