"""CIFAR-10 and CIFAR-100, from whatever form they lie in."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from toolbox.data.base import ArraySet, DataError, Image, ImageSet, chosen_split
from toolbox.data.files import check_class_count
from toolbox.data.folder import ImageFolder
from toolbox.data.found import Found
from toolbox.data.pickles import MOST_BYTES, load_arrays

_URL = "https://www.cs.toronto.edu/~kriz/"
_ROW = 3 * 32 * 32
_MOST_BYTES = 3 * 10**8  # in an archive; the published ones hold 186 MB


@dataclass(frozen=True)
class _Layout:
    """How one of the two sets is published."""

    title: str
    root: str
    folder: str
    archive: str
    md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    label_key: str
    names_key: str
    n_classes: int

    def files(self, split: str) -> tuple[str, ...]:
        return self.train if split == "train" else self.test


_TEN = _Layout(
    title="CIFAR-10",
    root="data/cifar10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    label_key="labels",
    names_key="label_names",
    n_classes=10,
)
_HUNDRED = _Layout(
    title="CIFAR-100",
    root="data/cifar100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    train=("train",),
    test=("test",),
    meta="meta",
    label_key="fine_labels",
    names_key="fine_label_names",
    n_classes=100,
)


class Cifar(Found):
    """What CIFAR-10 and CIFAR-100 share: finds the data, or its replacement, and then is what was found.

    Looked for under ``root``, in this order: the published python pickles (in their folder, or directly), the
    published ``.tar.gz`` (extracted, its members checked), ``train/<class>/*.png`` with
    ``test/<class>/*.png``; then the download.

    Args:
        root: where to look, and where to download to; None: data/cifar10 or data/cifar100.
        split: 'train' (50,000 images) or 'test' (10,000).
        train: torchvision's word for it; overrules ``split``.
        image_size: pixels, 32 as published.
        download: fetch the archive when nothing is found (needs a network).
        fallback: config of the data set to use when nothing is found and nothing can be fetched; it gets this
            ``split`` and ``image_size`` unless it names its own. The result says so: ``notice``, ``title``
            and ``embedded``.

    Raises:
        DataError: when a file is torn or missing beside others, for a wrong number of classes, and when
            nothing is found without a fallback.
    """

    _layout: _Layout

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "train",
        train: bool | None = None,
        image_size: int = 32,
        download: bool = False,
        fallback: Mapping[str, Any] | ImageSet | None = None,
    ) -> None:
        split = chosen_split(split, train)
        root = Path(root or self._layout.root)
        tried = "download is off"
        found = _find(root, self._layout, split, image_size)
        if found is None and download:
            tried = _download(root, self._layout)
            found = _find(root, self._layout, split, image_size)
        notice = ""
        if found is None:
            missing = f"{self._layout.title} not found in {root} and {tried}"
            found = _replacement(fallback, split, image_size, missing)
            notice = f"{missing}: using {found.title}"
        super().__init__(found, notice)


class CIFAR10(Cifar):
    """CIFAR-10 (Krizhevsky 2009): 10 classes, 32 x 32. Arguments: see :class:`Cifar`."""

    _layout = _TEN


class CIFAR100(Cifar):
    """CIFAR-100 (Krizhevsky 2009): 100 classes, 32 x 32; factor 'superclass' (20).

    Arguments: see :class:`Cifar`.
    """

    _layout = _HUNDRED


def _replacement(
    fallback: Mapping[str, Any] | ImageSet | None, split: str, image_size: int, missing: str
) -> ImageSet:
    if fallback is None:
        raise DataError(
            f"{missing}: put the extracted archive, the archive, or train/<class>/*.png there, set "
            f"download=True where there is a network, or name a fallback data set"
        )
    if isinstance(fallback, Mapping):
        from toolbox.registry import build

        return build({"split": split, "image_size": image_size, **fallback}, "dataset")
    return fallback


def _find(root: Path, layout: _Layout, split: str, image_size: int) -> ImageSet | None:
    folder = _pickle_folder(root, layout)
    if folder is None and (root / layout.archive).is_file():
        _extract(root / layout.archive, layout)
        folder = root / layout.folder
    if folder is not None:
        return _read_pickles(folder, layout, split, image_size)
    if (root / "train").is_dir():
        return ImageFolder(root, split, image_size=image_size, classes=layout.n_classes, title=layout.title)
    return None


def _pickle_folder(root: Path, layout: _Layout) -> Path | None:
    """Where the pickles lie.

    A folder that lacks some of them counts only when there is no archive to fill it from.
    """
    wanted = {*layout.train, *layout.test, layout.meta}
    for folder in (root / layout.folder, root):
        present = {name for name in wanted if (folder / name).is_file()}
        if present == wanted or (present and not (root / layout.archive).is_file()):
            return folder
    return None


def _read_pickles(folder: Path, layout: _Layout, split: str, image_size: int) -> ImageSet:
    missing = [name for name in (*layout.files(split), layout.meta) if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)}: the {layout.title} there is incomplete; extract "
            f"{layout.archive} anew, or put it beside and remove the folder"
        )
    meta = load_arrays(folder / layout.meta)
    names = _names(meta, layout.names_key, folder / layout.meta)
    check_class_count(f"{layout.title} in {folder / layout.meta}", names, layout.n_classes)
    paths = [folder / name for name in layout.files(split)]
    parts = [load_arrays(path) for path in paths]
    images = [_images(part, path) for part, path in zip(parts, paths, strict=True)]
    labels = [
        _labels(part, layout.label_key, layout.n_classes, path)
        for part, path in zip(parts, paths, strict=True)
    ]
    known = _superclasses(meta, parts, paths, folder / layout.meta)
    return ArraySet(np.concatenate(images), np.concatenate(labels), names, image_size, layout.title, **known)


def _images(part: Mapping[str, Any], path: Path) -> Image:
    """(N, 32, 32, 3) from rows of 1024 red, 1024 green and 1024 blue values."""
    data = part.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _ROW:
        shape = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{path} is torn: 'data' must be uint8 (N, {_ROW}), it is {shape}; fetch it anew")
    return np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _labels(part: Mapping[str, Any], key: str, n_classes: int, path: Path) -> np.ndarray:
    if key not in part:
        raise DataError(
            f"{path} has no {key!r} (it has {', '.join(sorted(part))}): it is a batch of another data set"
        )
    values = part[key]
    numbers = values.tolist() if isinstance(values, np.ndarray) and values.ndim == 1 else values
    if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < n_classes for n in numbers):
        raise DataError(f"{path} is torn: {key!r} must be class numbers 0 to {n_classes - 1}; fetch it anew")
    if len(numbers) != len(part["data"]):
        raise DataError(
            f"{path} is torn: {len(part['data'])} images but {len(numbers)} labels; fetch it anew"
        )
    return np.array(numbers, dtype=np.int64)


def _superclasses(
    meta: Mapping[str, Any], parts: list[dict[str, Any]], paths: list[Path], meta_path: Path
) -> dict[str, Any]:
    key = "coarse_labels"
    names = _names(meta, "coarse_label_names", meta_path)
    if not names or any(key not in part for part in parts):
        return {}
    values = [_labels(part, key, len(names), path) for part, path in zip(parts, paths, strict=True)]
    return {"factors": {"superclass": np.concatenate(values)}, "factor_names": {"superclass": names}}


def _names(meta: Mapping[str, Any], key: str, path: Path) -> list[str]:
    names = meta.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, (str, bytes)) for name in names):
        raise DataError(f"{path} is torn: {key!r} must be a list of names; fetch it anew")
    texts = (name.decode("latin1") if isinstance(name, bytes) else name for name in names)
    return [text.replace("_", " ") for text in texts]


def _extract(archive: Path, layout: _Layout) -> None:
    """The pickles of the archive, and nothing else of it, each written whole or not at all."""
    target = archive.parent / layout.folder
    names = (*layout.train, *layout.test, layout.meta)
    wanted = {f"{layout.folder}/{name}": target / name for name in names}
    try:
        # in a stream, with a bound: sizes that members declare, and what the archive inflates to, may be lies
        with gzip.open(archive) as packed, tarfile.open(fileobj=_bounded(packed), mode="r|") as tar:
            for member in tar:
                if member.isreg() and member.name in wanted:
                    _write_member(tar, member, wanted.pop(member.name))
                if not wanted:
                    break
    except Exception as error:  # a torn archive raises almost anything
        raise DataError(
            f"{archive} is torn or cannot be extracted ({error}): fetch it anew, or free disk"
        ) from None
    if wanted:
        raise DataError(
            f"{archive} lacks {', '.join(sorted(wanted))}: it is not {layout.title}'s archive, or torn"
        )


class _Bounded:
    """A stream of which no more is read than a data set can hold."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = _MOST_BYTES

    def read(self, n: int = -1, /) -> bytes:
        data = self._stream.read(min(n, 2**20) if n >= 0 else 2**20)
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.TarError(f"it holds more than {_MOST_BYTES:,} bytes")
        return data


def _bounded(stream: gzip.GzipFile) -> IO[bytes]:
    return cast(IO[bytes], _Bounded(stream))  # of a file, tarfile uses read() when it streams


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.size > MOST_BYTES:
        raise tarfile.TarError(f"{member.name} claims {member.size} bytes")
    data = tar.extractfile(member).read()  # type: ignore[union-attr]
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def _download(root: Path, layout: _Layout) -> str:
    """Fetch the archive, md5 checked. Returns why not, for the notice, when there is no network."""
    from toolbox.compat import import_torchvision, reachable

    if not reachable(_URL):
        return "no network"

    import_torchvision()
    from torchvision.datasets.utils import download_url

    try:
        download_url(_URL + layout.archive, str(root), layout.archive, layout.md5)
    except (OSError, RuntimeError) as error:
        return f"the download failed ({error})"
    return "the download did not help"
