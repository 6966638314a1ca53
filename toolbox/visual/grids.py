"""Pictures of many images: grids with names, interpolations, sheets with a caption under each image."""

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

PAPER, INK, FAINT = (255, 255, 255), (38, 38, 42), (112, 112, 120)
# pixels
GAP = 2
MARGIN = 10
TEXT_SIZE = 15
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
    end_names: Sequence[str] | None = None,
) -> Picture:
    """Images side by side on white, filled row by row.

    Args:
        images: (N, 3, H, W) in [-1, 1]; what is outside is clipped, NaN is drawn grey. The last row may be
            short.
        columns: images a row.
        row_names, column_names: texts at the left of the rows and above the columns.
        scale: enlargement, nearest neighbour (pixels stay visible); None: 1 to 4, for tiles of about 96
            pixels.
        title: a line above all.
        end_names: texts at the right of the rows.

    Returns:
        uint8 (H', W', 3) RGB.

    Raises:
        ValueError: no images, another shape, or a number of names that does not fit.
    """
    tiles = _tiles(images, columns, scale)
    columns = min(columns, len(tiles))
    n_rows = -(-len(tiles) // columns)
    _check_names("row_names", row_names, n_rows)
    _check_names("end_names", end_names, n_rows)
    _check_names("column_names", column_names, columns)
    return _Sheet(tiles, columns, row_names, column_names, end_names, title).draw()


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


def interpolation_strip(
    strips: Tensor,
    path: str | Path | None = None,
    start_names: Sequence[str] | None = None,
    end_names: Sequence[str] | None = None,
    scale: int | None = None,
    title: str | None = None,
) -> Picture:
    """One row for each interpolation, named at both ends.

    Args:
        strips: (R, S, 3, H, W), or (S, 3, H, W) for a single one: S images from start to end.
        path: PNG to write, if any.
    """
    if strips.ndim == 4:
        strips = strips[None]
    if strips.ndim != 5:
        raise ValueError(f"strips has shape {tuple(strips.shape)}: expected (R, S, 3, H, W), S images a row")
    picture = image_grid(strips.flatten(0, 1), strips.shape[1], start_names, None, scale, title, end_names)
    if path is not None:
        save_picture(picture, path)
    return picture


def labelled_sheet(
    images: Tensor,
    captions: Sequence[str],
    path: str | Path | None = None,
    columns: int = 8,
    scale: int | None = None,
    title: str | None = None,
) -> Picture:
    """A grid with a caption under each image (cut to its width).

    Args:
        images: (N, 3, H, W) in [-1, 1].
        captions: N texts.
        path: PNG to write, if any.
    """
    tiles = _tiles(images, columns, scale)
    _check_names("captions", captions, len(tiles))
    font = _font(TEXT_SIZE - 2)
    labelled = np.stack([_with_caption(tile, text, font) for tile, text in zip(tiles, captions, strict=True)])
    picture = _Sheet(labelled, min(columns, len(tiles)), None, None, None, title, gap=6).draw()
    if path is not None:
        save_picture(picture, path)
    return picture


def save_picture(picture: Picture, path: str | Path) -> Path:
    """Write a uint8 (H, W, 3) picture as PNG, whole or not at all; folders are made. Returns the path."""
    write_whole(path, lambda file: Image.fromarray(picture).save(file, format="PNG", optimize=True))
    return Path(path)


class _Sheet:
    """The layout of a grid: margins that fit the names, tiles, names."""

    def __init__(
        self,
        tiles: Picture,
        columns: int,
        row_names: Sequence[str] | None,
        column_names: Sequence[str] | None,
        end_names: Sequence[str] | None,
        title: str | None,
        gap: int = GAP,
    ) -> None:
        self.tiles = tiles
        self.columns = columns
        self.title = title
        self.column_names = column_names
        self.rows = -(-len(tiles) // columns)
        self.pitch_y = tiles.shape[1] + gap
        self.pitch_x = tiles.shape[2] + gap
        self.font = _font(TEXT_SIZE)
        self.title_font = _font(TEXT_SIZE + 4)
        self.row_names = self._shortened(row_names)
        self.end_names = self._shortened(end_names)
        self.left = self._side(self.row_names)
        self.right = self._side(self.end_names)
        self.top = MARGIN + (TEXT_SIZE + 18 if title else 0) + (TEXT_SIZE + 8 if column_names else 0)

    def _shortened(self, names: Sequence[str] | None) -> list[str]:
        return [_cut(str(name), self.font, WIDEST_NAME) for name in names or ()]

    def _side(self, names: Sequence[str]) -> int:
        widest = max((self.font.getlength(name) for name in names), default=0)
        return MARGIN + (int(widest) + 10 if widest else 0)

    def draw(self) -> Picture:
        width = self.left + self.columns * self.pitch_x + self.right
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
        for row in range(self.rows):
            middle = self.top + row * self.pitch_y + (self.pitch_y - GAP) // 2
            if self.row_names:
                pen.text((self.left - 10, middle), self.row_names[row], INK, self.font, anchor="rm")
            if self.end_names:
                x = self._corner(row, self.columns)[0] + 8
                pen.text((x, middle), self.end_names[row], INK, self.font, anchor="lm")
        for column, name in enumerate(self.column_names or ()):
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


def _with_caption(tile: Picture, text: str, font: Any) -> Picture:
    width = tile.shape[1]
    strip = Image.new("RGB", (width, TEXT_SIZE + 8), PAPER)
    ImageDraw.Draw(strip).text((width // 2, 3), _cut(text, font, width), INK, font, anchor="ma")
    return np.concatenate([tile, np.array(strip)])


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
