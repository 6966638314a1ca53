"""The zip (or folder) with ``dataset.json`` that StyleGAN users have: reading it and writing it."""

from __future__ import annotations

import json
import os
import reprlib
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from toolbox.data.base import DataError, Image, chosen_split, text_list
from toolbox.data.files import FileSet, check_class_count
from toolbox.data.pictures import MOST_BYTES, SUFFIXES, Color, encode_png

INDEX = "dataset.json"
MOST_CLASSES = 100_000  # ImageNet's largest set has 22,000
_ENCRYPTED = 0x2041  # bits of a member's flags: encrypted, strongly, and its listing too
_MOST_INFLATED = 1100  # deflate cannot do more than 1032
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

    Args:
        path: of the zip or folder.
        held: keep the zip open; False: it is opened for each read, where many archives are in use.
    """

    def __init__(self, path: Path, held: bool = True) -> None:
        self.path = path
        self._held = held
        if not path.exists():
            raise DataError(f"{path} is missing: give the zip file, or the folder that holds {INDEX}")
        self._is_folder = path.is_dir()
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        self._checksums = self._list()

    @property
    def names(self) -> list[str]:
        """All members, sorted."""
        return sorted(self._checksums)

    def __contains__(self, name: str) -> bool:
        return name in self._checksums

    def checksum(self, name: str) -> int:
        """CRC-32 of a zip's member (its own); size of a folder's file (reading all would take too long)."""
        return self._checksums[name]

    def check(self, name: str) -> None:
        """Whether a member can be read, by what the archive says of it.

        Raises:
            DataError: when it is encrypted, packed in a way that has no bounds, or too large.
        """
        if self._is_folder:
            size, fault = self._checksums[name], ""
        else:
            member = self._open().getinfo(name)
            size, fault = member.file_size, _fault(member)
        if size > MOST_BYTES:
            fault = f"has {size:,} bytes, more than {MOST_BYTES:,}: it is no picture"
        if fault:
            raise DataError(f"{self.path}: {name} {fault}")

    def read(self, name: str) -> bytes:
        """Bytes of a member.

        Raises:
            DataError: when it is torn (a zip's CRC notices a flipped bit) or cannot be read (:meth:`check`).
        """
        self.check(name)
        if self._is_folder:
            return (self.path / name).read_bytes()
        try:
            with self._open().open(name) as member:  # a length, since read() alone inflates without bounds
                return member.read(self._open().getinfo(name).file_size)
        except Exception as error:  # a torn archive raises almost anything
            raise DataError(f"{self.path}: {name} is torn ({error}); fetch the file anew") from None

    def _list(self) -> dict[str, int]:
        if self._is_folder:
            files = (file for file in self.path.rglob("*") if file.is_file())
            return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}
        members = [member for member in self._open().infolist() if not member.is_dir()]
        found = {member.filename: member.CRC for member in members}
        if len(found) < len(members):
            twice, _ = Counter(member.filename for member in members).most_common(1)[0]
            raise DataError(f"{self.path} holds {twice!r} more than once: write it anew")
        return found

    def _open(self) -> zipfile.ZipFile:
        # A forked child shares the file offset of its parent's handle: the two would read each other's bytes.
        if self._zip is None or self._zip[0] != os.getpid():
            try:
                file = self.path if self._held else cast(IO[bytes], _Reopened(self.path))
                self._zip = (os.getpid(), zipfile.ZipFile(file))
            except (FileNotFoundError, PermissionError):
                raise
            except Exception as error:  # a torn archive raises almost anything
                raise DataError(f"{self.path} is torn or no zip file ({error}); fetch it anew") from None
        return self._zip[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_zip": None}


class _Reopened:
    """A file for ``zipfile`` that is open while it is read, and no longer."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._size = path.stat().st_size
        self._place = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(f"{self.name}: there is no place {start + offset}")
        self._place = start + offset
        return self._place

    def read(self, n: int = -1) -> bytes:
        with open(self.name, "rb") as file:
            file.seek(self._place)
            data = file.read(n)
        self._place += len(data)
        return data

    def close(self) -> None:
        """Nothing is open."""


def _fault(member: zipfile.ZipInfo) -> str:
    """Why a member is not read, else ''."""
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted: pack the archive anew without a password"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed by another method than deflate: pack the archive anew"
    if member.file_size > _MOST_INFLATED * max(member.compress_size, 1):
        return (
            f"claims to inflate {member.compress_size:,} bytes to {member.file_size:,}: the archive is torn"
        )
    return ""


def _read_index(archive: Archive) -> dict[str, Any]:
    """The content of ``dataset.json``, checked; ``labels`` is always a list of (path, class)."""
    index = _parse(archive) if INDEX in archive else {}
    if not isinstance(index, dict):
        raise DataError(f'{archive.path}: {INDEX} must be {{"labels": ...}}, not a {type(index).__name__}')
    for key, kind in (("title", str), ("license", str), ("factors", dict), ("split", dict)):
        if not isinstance(index.get(key) or kind(), kind):
            raise DataError(f"{archive.path}: {key!r} of {INDEX} must be a {kind.__name__}")
    if index.get("labels") in (None, []):
        index["labels"] = [(name, 0) for name in archive.names if name.lower().endswith(SUFFIXES)]
    _check_labels(archive, index["labels"])
    for name, factor in _factors(index).items():
        _check_factor(archive.path, name, factor, len(index["labels"]))
    return index


def _parse(archive: Archive) -> Any:
    """``dataset.json``; what is far too large for the images that are there is not parsed."""
    text = archive.read(INDEX)
    n = len(archive.names)
    if len(text) > 2**20 + 2048 * n or text.count(b"[") + text.count(b"{") > 1000 + 16 * n:
        raise DataError(f"{archive.path}: {INDEX} of {len(text):,} bytes is too much for {n:,} files")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{archive.path}: {INDEX} is torn ({error}); write it anew") from None


def _check_labels(archive: Archive, labels: Any) -> None:
    if not isinstance(labels, list) or not all(map(_is_label, labels)):
        wrong = (
            next((row for row in labels if not _is_label(row)), "") if isinstance(labels, list) else labels
        )
        raise DataError(
            f'{archive.path}: "labels" of {INDEX} must be [[path, class number], ...], classes from 0 to '
            f"{MOST_CLASSES - 1:,}, not {reprlib.repr(wrong)}"
        )
    names = [name for name, _ in labels]
    if not names:
        raise DataError(f"{archive.path} holds no images ({', '.join(SUFFIXES)})")
    missing = sorted(name for name in set(names) if name not in archive)
    if missing:
        raise DataError(
            f"{archive.path}: {len(missing)} images that {INDEX} lists are missing, the first is {missing[0]}"
        )
    twice, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"{archive.path}: {INDEX} labels {twice!r} {times} times: an image has one label")
    for name in names:
        archive.check(name)


def _is_label(row: Any) -> bool:
    if not isinstance(row, (list, tuple)) or len(row) != 2:
        return False
    name, label = row
    return isinstance(name, str) and type(label) is int and 0 <= label < MOST_CLASSES


def _factors(index: Mapping[str, Any]) -> dict[str, Any]:
    split = {"split": index["split"]} if index.get("split") else {}
    return {**(index.get("factors") or {}), **split}


def _check_factor(path: Path, name: str, factor: Any, n: int) -> None:
    try:
        names = text_list(factor["names"], "names")
        values = factor["values"]
        fits = len(values) == n and all(type(value) is int and 0 <= value < len(names) for value in values)
    except (TypeError, KeyError, DataError):
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
    labels = [label for _, label in index["labels"]]
    factors = index.get("factors") or {}
    captions = index.get("captions")
    if captions is not None and not isinstance(captions, list):
        raise DataError(f"{path}: 'captions' of {INDEX} must be a list of texts for each image")
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
    with open(part, "wb") as file, zip_members(file) as add:
        for name, image in images:
            add(name, encode_png(image))
        add(INDEX, index_bytes(index))
    os.replace(part, path)


@contextmanager
def zip_members(file: IO[bytes]) -> Iterator[Callable[[str, bytes], None]]:
    """A zip that is written into an open file: what is given takes the name and bytes of a member.

    Members have no date and keep their order, so that equal content gives equal bytes. Pictures are stored
    as they are, an index is packed.
    """
    with zipfile.ZipFile(file, "w") as archive:
        yield lambda name, data: _write(archive, name, data, _packing(name))


def index_bytes(index: Mapping[str, Any]) -> bytes:
    """The content of a ``dataset.json``."""
    return json.dumps(dict(index), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _packing(name: str) -> int:
    return zipfile.ZIP_STORED if name.lower().endswith(SUFFIXES) else zipfile.ZIP_DEFLATED


def _write(archive: zipfile.ZipFile, name: str, data: bytes, compression: int) -> None:
    member = zipfile.ZipInfo(name, _FIRST_DAY)
    member.compress_type = compression
    member.external_attr = 0o644 << 16
    member.create_system = 3
    archive.writestr(member, data, compresslevel=9)
