"""CUB and COCO with captions, in the folders that AttnGAN, DM-GAN, SSA-GAN and GALIP train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import DataError, Image, ImageSet, chosen_split, digest
from toolbox.data.caption_files import CaptionIds, CaptionTexts, read_captions, read_classes, read_names
from toolbox.data.coco_labels import read_instances
from toolbox.data.files import FileSet
from toolbox.data.found import Found, found_or
from toolbox.data.vocabulary import Vocabulary

NO_OBJECT = "no object"  # class of the images of COCO that nobody has annotated


class CaptionFolder(FileSet):
    """What both have in common: names, captions as texts and as ids, one vocabulary.

    Args:
        root: folder with ``captions.pickle``, ``text``, ``train`` and ``test``.
        folder: of the images.
        split: 'train' or 'test'.
        names: of the images, without ending.
        labels, classes, title, image_size, cache: see :class:`toolbox.data.files.FileSet`.

    Attributes:
        captions: texts, read when they are asked for.
        captions_each: how many captions each image has.
    """

    vocabulary: Vocabulary

    def __init__(
        self,
        root: Path,
        folder: Path,
        split: str,
        names: Sequence[str],
        labels: NDArray[np.int64],
        classes: Sequence[str],
        title: str,
        image_size: int,
        cache: bool,
    ) -> None:
        train, test, self.vocabulary = read_captions(root / "captions.pickle")
        self._ids: CaptionIds = train if split == "train" else test
        self.captions_each = _captions_each(self._ids, len(names), root, split)
        files = [f"{name}.jpg" for name in names]
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            raise DataError(
                f"{folder}: {len(missing):,} of {len(files):,} pictures are missing, such as {missing[0]}"
            )
        super().__init__(folder, files, labels, classes, title, image_size, None, cache)
        self.captions = self._texts = CaptionTexts(root / "text", names, self._ids, self.vocabulary)

    def caption_ids(self, i: int, k: int) -> NDArray[np.int64]:
        if not 0 <= k < self.captions_each:
            raise IndexError(f"caption {k} of image {i}, which has {self.captions_each}")
        return self._ids.caption(int(i) * self.captions_each + k)

    def _read(self, name: str) -> Path:
        return self.path / name

    def _checksum(self, name: str) -> int:
        return (self.path / name).stat().st_size

    def fingerprint(self) -> str:
        texts = self._texts.sizes()  # CLIP's pieces are cut from them, not from the ids
        return digest(super().fingerprint(), self._ids.fingerprint(), self.vocabulary.fingerprint(), texts)


def _captions_each(ids: CaptionIds, images: int, root: Path, split: str) -> int:
    file = root / "captions.pickle"
    if not len(ids) or len(ids) % images:
        raise DataError(
            f"{file} has {len(ids):,} {split} captions for the {images:,} images of "
            f"{split}/filenames.pickle: each needs the same number of captions"
        )
    each = len(ids) // images
    if len(ids.empty):
        image, k = divmod(int(ids.empty[0]), each)
        raise DataError(
            f"{file}: {len(ids.empty):,} {split} captions are empty, such as caption {k} of image {image}"
        )
    return each


class CubCaptions(Found):
    """CUB-200-2011 with ten captions an image; class = species. 8,855 training and 2,933 test images.

    Training and test species are disjoint. A folder such as ``data/birds``: ``captions.pickle``,
    ``text/NAME.txt``, ``train`` and ``test`` with ``filenames.pickle`` and ``class_info.pickle``, and
    ``CUB_200_2011`` with ``images``, ``images.txt`` and ``bounding_boxes.txt``.

    Args:
        root: that folder.
        split: 'train' or 'test'; ``train`` overrules it.
        image_size: pixels.
        crop: to the square of 1.5 x the longer side of the bird's box, as far as the picture reaches.
        cache: keep decoded images in memory, uint8.
        fallback: config of the data set to use where there is no such folder; it is then all that this set
            is, ``title``, ``embedded`` and ``notice`` say so.

    Raises:
        DataError: for what is missing, torn or does not fit together; ``toolbox data`` lists all of it.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        train: bool | None = None,
        image_size: int = 256,
        crop: bool = True,
        cache: bool = False,
        fallback: Mapping[str, Any] | ImageSet | None = None,
    ) -> None:
        folder = Path(root)
        self.split = chosen_split(split, train)
        self.crop = crop
        super().__init__(
            *found_or(
                folder, fallback, image_size, lambda: Birds(folder, self.split, image_size, crop, cache)
            )
        )


class Birds(CaptionFolder):
    """The folder that :class:`CubCaptions` finds; arguments as there."""

    def __init__(self, root: Path, split: str, image_size: int, crop: bool, cache: bool) -> None:
        names = read_names(root / split / "filenames.pickle")
        info = root / split / "class_info.pickle"
        labels, classes = species(read_classes(info, len(names)), info, names)
        birds = root / "CUB_200_2011"
        self._boxes = _boxes(birds, names) if crop else None
        title = f"CUB-200-2011 ({split})"
        super().__init__(root, birds / "images", split, names, labels, classes, title, image_size, cache)
        self.concepts = self.labels

    def _decode(self, i: int) -> Image:
        image = super()._decode(i)
        return image if self._boxes is None else box_crop(image, self._boxes[i], self._names[i])

    def fingerprint(self) -> str:
        return digest(super().fingerprint(), self._boxes)


def species(
    numbers: NDArray[np.int64], path: Path, names: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """Labels from 0 and names of the species.

    Args:
        numbers: of the species of each image.
        path: where they come from.
        names: of the images.

    Raises:
        DataError: when the numbers do not agree with the folders of the images.
    """
    present, labels = np.unique(numbers, return_inverse=True)
    folders: dict[int, str] = {}
    for number, name in zip(numbers.tolist(), names, strict=True):
        folder = name.rpartition("/")[0]
        if folders.setdefault(number, folder) != folder:
            raise DataError(
                f"{path}: class {number} is {folders[number]!r} and {folder!r}: it does not belong to the "
                "filenames.pickle beside it"
            )
    titles = [folders[number].partition(".")[2].replace("_", " ") for number in present.tolist()]
    if not all(titles) or len(set(titles)) < len(titles):
        titles = [f"class {number}" for number in present.tolist()]
    return labels.astype(np.int64), titles


def read_boxes(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """{name of the image: (x, y, width, height) of its bird} in ``CUB_200_2011``.

    Raises:
        DataError: for a file that is missing or torn.
    """
    try:
        files = [(folder / file).read_text(encoding="utf-8") for file in ("images.txt", "bounding_boxes.txt")]
        rows = [[line.split() for line in text.splitlines() if line.strip()] for text in files]
        boxes = {number: tuple(int(float(value)) for value in box) for number, *box in rows[1]}
        found = {name.removesuffix(".jpg"): boxes[number] for number, name in rows[0]}
    except FileNotFoundError as error:
        raise DataError(
            f"{error.filename} is missing: the birds are cut out by it (else crop=False)"
        ) from None
    except (OSError, ValueError, KeyError, OverflowError) as error:
        said = f"no box of image {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{folder}: images.txt and bounding_boxes.txt do not fit together ({said})") from None
    wrong = next((name for name, box in found.items() if len(box) != 4 or min(box[2:]) < 1), None)
    if wrong is not None:
        raise DataError(f"{folder / 'bounding_boxes.txt'}: the box of {wrong} is {found[wrong]}")
    return found  # type: ignore[return-value]


def _boxes(folder: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """(N, 4) box of each image."""
    known = read_boxes(folder)
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(f"{folder}: {len(missing):,} images have no box, the first is {missing[0]}")
    return np.array([known[name] for name in names], dtype=np.int64)


def box_crop(image: Image, box: Sequence[int] | NDArray[np.int64], name: str = "image") -> Image:
    """The square around a box (x, y, width, height), 1.5 x its longer side, as far as the image reaches.

    Rounded as in StackGAN and AttnGAN, whose crops train on these boxes.

    Raises:
        DataError: for a box outside of the image.
    """
    x, y, width, height = (int(value) for value in box)
    reach = int(max(width, height) * 0.75)
    middle_x, middle_y = int((2 * x + width) / 2), int((2 * y + height) / 2)
    rows = slice(max(0, middle_y - reach), min(image.shape[0], middle_y + reach))
    columns = slice(max(0, middle_x - reach), min(image.shape[1], middle_x + reach))
    cut = image[rows, columns]
    if not cut.size:
        raise DataError(
            f"{name}: the box {(x, y, width, height)} lies outside of {image.shape[1::-1]} pixels"
        )
    return np.ascontiguousarray(cut)


class CocoCaptions(Found):
    """COCO 2014 with five captions an image; class = the category that covers most of it.

    A folder such as ``data/coco``: ``captions.pickle``, ``text/NAME.txt``, ``train`` and ``test`` with
    ``filenames.pickle``, ``images`` (all in it, in ``train2014`` and ``val2014``, or in their ``jpg``), and
    ``annotations`` with ``instances_train2014.json`` and ``instances_val2014.json``. Without annotations all
    images are of one class and ``label_sets`` is None.

    Args:
        root: that folder.
        split: 'train' or 'test'; ``train`` overrules it.
        image_size: pixels.
        instances: the annotations; None: those in ``root``, where they are.
        cache: keep decoded images in memory, uint8.
        fallback: as of :class:`CubCaptions`.

    Raises:
        DataError: for what is missing, torn or does not fit together; ``toolbox data`` lists all of it.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        train: bool | None = None,
        image_size: int = 256,
        instances: str | Path | None = None,
        cache: bool = False,
        fallback: Mapping[str, Any] | ImageSet | None = None,
    ) -> None:
        folder = Path(root)
        self.split = chosen_split(split, train)
        given = None if instances is None else Path(instances)
        super().__init__(
            *found_or(
                folder, fallback, image_size, lambda: Coco(folder, self.split, image_size, given, cache)
            )
        )


class Coco(CaptionFolder):
    """The folder that :class:`CocoCaptions` finds; arguments as there."""

    def __init__(self, root: Path, split: str, image_size: int, instances: Path | None, cache: bool) -> None:
        names = read_names(root / split / "filenames.pickle")
        instances = instances or instances_file(root, split)
        labels, classes, self.label_sets = _categories(instances, names)
        folder, title = images_folder(root, names[0]), f"COCO 2014 ({split})"
        super().__init__(root, folder, split, names, labels, classes, title, image_size, cache)

    def fingerprint(self) -> str:
        return digest(super().fingerprint(), self.label_sets)


def instances_file(root: Path, split: str) -> Path | None:
    """Where the annotations of a split lie in the folder, if they do."""
    year = "train2014" if split == "train" else "val2014"
    file = root / "annotations" / f"instances_{year}.json"
    return file if file.is_file() else None


def images_folder(root: Path, name: str) -> Path:
    """The folder that holds image ``name``; ``root/images`` if none does."""
    year = "val2014" if "val2014" in name else "train2014"
    images = root / "images"
    folders = (images, images / year, images / year / "jpg")
    return next((folder for folder in folders if (folder / f"{name}.jpg").is_file()), images)


def _categories(
    instances: Path | None, names: Sequence[str]
) -> tuple[NDArray[np.int64], list[str], NDArray[np.bool_] | None]:
    """Label (largest category), class names, and (N, categories) what each image shows."""
    if instances is None:
        return np.zeros(len(names), dtype=np.int64), ["picture"], None
    known = read_instances(instances)
    areas = known.table(names)
    if not (areas >= 0).any():
        raise DataError(f"{instances} annotates none of these images, the first of which is {names[0]}")
    sets: Any = areas >= 0
    labels = np.where(sets.any(1), areas.argmax(1), len(known.names))
    classes = list(known.names) + ([] if sets.any(1).all() else [NO_OBJECT])
    return labels.astype(np.int64), classes, sets
