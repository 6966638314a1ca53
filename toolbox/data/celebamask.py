"""CelebAMask-HQ as its authors lay it out: faces at 1024 pixels, a picture for each part of each face."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from toolbox.data.base import DataError, Mask, checked_mask
from toolbox.data.files import FileSet
from toolbox.data.pictures import open_picture, picture_shape

IMAGES, MASKS, MAPPING = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno", "CelebA-HQ-to-CelebA-mapping.txt"
FACES = 30_000
SPLITS = ("train", "val", "test")
#: KLiSH's 15 classes: sides are merged; 'mouth' is what shows between the lips.
PARTS = (
    *("background", "skin", "nose", "eye_g", "eye", "brow", "ear", "mouth", "u_lip", "l_lip", "hair", "hat"),
    *("ear_r", "neck", "cloth"),
)
#: Parts of the files, later ones over earlier ones, and the class of each.
LAYERS = {
    **{name: name for name in ("skin", "nose", "eye_g")},
    **{f"{side}_{name}": name for name in ("eye", "brow", "ear") for side in "lr"},
    **{name: name for name in ("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r")},
    "neck_l": "neck",
    **{name: name for name in ("neck", "cloth")},
}
_FOLDER = 2000  # faces whose masks share a folder
_LAST = {"train": 162_770, "val": 182_637}  # numbers of CelebA


class CelebAMaskHQ(FileSet):
    """``root/CelebA-HQ-img/0.jpg`` with ``root/CelebAMask-HQ-mask-anno/0/00000_skin.png``, ...

    Faces are split by their numbers in CelebA, as CelebA is. All are of one class.

    Args:
        root: the folder that holds both, and ``CelebA-HQ-to-CelebA-mapping.txt``.
        split: 'train', 'val' or 'test'; ``train`` overrules it.
        image_size: pixels (KLiSH: 512).
        images: how many, the first of the split; None = all.
        cache: keep decoded images in memory, uint8.

    Raises:
        DataError: when something is missing (``toolbox data FOLDER --layout celebamask`` lists all), or a
            face has no mask at all.
    """

    part_names = PARTS

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        train: bool | None = None,
        image_size: int = 512,
        images: int | None = None,
        cache: bool = False,
    ) -> None:
        root = Path(root)
        self.root = root
        self.split = _split(split, train)
        chosen = [face for face, number in read_mapping(root).items() if split_of(number) == self.split]
        faces = sorted(chosen)[:images]
        _check_folders(root)
        self._faces = faces
        self._masks = masks_of(root, {face // _FOLDER for face in faces})
        _check_faces(root, self.split, faces, self._masks)
        names = [f"{face}.jpg" for face in faces]
        labels = np.zeros(len(names), dtype=np.int64)
        super().__init__(
            root / IMAGES, names, labels, ["face"], f"CelebAMask-HQ ({self.split})", image_size, None, cache
        )

    def mask(self, i: int) -> Mask:
        face = self._faces[i]
        merged: Mask | None = None
        for layer, part in LAYERS.items():
            if layer in self._masks[face]:
                merged = _painted(merged, mask_file(self.root, face, layer), PARTS.index(part))
        assert merged is not None  # there is a file for each face
        size = (self.image_size, self.image_size)
        return np.array(Pillow.fromarray(merged).resize(size, Pillow.Resampling.NEAREST))

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        shape = super().look_at(i, whole)
        if whole:
            checked_mask(self, i)
        return shape

    def _read(self, name: str) -> Path:
        return self.path / name

    def _checksum(self, name: str) -> tuple[int, ...]:
        face = int(Path(name).stem)
        masks = (mask_file(self.root, face, layer).stat().st_size for layer in sorted(self._masks[face]))
        return self._read(name).stat().st_size, *masks


def read_mapping(root: Path) -> dict[int, int]:
    """{face: its number in CelebA}, of the file beside the pictures.

    Raises:
        DataError: for a file that is missing, or a line that is not two numbers and a name.
    """
    file = root / MAPPING
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read ({error}): it splits the faces as CelebA is split") from None
    found = {}
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not (words[0].isdigit() and words[1].isdigit()):
            raise DataError(f"{file}: line {number} is {line!r}, expected 'idx orig_idx orig_file'")
        found[int(words[0])] = int(words[1])
    if not found:
        raise DataError(f"{file} names no faces")
    return found


def split_of(number: int) -> str:
    """The split of a number of CelebA."""
    return next((split for split, last in _LAST.items() if number <= last), "test")


def mask_file(root: Path, face: int, layer: str) -> Path:
    """Where the picture of one part of one face lies."""
    return root / MASKS / str(face // _FOLDER) / f"{face:05d}_{layer}.png"


def masks_of(root: Path, folders: Iterable[int]) -> dict[int, set[str]]:
    """{face: parts that have a picture} of some of the 15 folders of masks."""
    found: dict[int, set[str]] = defaultdict(set)
    for number in folders:
        folder = root / MASKS / str(number)
        for file in folder.glob("*_*.png") if folder.is_dir() else ():
            face, _, layer = file.stem.partition("_")
            if face.isdigit() and layer in LAYERS:
                found[int(face)].add(layer)
    return found


def _painted(merged: Mask | None, file: Path, part: int) -> Mask:
    """A part over those before it."""
    try:
        with open_picture(file, formats=("PNG",)) as opened:
            values = np.array(opened.convert("L"))
    except Exception as error:  # a torn picture raises almost anything
        raise DataError(f"{file} is not a readable mask ({error}): it must be a whole PNG") from None
    if values.shape[0] != values.shape[1]:
        raise DataError(f"{file} is {values.shape[1]}x{values.shape[0]} pixels: masks of faces are square")
    if merged is None:
        merged = np.zeros(values.shape, dtype=np.uint8)
    if values.shape != merged.shape:
        sides = f"{values.shape[0]} pixels a side, other parts of the face have {merged.shape[0]}"
        raise DataError(f"{file} has {sides}")
    merged[values > 0] = part
    return merged


def _split(split: str, train: bool | None) -> str:
    if train is not None:
        return "train" if train else "test"
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: it is one of {', '.join(map(repr, SPLITS))}")
    return split


def _check_folders(root: Path) -> None:
    for name in (IMAGES, MASKS):
        if not (root / name).is_dir():
            raise DataError(f"{root} has no folder {name}: is this CelebAMask-HQ, unpacked?")


def _check_faces(root: Path, split: str, faces: Sequence[int], masks: dict[int, set[str]]) -> None:
    if not faces:
        raise DataError(f"{root / MAPPING} names no faces of the {split} split")
    missing = [face for face in faces if not (root / IMAGES / f"{face}.jpg").is_file()]
    if missing:
        raise DataError(f"{root / IMAGES}: {len(missing):,} pictures are missing, such as {missing[0]}.jpg")
    bare = [face for face in faces if not masks.get(face)]
    if bare:
        wanted = mask_file(root, bare[0], "skin")
        raise DataError(f"{len(bare):,} faces of {root} have no mask, such as {bare[0]}: where is {wanted}?")


def broken_files(root: Path, faces: Sequence[int], masks: dict[int, set[str]]) -> Iterable[tuple[Path, str]]:
    """(file, what is wrong) of pictures and masks whose headers cannot be read; pixels are not decoded."""
    for face in faces:
        files = [root / IMAGES / f"{face}.jpg"]
        files += [mask_file(root, face, layer) for layer in sorted(masks.get(face, ()))]
        for file in files:
            try:
                picture_shape(file, file.name, stored=True)
            except (OSError, ValueError) as error:
                yield file, str(error)
