"""The zip (or folder) with ``dataset.json`` that StyleGAN users have: reading it and writing it."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolbox.data.base import DataError, Image, ImageSet, digest
from toolbox.data.pictures import RESIZE, SUFFIXES, Color, decode, encode_png, resize

INDEX = "dataset.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's first day: the same input gives the same bytes


class ZippedImages(ImageSet):
    """Images of a zip file or folder with a ``dataset.json`` = ``{"labels": [[path, class], ...]}``.

    Further keys that the toolbox writes and understands, all optional, lists in the order of ``labels``:
    ``classes`` (names), ``factors`` and ``split`` (``{"names": [...], "values": [...]}``, factors one level down by
    name), ``captions`` (lists of texts), ``title``, ``license``. With ``"labels": null`` or no index all images are
    one class.

    Args:
        path: the zip file or the folder.
        split: 'train' or 'test' of an index that has the key ``split``; None takes all.
        train: torchvision's word for it; overrules ``split``.
        image_size: pixels; None: as the first image is.
        classes: how many classes there must be; None: not checked.
        background: what lies under transparent pixels; None refuses them.
        cache: keep decoded images in memory, uint8.

    Raises:
        DataError: when the file is missing or torn, an image or class is missing, or the index does not fit.
    """

    def __init__(self, path: str | Path, split: str | None = None, train: bool | None = None,
                 image_size: int | None = None, classes: int | None = None, background: Color | None = None,
                 cache: bool = False) -> None:
        self.path = Path(path)
        self._archive = Archive(self.path)
        self._background = background
        index = _read_index(self._archive)
        rows = _rows_of(index, split if train is None else ("train" if train else "test"), self.path)
        self._names = [index["labels"][i][0] for i in rows]
        self._resizes = image_size is not None
        super().__init__(**_known(index, rows, self.path), image_size=image_size or self._first_size())
        if classes is not None and len(self.classes) != classes:
            raise DataError(f"{self.path} has {len(self.classes)} classes, not {classes}: {', '.join(self.classes[:12])}")
        self._cache: dict[int, Image] | None = {} if cache else None

    def _first_size(self) -> int:
        return min(self._decode(0).shape[:2])

    def _decode(self, i: int) -> Image:
        name = self._names[i]
        try:
            return decode(self._archive.read(name), f"{self.path}: {name}", self._background)
        except ValueError as error:
            raise DataError(str(error)) from None

    def image(self, i: int) -> Image:
        if self._cache is not None and i in self._cache:
            return self._cache[i].copy()
        image = self._decode(i)
        if not self._resizes and image.shape[:2] != (self.image_size, self.image_size):
            raise DataError(f"{self.path}: {self._names[i]} is {image.shape[1]} x {image.shape[0]}, the first image "
                            f"gave {self.image_size}: set image_size to resize all")
        image = resize(image, self.image_size)
        if self._cache is not None:
            self._cache[i] = image.copy()
        return image

    def fingerprint(self) -> str:
        checks = [self._archive.checksum(name) for name in self._names]
        return digest(self._names, checks, self.labels, self.classes, self.image_size, self._background, RESIZE)


class Archive:
    """Named members of a zip file or folder. May be pickled and forked: each process opens the file for itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise DataError(f"{path} is missing: give the zip file, or the folder that holds {INDEX}")
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        self._sizes = self._list()

    @property
    def names(self) -> list[str]:
        """All members, sorted."""
        return sorted(self._sizes)

    def checksum(self, name: str) -> int:
        """CRC-32 of a zip's member (its own); the size of a folder's file (reading them all would take too long)."""
        return self._sizes[name]

    def read(self, name: str) -> bytes:
        """Bytes of a member.

        Raises:
            DataError: when it is torn (a zip's CRC notices a flipped bit).
        """
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        try:
            return self._open().read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{self.path}: {name} is torn ({error}); fetch the file anew") from None

    def _list(self) -> dict[str, int]:
        if self.path.is_dir():
            files = (file for file in self.path.rglob("*") if file.is_file())
            return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}
        return {member.filename: member.CRC for member in self._open().infolist() if not member.is_dir()}

    def _open(self) -> zipfile.ZipFile:
        if self._zip is None or self._zip[0] != os.getpid():
            try:
                self._zip = (os.getpid(), zipfile.ZipFile(self.path))
            except zipfile.BadZipFile as error:
                raise DataError(f"{self.path} is torn or no zip file ({error}); fetch it anew") from None
        return self._zip[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_zip": None}


def _read_index(archive: Archive) -> dict[str, Any]:
    """The content of ``dataset.json``, checked; ``labels`` is always a list of (path, class)."""
    pictures = [name for name in archive.names if name.lower().endswith(SUFFIXES)]
    index: dict[str, Any] = {}
    if INDEX in archive.names:
        try:
            index = json.loads(archive.read(INDEX))
        except ValueError as error:
            raise DataError(f"{archive.path}: {INDEX} is torn ({error}); write it anew") from None
    if not index.get("labels"):
        index["labels"] = [(name, 0) for name in pictures]
    _check_labels(archive, index["labels"])
    return index


def _check_labels(archive: Archive, labels: Any) -> None:
    try:
        names = [str(name) for name, label in labels if int(label) >= 0]
    except (TypeError, ValueError):
        raise DataError(f'{archive.path}: "labels" of {INDEX} must be [[path, class number], ...] with classes from 0'
                        ) from None
    if len(names) != len(labels):
        raise DataError(f"{archive.path}: {INDEX} has {len(labels) - len(names)} negative class numbers")
    if not names:
        raise DataError(f"{archive.path} holds no images ({', '.join(SUFFIXES)})")
    missing = sorted(set(names) - set(archive.names))
    if missing:
        raise DataError(f"{archive.path}: {len(missing)} images that {INDEX} lists are missing, the first is {missing[0]}")


def _rows_of(index: Mapping[str, Any], split: str | None, path: Path) -> list[int]:
    everything = range(len(index["labels"]))
    if split is None:
        return list(everything)
    if "split" not in index:
        raise DataError(f"{path}: {INDEX} has no key 'split', so it has no {split!r} part: leave split out for all "
                        f"images, or give one file for each part")
    names, values = index["split"]["names"], index["split"]["values"]
    if split not in names:
        raise DataError(f"{path}: split={split!r} is not one of its parts: {', '.join(names)}")
    return [i for i in everything if values[i] == names.index(split)]


def _known(index: Mapping[str, Any], rows: Sequence[int], path: Path) -> dict[str, Any]:
    """Constructor arguments of ImageSet that the index holds, for some rows of it."""
    labels = [int(label) for _, label in index["labels"]]
    factors = index.get("factors") or {}
    captions = index.get("captions")
    return {
        "labels": [labels[i] for i in rows],
        "classes": index.get("classes") or [f"class {i}" for i in range(max(labels) + 1)],
        "title": index.get("title") or path.stem,
        "factors": {name: [factor["values"][i] for i in rows] for name, factor in factors.items()},
        "factor_names": {name: factor["names"] for name, factor in factors.items()},
        "captions": None if captions is None else [captions[i] for i in rows],
        "license": index.get("license") or "",
    }


def write_zip(path: str | Path, images: Iterable[tuple[str, Image]], index: Mapping[str, Any]) -> None:
    """Write (name, uint8 image) pairs and ``index`` as a zip with ``dataset.json``, whole or not at all.

    Bytes depend on the content (and on Pillow's and zlib's versions) only: fixed dates, the order given.
    """
    path = Path(path)
    part = path.with_suffix(path.suffix + ".part")
    with zipfile.ZipFile(part, "w") as archive:
        for name, image in images:
            _write(archive, name, encode_png(image), zipfile.ZIP_STORED)
        text = json.dumps(dict(index), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        _write(archive, INDEX, text.encode(), zipfile.ZIP_DEFLATED)
    os.replace(part, path)


def _write(archive: zipfile.ZipFile, name: str, data: bytes, compression: int) -> None:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = compression
    member.external_attr = 0o644 << 16
    member.create_system = 3
    archive.writestr(member, data, compresslevel=9)
