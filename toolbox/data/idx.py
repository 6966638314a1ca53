"""IDX files (the format of MNIST and its relatives), and Fashion-MNIST read from them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import ArraySet, DataError, chosen_split

FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_HOW_TO_GET = (
    "get Fashion-MNIST from Debian's package dataset-fashion-mnist or with "
    "torchvision.datasets.FashionMNIST(root, download=True)"
)
_UINT8 = 8  # type code in the magic number; the only one that image sets use


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """The uint8 array in an IDX file, plain or gzip.

    Layout: two zero bytes, type code, number of axes, the axes as big-endian uint32, then the values.

    Raises:
        DataError: when the file is torn, longer than it says, or not IDX.
    """
    path = Path(path)
    data = _bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UINT8:
        raise DataError(f"{path} is not an IDX file of bytes (it begins with {data[:4].hex()}, not 000008..)")
    offset = 4 + 4 * data[3]  # behind the magic number and the axes
    shape = tuple(int(n) for n in np.frombuffer(data[4:offset], dtype=">u4"))
    expected = offset + int(np.prod(shape, dtype=np.int64))
    if len(shape) != data[3] or len(data) != expected:
        raise DataError(
            f"{path} is torn: its header promises shape {shape}, {expected} bytes in all, and it has "
            f"{len(data)}; fetch it anew"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=offset).reshape(shape)


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is torn ({error}); fetch it anew") from None


def find_idx(folder: Path, stem: str) -> Path:
    """``folder/stem`` or ``folder/stem.gz``; the error names both.

    Raises:
        DataError: when neither is there.
    """
    for candidate in (folder / stem, folder / f"{stem}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder / stem} is missing (with or without .gz): {_HOW_TO_GET}")


class FashionMNIST(ArraySet):
    """Fashion-MNIST from a folder of its four IDX files, as three equal channels.

    Args:
        root: the folder (``FashionMNIST/raw`` below it, torchvision's layout, is looked at too).
        split: 'train' (60,000) or 'test' (10,000); ``train`` overrules it.
        image_size: 28 as it is; 32 adds two black pixels at each edge; other sizes are resized from 32.

    Raises:
        DataError: when a file is missing or torn, or images and labels do not match.
    """

    def __init__(
        self,
        root: str = "/usr/share/datasets/fashion-mnist",
        split: str = "train",
        train: bool | None = None,
        image_size: int = 32,
    ) -> None:
        stem = "train" if chosen_split(split, train) == "train" else "t10k"
        folder = _folder(Path(root))
        images = read_idx(find_idx(folder, f"{stem}-images-idx3-ubyte"))
        labels = read_idx(find_idx(folder, f"{stem}-labels-idx1-ubyte"))
        if image_size != 28:
            images = pad_to_32(images)
        known: dict[str, Any] = {"title": "Fashion-MNIST", "license": "MIT, (c) 2017 Zalando SE"}
        super().__init__(images, labels, FASHION_CLASSES, image_size, **known)


def _folder(root: Path) -> Path:
    nested = root / "FashionMNIST" / "raw"
    return nested if nested.is_dir() else root


def pad_to_32(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 28, 28) with two black pixels added at each edge."""
    return np.pad(images, ((0, 0), (2, 2), (2, 2)))
