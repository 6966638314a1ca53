"""The zip (or folder) with ``dataset.json`` that StyleGAN users have: reading it and writing it."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolbox.data.base import DataError, Image, chosen_split
from toolbox.data.files import FileSet, check_class_count
from toolbox.data.pictures import SUFFIXES, Color, encode_png

INDEX = "dataset.json"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of the zip format: equal content gives equal bytes


class ZippedImages(FileSet):
    """Images of a zip file or folder with a ``dataset.json`` = ``{"labels": [[path, class], ...]}``.

    Further keys that the toolbox writes and understands, all optional, lists in the order of ``labels``:
    ``classes`` (names), ``split`` and, one level down by name, ``factors`` (``{"names": [...], "values":
    [...]}``), ``captions`` (lists of texts), ``title``, ``license``. With ``"labels": null`` or no index all
    images are one class.

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

    def __init__(
        self,
        path: str | Path,
        split: str | None = None,
        train: bool | None = None,
        image_size: int | None = None,
        classes: int | None = None,
        background: Color | None = None,
        cache: bool = False,
    ) -> None:
        path = Path(path)
        self._archive = Archive(path)
        index = _read_index(self._archive)
        if train is not None:
            split = chosen_split(train=train)
        rows = _rows_of(index, split, path)
        known = _known(index, rows, path)
        check_class_count(str(path), known["classes"], classes)
        super().__init__(path, image_size=image_size, background=background, cache=cache, **known)

    def _read(self, name: str) -> bytes:
        return self._archive.read(name)

    def _checksum(self, name: str) -> int:
        return self._archive.checksum(name)


class Archive:
    """Named members of a zip file or folder.

    May be pickled and forked: each process opens the file for itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise DataError(f"{path} is missing: give the zip file, or the folder that holds {INDEX}")
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        self._checksums = self._list()

    @property
    def names(self) -> list[str]:
        """All members, sorted."""
        return sorted(self._checksums)

    def checksum(self, name: str) -> int:
        """CRC-32 of a zip's member (its own); size of a folder's file (reading all would take too long)."""
        return self._checksums[name]

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
        # A forked child shares the file offset of its parent's handle: the two would read each other's bytes.
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
    index: dict[str, Any] = {}
    if INDEX in archive.names:
        try:
            index = json.loads(archive.read(INDEX))
        except ValueError as error:
            raise DataError(f"{archive.path}: {INDEX} is torn ({error}); write it anew") from None
    if not isinstance(index, dict):
        raise DataError(f'{archive.path}: {INDEX} must be {{"labels": ...}}, not a {type(index).__name__}')
    if not index.get("labels"):
        index["labels"] = [(name, 0) for name in archive.names if name.lower().endswith(SUFFIXES)]
    _check_labels(archive, index["labels"])
    for name, factor in _factors(index).items():
        _check_factor(archive.path, name, factor, len(index["labels"]))
    return index


def _check_labels(archive: Archive, labels: Any) -> None:
    try:
        names = [str(name) for name, label in labels]
        fits = min((int(label) for _, label in labels), default=0) >= 0
    except (TypeError, ValueError):
        names, fits = [], False
    if not fits:
        raise DataError(
            f'{archive.path}: "labels" of {INDEX} must be [[path, class number], ...], classes from 0'
        )
    if not names:
        raise DataError(f"{archive.path} holds no images ({', '.join(SUFFIXES)})")
    missing = sorted(set(names) - set(archive.names))
    if missing:
        raise DataError(
            f"{archive.path}: {len(missing)} images that {INDEX} lists are missing, the first is {missing[0]}"
        )


def _factors(index: Mapping[str, Any]) -> dict[str, Any]:
    split = {"split": index["split"]} if index.get("split") else {}
    return {**(index.get("factors") or {}), **split}


def _check_factor(path: Path, name: str, factor: Any, n: int) -> None:
    try:
        values = factor["values"]
        top = len(factor["names"])
        fits = len(values) == n and all(0 <= value < top for value in values)
    except (TypeError, KeyError):
        fits = False
    if not fits:
        raise DataError(
            f'{path}: {name!r} of {INDEX} must be {{"names": [...], "values": [one index into names for '
            f"each of the {n} images]}}"
        )


def _rows_of(index: Mapping[str, Any], split: str | None, path: Path) -> list[int]:
    everything = range(len(index["labels"]))
    if split is None:
        return list(everything)
    if not index.get("split"):
        raise DataError(
            f"{path}: {INDEX} has no key 'split', so it has no {split!r} part: leave split out for all "
            f"images, or give one file for each part"
        )
    names = index["split"]["names"]
    values = index["split"]["values"]
    if split not in names:
        raise DataError(f"{path}: split={split!r} is not one of its parts: {', '.join(names)}")
    wanted = names.index(split)
    return [i for i in everything if values[i] == wanted]


def _known(index: Mapping[str, Any], rows: Sequence[int], path: Path) -> dict[str, Any]:
    """Constructor arguments of FileSet that the index holds, for some rows of it."""
    labels = [int(label) for _, label in index["labels"]]
    factors = index.get("factors") or {}
    captions = index.get("captions")
    if captions is not None and len(captions) != len(labels):
        raise DataError(f"{path}: {INDEX} has {len(captions)} captions for {len(labels)} images")
    return {
        "names": [index["labels"][i][0] for i in rows],
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
    member = zipfile.ZipInfo(name, _FIRST_DAY)
    member.compress_type = compression
    member.external_attr = 0o644 << 16
    member.create_system = 3
    archive.writestr(member, data, compresslevel=9)
