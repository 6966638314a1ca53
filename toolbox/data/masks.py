"""Any folder of pictures and index masks, such as CelebAMask-HQ with its parts merged into one mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from toolbox.data.base import DataError, Mask, checked_mask, chosen_split, text_list
from toolbox.data.files import FileSet
from toolbox.data.pictures import SUFFIXES, open_picture, picture_shape


class MaskFolder(FileSet):
    """``root/images/NAME.jpg`` with ``root/masks/NAME.png``, or both in ``root/train`` and ``root/test``.

    A mask is an 8-bit PNG whose values (or palette numbers) are the parts; three equal channels are read too.
    Pictures and masks are cut to the largest centred square; pictures are resized as in all folders, masks to
    the nearest pixel. All images are of one class.

    Args:
        root: the folder.
        part_names: what the numbers mean, from 0.
        split: 'train' or 'test'; ``train`` overrules it. A root without such parts is all training data.
        image_size: pixels.
        title: name for people; None: the root's.
        cache: keep decoded images in memory, uint8.

    Raises:
        DataError: when a folder, or the mask of an image, is missing, a picture cannot be read, or a mask has
            another shape.
    """

    def __init__(
        self,
        root: str | Path,
        part_names: Sequence[str],
        split: str = "train",
        train: bool | None = None,
        image_size: int = 256,
        title: str | None = None,
        cache: bool = False,
    ) -> None:
        root = Path(root)
        self.split = chosen_split(split, train)
        self.part_names = text_list(part_names, "part_names")
        folder = _part(root, self.split)
        files = (file for file in (folder / "images").iterdir() if file.suffix.lower() in SUFFIXES)
        names = sorted(file.name for file in files if file.is_file())
        missing = [name for name in names if not _mask_file(folder, name).is_file()]
        if missing:
            raise DataError(f"{folder}: {missing[0]} has no mask {_mask_file(folder, missing[0])}")
        if not names:
            raise DataError(f"{folder / 'images'} holds no pictures ({', '.join(SUFFIXES)})")
        labels = np.zeros(len(names), dtype=np.int64)
        super().__init__(folder, names, labels, ["image"], title or root.name, image_size, None, cache)

    def mask(self, i: int) -> Mask:
        file = _mask_file(self.path, self._names[i])
        values = decode_mask(file, str(file))
        self._check_shape(file, values.shape, self._read(self._names[i]))
        return square_mask(values, self.image_size)

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        shape = super().look_at(i, whole)
        if whole:
            checked_mask(self, i)
        return shape

    def _check_shape(self, file: Path, mask: tuple[int, ...], picture: Path) -> None:
        """Masks may be smaller or larger than pictures, but not of another shape: squares would differ."""
        try:
            height, width = picture_shape(picture, str(picture))
        except (OSError, ValueError) as error:
            raise DataError(str(error)) from None
        if abs(mask[0] * width / height - mask[1]) > 1:
            raise DataError(
                f"{file} is {mask[1]}x{mask[0]} pixels, its picture {width}x{height}: their sides must have "
                "the same ratio, or parts would lie beside what they name"
            )

    def _read(self, name: str) -> Path:
        return self.path / "images" / name

    def _checksum(self, name: str) -> tuple[int, int]:
        return self._read(name).stat().st_size, _mask_file(self.path, name).stat().st_size


def _mask_file(folder: Path, name: str) -> Path:
    return folder / "masks" / f"{Path(name).stem}.png"


def _part(root: Path, split: str) -> Path:
    """The folder that holds 'images' and 'masks' of a split."""
    folder = root / split if (root / split).is_dir() or split == "test" else root
    for name in ("images", "masks"):
        if not (folder / name).is_dir():
            raise DataError(
                f"{folder} has no folder {name!r}: pictures belong into images/, masks of the same names "
                "into masks/"
            )
    return folder


def decode_mask(source: bytes | Path, name: str) -> Mask:
    """uint8 (H, W) part of each pixel, of an 8-bit PNG: grey values, palette numbers, or 3 equal channels.

    Args:
        source: the file's bytes, or its path.
        name: what to call it in errors.

    Raises:
        DataError: for what is no such file.
    """
    try:
        with open_picture(source, formats=("PNG",)) as opened:
            values = np.array(opened)
    except FileNotFoundError:
        raise DataError(f"there is no mask {name}") from None
    except Exception as error:  # a torn picture raises almost anything
        raise DataError(f"{name} is not a readable mask ({error}): it must be a whole PNG") from None
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype != np.uint8:
        raise DataError(
            f"{name} is no index mask: it has shape {values.shape} of {values.dtype}; a mask has one "
            "8-bit channel that holds the number of each pixel's part"
        )
    return values


def square_mask(values: Mask, size: int) -> Mask:
    """The largest centred square of a mask at ``size`` x ``size``: each pixel has the nearest one's part."""
    height, width = values.shape
    side = min(height, width)
    left = (width - side) // 2
    top = (height - side) // 2
    square = np.ascontiguousarray(values[top : top + side, left : left + side])
    return np.array(Pillow.fromarray(square).resize((size, size), Pillow.Resampling.NEAREST))
