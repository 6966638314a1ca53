"""Any folder of class folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolbox.data.base import DataError, chosen_split
from toolbox.data.files import FileSet, check_class_count
from toolbox.data.pictures import SUFFIXES, Color

_PART_NAMES = {"train": ("train", "training"), "test": ("test", "valid", "val", "validation")}


class ImageFolder(FileSet):
    """``root/<class>/**/*.png`` (or jpg, webp, ...), or the same in ``root/train`` and ``root/test``.

    Classes are the sorted names of the sub-folders; underscores become blanks, as prompts need them. Pictures
    are cut to the largest centred square and resized with Pillow's antialiased Lanczos filter.

    Args:
        root: the folder.
        split: 'train' or 'test' (also found as 'valid' or 'val'). A root without such parts is all training
            data.
        train: torchvision's word for it; overrules ``split``.
        image_size: pixels.
        classes: how many classes there must be; None: not checked.
        background: what lies under transparent pixels, for example 'white'; None refuses them.
        title: name for people; None: the root's.
        cache: keep decoded images in memory, uint8.

    Raises:
        DataError: when the folder is missing, holds no class folders or an empty one, or a picture cannot be
            read.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        train: bool | None = None,
        image_size: int = 32,
        classes: int | None = None,
        background: Color | None = None,
        title: str | None = None,
        cache: bool = False,
    ) -> None:
        root = Path(root)
        folder = part_folder(root, chosen_split(split, train))
        found = class_folders(folder)
        check_class_count(str(folder), list(found), classes)
        names: list[str] = []
        labels: list[int] = []
        for label, files in enumerate(found.values()):
            names += files
            labels += [label] * len(files)
        titles = class_titles(folder, list(found))
        super().__init__(folder, names, labels, titles, title or root.name, image_size, background, cache)

    def _read(self, name: str) -> Path:
        return self.path / name

    def _checksum(self, name: str) -> int:
        return (self.path / name).stat().st_size


def part_folder(root: Path, split: str) -> Path:
    """The part of ``root`` that is called 'train' or 'test' there; a root without parts is its own 'train'.

    Raises:
        DataError: when the root or the part is missing.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the folder that holds one sub-folder for each class")
    parts: dict[str, Path] = {}
    for part, names in _PART_NAMES.items():
        present = [root / name for name in names if (root / name).is_dir()]
        if present:
            parts[part] = present[0]
    if split in parts:
        return parts[split]
    if parts or split == "test":
        raise DataError(
            f"{root} has no {split} part: make a sub-folder {split!r} that holds one folder for each class"
        )
    return root


def class_folders(folder: Path) -> dict[str, list[str]]:
    """{class folder: its pictures, relative to ``folder``}, both sorted.

    Raises:
        DataError: when there is no class folder, or one without pictures.
    """
    folders = [child.name for child in folder.iterdir() if child.is_dir()]
    names = sorted(name for name in folders if not name.startswith("."))
    if not names:
        raise DataError(
            f"{folder} has no sub-folders: put the images of each class into a folder of the class's name"
        )
    found = {name: _pictures(folder, name) for name in names}
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise DataError(
            f"{folder}: class folder {empty[0]!r} holds no images ({', '.join(SUFFIXES)}): fill or remove it"
        )
    return found


def class_titles(folder: Path, names: Sequence[str]) -> list[str]:
    """The class of each class folder: its name, blanks for underscores.

    Raises:
        DataError: when two folders make one class.
    """
    first: dict[str, str] = {}
    for name in names:
        title = name.replace("_", " ")
        if title in first:
            raise DataError(
                f"{folder}: the folders {first[title]!r} and {name!r} are both the class {title!r} "
                "(underscores are read as blanks): rename one, or merge them"
            )
        first[title] = name
    return list(first)


def _pictures(folder: Path, name: str) -> list[str]:
    pictures = (file for file in (folder / name).rglob("*") if file.suffix.lower() in SUFFIXES)
    return sorted(file.relative_to(folder).as_posix() for file in pictures if file.is_file())
