"""Pictures and masks in numbered zips, as ``toolbox klish pairs`` writes them.

pairs.json                what they are: number, size, part names, where they come from
images/shard-00000.zip    StyleGAN's zip: 00000/img00000000.png (or .jpg), ..., dataset.json
masks/shard-00000.zip     the same names, .png: 8 bits, the number of each pixel's part
latents/shard-00000.npz   what the pictures were made of; not read here
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.catalog import near_miss
from toolbox.data.base import DataError, Image, Mask, checked_mask, chosen_split, digest, text_list
from toolbox.data.files import FileSet
from toolbox.data.masks import decode_mask, square_mask
from toolbox.data.stream import generator
from toolbox.data.zipped import INDEX, Archive

RECORD = "pairs.json"
UNFINISHED = "unfinished.json"  # what the record will be, while shards are still written
PARTS = ("train", "val", "test")
_ANEW = "write it anew by the command that wrote the folder, with --resume"
_SPLIT = 7  # keeps these draws apart from all others


class MaskShards(FileSet):
    """Pairs of pictures and masks, such as images of a generator with their clusters as parts.

    Of ten pictures in a row eight are of the part 'train', one of 'val', one of 'test'; which ones, a
    permutation says that is a function of ``split_seed`` and the ten. So a picture stays where it is when
    more are added. (KLiSH's authors shuffle all and take 80, 10 and 10 %.)

    Pictures that are no squares are cut to the largest centred one, with their masks.

    Args:
        root: the folder.
        split: 'train', 'val', 'test'; None = all.
        train: torchvision's word for 'train' and 'test'; overrules ``split``.
        image_size: pixels; None: as the pictures are (the shorter side).
        images: take the first so many of all; None = all.
        split_seed: of the parts.
        title: name for people; None: the folder's.
        cache: keep decoded images in memory, uint8.

    Raises:
        DataError: when the folder is not finished or another layout, a shard is missing or torn, a picture
            has no mask, or a mask another size or a part that has no name.

    Attributes:
        record: what ``pairs.json`` says.
        numbers: (N,) int64, the number in the folder of each image.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = "train",
        train: bool | None = None,
        image_size: int | None = None,
        images: int | None = None,
        split_seed: int = 0,
        title: str | None = None,
        cache: bool = False,
    ) -> None:
        self.path = root = Path(root)
        self.split = split if train is None else chosen_split(train=train)
        self.record = read_record(root)
        self.part_names = text_list(self.record["part_names"], f"{root / RECORD}: part_names")
        self.numbers = _numbers(root, self.record["images"], images, self.split, split_seed)
        self._archives: dict[tuple[str, int], Archive] = {}
        names = [self._name(int(i)) for i in self.numbers]
        for i, name in zip(self.numbers.tolist(), names, strict=True):
            self._check_there(i, name)
        classes = self.record.get("classes") or ["image"]
        labels = self._labels(names) if len(classes) > 1 else np.zeros(len(names), dtype=np.int64)
        super().__init__(root, names, labels, classes, title or root.name, image_size, None, cache)
        self._shape = _shape(self.record) or self._decode(0).shape[:2]  # (H, W) of all files

    def mask(self, i: int) -> Mask:
        name = self._names[i]
        member = _mask_name(name)
        where = f"{self.path / 'masks'}: {member}"
        values = decode_mask(self._archive("masks", self._shard(name)).read(member), where)
        self._check_shape(where, values.shape)
        return square_mask(values, self.image_size)

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        shape = super().look_at(i, whole)
        if whole:
            checked_mask(self, i)
        return shape

    def fingerprint(self) -> str:
        return digest(super().fingerprint(), list(self.part_names))

    def _check_size(self, i: int, image: Image) -> None:
        self._check_shape(f"{self.path / 'images'}: {self._names[i]}", image.shape[:2])

    def _check_shape(self, where: str, shape: tuple[int, ...]) -> None:
        if shape != self._shape:
            height, width = self._shape
            raise DataError(
                f"{where} is {shape[1]}x{shape[0]} pixels, not {width}x{height}: all images and masks of a "
                "folder are of one size"
            )

    def _read(self, name: str) -> bytes:
        return self._archive("images", self._shard(name)).read(name)

    def _checksum(self, name: str) -> tuple[int, int]:
        shard = self._shard(name)
        mask = self._archive("masks", shard).checksum(_mask_name(name))
        return self._archive("images", shard).checksum(name), mask

    def _name(self, i: int) -> str:
        return picture_name(i, self.record.get("suffix", ".png"))

    def _shard(self, name: str) -> int:
        return number_of(name) // int(self.record["shard"])

    def _archive(self, kind: str, shard: int) -> Archive:
        if (kind, shard) not in self._archives:
            self._archives[kind, shard] = _opened(shard_file(self.path, kind, shard))
        return self._archives[kind, shard]

    def _check_there(self, i: int, name: str) -> None:
        """Whether picture i and its mask are in their archives."""
        shard = i // int(self.record["shard"])
        for kind, member in (("images", name), ("masks", _mask_name(name))):
            archive = self._archive(kind, shard)
            if member in archive:
                continue
            lacks = f"{name} has no mask {member}" if kind == "masks" else f"{member} is missing"
            raise DataError(f"{archive.path}: {lacks}. Remove this file, then {_ANEW}")

    def _labels(self, names: Sequence[str]) -> list[int]:
        """Classes of the pictures, of each shard's own index."""
        found: dict[str, int] = {}
        for shard in sorted({self._shard(name) for name in names}):
            archive = self._archive("images", shard)
            try:
                found.update(json.loads(archive.read(INDEX))["labels"])
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{archive.path}: no class of its images in {INDEX} ({error!r})") from None
        missing = next((name for name in names if name not in found), None)
        if missing is not None:
            raise DataError(f"{self.path / 'images'}: {missing} has no class in {INDEX}")
        return [found[name] for name in names]


def picture_name(i: int, suffix: str = ".png") -> str:
    """'00000/img00000000.png': where StyleGAN's tools put picture i."""
    return f"{i // 1000:05d}/img{i:08d}{suffix}"


def number_of(name: str) -> int:
    """The number of the picture of a name (:func:`picture_name`)."""
    return int(Path(name).stem.removeprefix("img"))


def shard_file(root: str | Path, kind: str, shard: int) -> Path:
    """The file of a shard; ``kind`` is 'images', 'masks' or 'latents'."""
    return Path(root) / kind / f"shard-{shard:05d}.{'npz' if kind == 'latents' else 'zip'}"


def shard_members(file: Path) -> list[str]:
    """Names of what a shard of images or masks holds.

    Raises:
        DataError: when it is missing or torn.
    """
    return _opened(file).names


def _opened(file: Path) -> Archive:
    if not file.is_file():
        raise DataError(f"{file} is missing: {_ANEW}")
    return Archive(file, held=False)


def _mask_name(name: str) -> str:
    return name.rpartition(".")[0] + ".png"


def read_record(root: Path) -> Mapping[str, Any]:
    """What ``pairs.json`` says.

    Raises:
        DataError: when it is missing, not finished, torn, or no record of pairs.
    """
    file = root / RECORD
    if not file.is_file():
        if (root / UNFINISHED).is_file():
            raise DataError(f"{root} is not finished: go on with the command that began it, and --resume")
        raise DataError(
            f"{root} holds no pairs: {RECORD} is missing. `toolbox klish pairs RUN -o {root}` writes it; "
            "folders of images and masks are read by MaskFolder"
        )
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is torn ({error}): bring it back") from None
    for key, kind in (("images", int), ("shard", int), ("part_names", list)):
        if not isinstance(record, dict) or not isinstance(record.get(key), kind):
            raise DataError(f"{file} must hold {key!r}, a {kind.__name__}: it is no record of pairs")
    if record["images"] < 1 or record["shard"] < 1:
        raise DataError(f"{file}: 'images' and 'shard' must be at least 1: it is no record of pairs")
    return record


def _shape(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """(H, W) of the files, if the record says it."""
    size = record.get("size")
    return (int(size[1]), int(size[0])) if isinstance(size, list) and len(size) == 2 else None


def _numbers(root: Path, there: int, wanted: int | None, split: str | None, seed: int) -> NDArray[np.int64]:
    """Numbers of the images of a part."""
    if split is not None and split not in PARTS:
        raise ValueError(f"split={split!r} is not one of {', '.join(PARTS)}{near_miss(split, PARTS)}")
    if wanted is not None and not 0 < wanted <= there:
        raise DataError(f"{root} holds {there:,} images: images={wanted!r} must be 1 to {there}")
    numbers = np.arange(there if wanted is None else wanted)
    if split is None:
        return numbers
    chosen = numbers[parts_of(len(numbers), seed) == PARTS.index(split)]
    if not len(chosen):
        raise DataError(f"{root}: no image of {len(numbers)} is of the part {split!r}: make ten or more")
    return chosen


def parts_of(n: int, seed: int = 0) -> NDArray[np.int64]:
    """(n,) index into ``PARTS`` of images 0 to n - 1: eight, one and one of each ten.

    Which of ten, is a function of ``seed`` and the number of the ten.
    """
    tens = [generator(seed, _SPLIT, ten).permutation(10) for ten in range(-(-n // 10))]
    place = np.concatenate(tens)[:n] if tens else np.empty(0, dtype=np.int64)
    return np.clip(place - 7, 0, 2)
