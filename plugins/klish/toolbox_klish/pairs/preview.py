"""The first pairs of a folder in one picture: images beside their masks in colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from toolbox.data.base import Image, Mask
from toolbox.data.mask_shards import picture_name, shard_file
from toolbox.data.masks import decode_mask
from toolbox.data.pictures import decode
from toolbox.data.zipped import Archive
from toolbox.runs.files import whole_file
from toolbox_klish.pairs.source import PairSource
from toolbox_klish.pictures.palette import distinct_colours

PREVIEWS = 100  # the authors'
_COLUMNS = 10  # pairs a row
_MOST = 128  # pixels of a side
_GAP = 4


def draw_preview(folder: Path, source: PairSource) -> Path:
    """Write ``preview.png``: the first 100 images, each with its mask on the right."""
    n = min(PREVIEWS, source.settings.images)
    colours = distinct_colours(len(source.part_names))
    cells = [_cell(image, colours[mask]) for image, mask in _read(folder, n, source)]
    path = folder / "preview.png"
    with whole_file(path) as file:
        Pillow.fromarray(_grid(cells)).save(file, "PNG")
    return path


def _read(folder: Path, n: int, source: PairSource) -> Iterator[tuple[Image, Mask]]:
    """The first pairs, out of their files."""
    archives: dict[Path, Archive] = {}

    def member(kind: str, i: int, suffix: str) -> bytes:
        file = shard_file(folder, kind, i // source.settings.shard)
        return archives.setdefault(file, Archive(file)).read(picture_name(i, suffix))

    for i in range(n):
        picture = decode(member("images", i, source.settings.suffix), f"image {i}")
        yield picture, decode_mask(member("masks", i, ".png"), f"mask {i}")


def _cell(image: Image, colours: Image) -> Image:
    """Both beside each other, no larger than is seen; colours are not mixed."""
    height, width = image.shape[:2]
    scale = min(1.0, _MOST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    left = Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS)
    right = Pillow.fromarray(colours).resize(size, Pillow.Resampling.NEAREST)
    return np.concatenate([np.asarray(left), np.asarray(right)], axis=1)


def _grid(cells: Sequence[Image]) -> Image:
    """Cells in rows, on white."""
    columns = min(_COLUMNS, len(cells))
    height, width = (side + _GAP for side in cells[0].shape[:2])
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), 255, dtype=np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        top, left = row * height + _GAP, column * width + _GAP
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet
