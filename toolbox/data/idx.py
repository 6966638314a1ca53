"""IDX files (the format of MNIST and its relatives), and Fashion-MNIST read from them."""

from __future__ import annotations

import gzip
import math
import reprlib
import zlib
from io import BufferedReader
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
_GZIP = b"\x1f\x8b"
_MOST_AXES = 8
_MOST_INFLATED = 1100  # deflate cannot do more than 1032
_UINT8 = 8  # type code in the magic number; the only one that image sets use


def read_idx(path: str | Path, most_bytes: int = 6 * 10**8) -> NDArray[np.uint8]:
    """The uint8 array in an IDX file, plain or gzip.

    Layout: two zero bytes, type code, number of axes, the axes as big-endian uint32, then the values.

    Args:
        path: the file.
        most_bytes: what it may hold at most, unpacked.

    Raises:
        DataError: when the file is torn, longer than it says, too large, or not IDX.
    """
    path = Path(path)
    try:
        with _opened(path) as file:
            return _read(file, path, most_bytes)
    except DataError:
        raise
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is torn ({error}); fetch it anew") from None


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path) if packed else path.open("rb")


def _read(file: gzip.GzipFile | BufferedReader, path: Path, most_bytes: int) -> NDArray[np.uint8]:
    """The header's sizes are compared with the file's before anything is made of that size."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _UINT8:
        raise DataError(f"{path} is not an IDX file of bytes (it begins with {head.hex()}, not 000008..)")
    axes = file.read(4 * head[3])
    shape = tuple(int(n) for n in np.frombuffer(axes[: len(axes) // 4 * 4], dtype=">u4"))
    size, offset = math.prod(shape), 4 + 4 * head[3]
    promised = f"its header promises shape {reprlib.repr(shape)}, {offset + size} bytes in all"
    on_disk = path.stat().st_size
    packed = isinstance(file, gzip.GzipFile)
    if size > most_bytes or len(shape) > _MOST_AXES or (packed and offset + size > _MOST_INFLATED * on_disk):
        raise DataError(f"{path} is torn or too large: {promised}; at most {most_bytes} are read")
    found = on_disk
    if packed or found == offset + size:
        values = file.read(size + 1)
        found = 4 + len(axes) + len(values)
    if len(shape) != head[3] or found != offset + size:
        raise DataError(f"{path} is torn: {promised}, and it has {found}; fetch it anew")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


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
        file = find_idx(folder, f"{stem}-images-idx3-ubyte")
        images = read_idx(file, most_bytes=2**27)
        if images.shape[1:] != (28, 28):
            raise DataError(f"{file} holds {images.shape}, not images of 28 x 28 pixels: it is another set's")
        labels = read_idx(find_idx(folder, f"{stem}-labels-idx1-ubyte"), most_bytes=2**20)
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
