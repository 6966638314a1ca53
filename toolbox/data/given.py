"""What lies at a path that somebody names as data: which of our readers reads it, and what parts it has."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolbox.catalog import near_miss
from toolbox.data.base import DataError
from toolbox.data.folder import class_folders, part_folder
from toolbox.data.mask_shards import RECORD, MaskShards
from toolbox.data.pictures import SUFFIXES
from toolbox.data.zipped import INDEX, ZippedImages

_NAMES = "part_names.txt"


@dataclass(frozen=True)
class GivenData:
    """A folder or zip, in the words of a config.

    Attributes:
        path: of it.
        train, test: data sets without ``image_size``; None = there is no such part.
        classes: names of its classes; () = images of one kind, not told apart.
        has_masks: whether each image has a mask.
    """

    path: Path
    train: Mapping[str, Any]
    test: Mapping[str, Any] | None = None
    classes: Sequence[str] = ()
    has_masks: bool = field(default=False)


def look_at(path: str | Path, masks: bool = False) -> GivenData:
    """What a folder or zip holds.

    A zip or a folder with ``dataset.json``; a folder of class folders; a folder of images; folders ``images``
    and ``masks``. Each folder may have the parts ``train`` and ``test``. A folder of pairs (``pairs.json``).

    Args:
        path: of the folder or zip; relative ones are made absolute.
        masks: they are wanted; images that have some are else taken without.

    Raises:
        DataError: for a path that is missing, or holds nothing of that.
    """
    path = Path(path).absolute()
    if not path.exists():
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path} does not exist{near_miss(path.name, siblings)}")
    if not path.is_dir() and not zipfile.is_zipfile(path):
        raise DataError(f"{path} is neither a folder nor a zip file of images")
    is_indexed = not path.is_dir() or (path / INDEX).is_file()
    found = _indexed(path) if is_indexed else _folder(path, masks)
    if masks and not found.has_masks:
        raise DataError(f"{path} has no masks, which the config trains on: it needs folders images and masks")
    return found


def _indexed(path: Path) -> GivenData:
    """A zip, or a folder with an index."""
    train: dict[str, Any] = dict(type="ZippedImages", path=str(path))
    test = _if_readable({**train, "split": "test"})
    if test is not None:
        train["split"] = "train"
    source = ZippedImages(**{key: value for key, value in train.items() if key != "type"})
    return GivenData(path, train, test, source.classes if len(source.classes) > 1 else ())


def _if_readable(config: dict[str, Any]) -> dict[str, Any] | None:
    try:
        ZippedImages(config["path"], split=config["split"])
    except DataError:
        return None
    return config


def _folder(path: Path, masks: bool) -> GivenData:
    if (path / RECORD).is_file():
        return _pairs(path)
    train = part_folder(path, "train")
    test = _test_part(path)
    if (train / "masks").is_dir() and (train / "images").is_dir():
        if masks:
            return _with_masks(path, test)
        train = train / "images"
        test = test / "images" if test else None
    at_top = any(_is_picture(file) for file in train.iterdir())
    if at_top:
        _check_flat(train)
        return GivenData(
            path, _flat(train), _flat(test) if test and any(map(_is_picture, test.iterdir())) else None
        )
    classes = [name.replace("_", " ") for name in class_folders(train)]
    by_class = dict(type="ImageFolder", root=str(path))
    return GivenData(path, by_class, {**by_class, "split": "test"} if test else None, classes)


def _pairs(path: Path) -> GivenData:
    """What ``toolbox klish pairs`` has written; of fewer than ten some part is empty."""
    found = MaskShards(path).classes
    classes = found if len(found) > 1 else ()
    train = dict(type="MaskShards", root=str(path))
    try:
        MaskShards(path, "test")
    except DataError:
        return GivenData(path, train, None, classes, True)
    return GivenData(path, train, {**train, "split": "test"}, classes, True)


def _test_part(path: Path) -> Path | None:
    try:
        return part_folder(path, "test")
    except DataError:
        return None


def _flat(folder: Path) -> dict[str, Any]:
    return dict(type="ZippedImages", path=str(folder))


def _check_flat(folder: Path) -> None:
    """Images beside folders of images: are the folders classes, or not?"""
    inside = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    mixed = next(
        (child.name for child in inside if any(_is_picture(file) for file in child.rglob("*"))), None
    )
    if mixed:
        raise DataError(
            f"{folder} holds images and, in {mixed!r}, further ones: put all into folders, one a class, or "
            "all beside each other"
        )


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file()


def _with_masks(path: Path, test: Path | None) -> GivenData:
    names = path / _NAMES
    if not names.is_file():
        raise DataError(f"{names} is missing: write the name of each part of the masks, from 0, one a line")
    parts = [line.strip() for line in names.read_text(encoding="utf-8").splitlines() if line.strip()]
    train = dict(type="MaskFolder", root=str(path), part_names=parts)
    return GivenData(path, train, {**train, "split": "test"} if test else None, (), True)
