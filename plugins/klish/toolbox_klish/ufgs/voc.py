"""PASCAL VOC's segmented images in their own layout: real images to look at (KLiSH, section 5.1, Fig. 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toolbox.catalog import near_miss
from toolbox.data.base import DataError, Image, Mask
from toolbox.data.files import FileSet
from toolbox.data.masks import decode_mask, square_mask
from toolbox_klish.checks import check_choice

ORIGIN = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ (VOCtrainval_11-May-2012.tar)"
CATEGORIES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)
BORDER = 255  # in masks: pixels that belong to nobody
_LISTS = {"train": "train", "test": "val"}  # masks of VOC's own test part are not published


class PascalVOC(FileSet):
    """``root/JPEGImages``, ``root/SegmentationClass`` and ``root/ImageSets/Segmentation`` of VOC2012.

    Pixels on borders of objects have the number 255 in masks: name it as ``ignore`` where they are measured.

    Args:
        root: the folder VOC2012.
        category: such as 'car': images where it covers enough, cut to a square about it, parts
            'background' and the category. None = all images, 21 parts, cut to the largest centred square.
        split: 'train', or 'test' = VOC's part 'val'.
        image_size: pixels.
        least: share of an image that the category covers.
        room: side of the square in sides of the category.
        cache: keep decoded images in memory, uint8.

    Raises:
        DataError: naming the file that is missing and where it comes from, or for a category that no image
            shows.
    """

    def __init__(
        self,
        root: str | Path,
        category: str | None = None,
        split: str = "test",
        image_size: int = 256,
        least: float = 0.05,
        room: float = 1.3,
        cache: bool = False,
    ) -> None:
        root = Path(root)
        check_choice("split", split, _LISTS)
        self.split, self._room = split, room
        self._number = None if category is None else _number_of(category)
        self.part_names = list(CATEGORIES) if category is None else [CATEGORIES[0], category]
        names = list(_listed(root, _LISTS[split]))
        if self._number is not None:
            names = [name for name in names if self._share(root, name) >= least]
        if not names:
            raise DataError(
                f"{root}: no image of {split!r} shows enough of {category!r}: lower least={least}"
            )
        labels = np.zeros(len(names), dtype=np.int64)
        title = "PASCAL VOC" if category is None else f"PASCAL VOC, {category}"
        super().__init__(root, names, labels, ["image"], title, image_size, None, cache)

    def mask(self, i: int) -> Mask:
        values = _mask(self.path, self._names[i])
        if self._number is None:
            return square_mask(values, self.image_size)
        cut = values[self._box(values)]
        own = np.where(cut == self._number, 1, np.where(cut == BORDER, BORDER, 0)).astype(np.uint8)
        return square_mask(own, self.image_size)

    def _decode(self, i: int) -> Image:
        picture = super()._decode(i)
        if self._number is None:
            return picture
        return np.ascontiguousarray(picture[self._box(_mask(self.path, self._names[i]))])

    def _box(self, mask: Mask) -> tuple[slice, slice]:
        """A square about the category, inside the image."""
        rows, columns = np.nonzero(mask == self._number)
        spans = [(int(found.min()), int(found.max()) + 1) for found in (rows, columns)]
        longest = max(end - start for start, end in spans)
        side = min(int(self._room * longest), *mask.shape)
        starts = [
            min(max((start + end - side) // 2, 0), size - side)
            for (start, end), size in zip(spans, mask.shape, strict=True)
        ]
        return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)

    def _share(self, root: Path, name: str) -> float:
        return float((_mask(root, name) == self._number).mean())

    def _read(self, name: str) -> Path:
        return self.path / "JPEGImages" / f"{name}.jpg"

    def _checksum(self, name: str) -> tuple[int, int]:
        return self._read(name).stat().st_size, _mask_file(self.path, name).stat().st_size


def _number_of(category: str) -> int:
    if category not in CATEGORIES[1:]:
        hint = near_miss(category, CATEGORIES)
        raise DataError(f"category={category!r} is none of PASCAL VOC's{hint}: {', '.join(CATEGORIES[1:])}")
    return CATEGORIES.index(category)


def _listed(root: Path, part: str) -> Iterator[str]:
    """Names of a part's images, each of which is there with its mask."""
    file = root / "ImageSets" / "Segmentation" / f"{part}.txt"
    _check_there(file)
    for line in file.read_text(encoding="utf-8").splitlines():
        name = line.strip()
        if name:
            _check_there(root / "JPEGImages" / f"{name}.jpg")
            _check_there(_mask_file(root, name))
            yield name


def _check_there(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"{file} is missing: PASCAL VOC 2012 comes from {ORIGIN}; root is its folder VOC2012")


def _mask_file(root: Path, name: str) -> Path:
    return root / "SegmentationClass" / f"{name}.png"


def _mask(root: Path, name: str) -> Mask:
    file = _mask_file(root, name)
    return decode_mask(file, str(file))
