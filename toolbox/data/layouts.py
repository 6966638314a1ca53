"""Everything that is wrong with a folder of CUB, COCO, CelebAMask-HQ or pairs, in one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from toolbox.data import celebamask
from toolbox.data.base import SPLITS, DataError
from toolbox.data.caption_files import (
    CaptionIds,
    CaptionTexts,
    read_captions,
    read_classes,
    read_names,
    read_text,
)
from toolbox.data.coco_labels import read_instances
from toolbox.data.cub_coco import images_folder, instances_file, read_boxes, species
from toolbox.data.inspection import inspect_images
from toolbox.data.mask_shards import MaskShards, picture_name, read_record, shard_file, shard_members
from toolbox.data.pictures import picture_shape
from toolbox.data.vocabulary import Vocabulary

LAYOUTS = {"cub": 10, "coco": 5}  # captions of an image
FACES = "celebamask"
PAIRS = "pairs"
PUBLISHED_WORDS = {"cub": 5450, "coco": 27297}  # of the vocabulary that published text encoders count in
_MOST_LISTED = 5  # files of one kind
T = TypeVar("T")


@dataclass
class Layout:
    """What was found in a folder.

    Attributes:
        root: the folder.
        layout: 'cub', 'coco', 'celebamask' or 'pairs'.
        found: what is there, a line each.
        remarks: what is unusual, and may be meant.
        faults: what is missing, torn or does not fit together.
    """

    root: Path
    layout: str
    found: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """All of it for people."""
        marked = [*self.found, *(f"note: {remark}" for remark in self.remarks)]
        if not self.faults:
            return [*marked, f"{self.root} can be used"]
        return [*marked, f"{len(self.faults)} faults:", *(f"  {fault}" for fault in self.faults)]

    def get(self, read: Callable[[], T]) -> T | None:
        """What ``read`` gives, or None: then its error is a fault."""
        try:
            return read()
        except DataError as error:
            self.faults.append(str(error))
            return None

    def count(self, what: str, names: Sequence[str]) -> None:
        """One fault for all these."""
        if names:
            more = ", ..." if len(names) > _MOST_LISTED else ""
            self.faults.append(f"{len(names):,} {what}: {', '.join(names[:_MOST_LISTED])}{more}")


def inspect_layout(root: str | Path, layout: str) -> Layout:
    """Look for every file that ``CubCaptions``, ``CocoCaptions``, ``CelebAMaskHQ`` or ``MaskShards`` reads.

    Pictures are not decoded but for those of pairs: :func:`toolbox.data.inspection.inspect_images` does that.

    Args:
        root: the folder.
        layout: 'cub', 'coco', 'celebamask' or 'pairs'.

    Raises:
        DataError: when there is no such folder.
        ValueError: for another layout.
    """
    allowed = (*LAYOUTS, FACES, PAIRS)
    if layout not in allowed:
        raise ValueError(f"layout={layout!r}: it is one of {', '.join(map(repr, allowed))}")
    seen = Layout(Path(root), layout)
    if not seen.root.is_dir():
        raise DataError(f"{root} is no folder")
    if layout in (FACES, PAIRS):
        (_faces if layout == FACES else _pairs)(seen)
        return seen
    captions = seen.get(lambda: read_captions(seen.root / "captions.pickle"))
    if captions is not None:
        _vocabulary(seen, captions[2])
    for number, split in enumerate(SPLITS):
        names = seen.get(partial(read_names, seen.root / split / "filenames.pickle"))
        if names is not None:
            seen.found.append(f"{split}: {len(names):,} images")
            known = None if captions is None else (captions[:2][number], captions[2])
            _part(seen, split, names, known)
    return seen


def _pairs(seen: Layout) -> None:
    """Pairs of pictures and masks: the shards, their members; where all are there, what they hold."""
    record = seen.get(lambda: read_record(seen.root))
    if record is None:
        return
    images, parts = record["images"], record["part_names"]
    seen.found.append(f"{images:,} images, {len(parts)} parts: {', '.join(map(str, parts))}")
    for kind, suffix in (("images", record.get("suffix", ".png")), ("masks", ".png")):
        files = (shard_file(seen.root, kind, shard) for shard in range(-(-images // record["shard"])))
        there = {name for file in files for name in seen.get(partial(shard_members, file)) or ()}
        names = [picture_name(i, suffix) for i in range(images)]
        seen.count(f"{kind} are missing", [name for name in names if name not in there])
    if not seen.faults:
        found = seen.get(lambda: inspect_images(MaskShards(seen.root, None)))
        seen.faults += [] if found is None else list(found.broken.values())


def _faces(seen: Layout) -> None:
    """CelebAMask-HQ: the mapping, and the picture and masks of each face."""
    for name in (celebamask.IMAGES, celebamask.MASKS):
        if not (seen.root / name).is_dir():
            seen.faults.append(f"there is no folder {name}")
    mapping = seen.get(lambda: celebamask.read_mapping(seen.root))
    if mapping is None:
        return
    counts = Counter(map(celebamask.split_of, mapping.values()))
    seen.found += [f"{split}: {counts[split]:,} faces" for split in celebamask.SPLITS]
    if len(mapping) != celebamask.FACES:
        seen.remarks.append(f"{len(mapping):,} faces, not {celebamask.FACES:,}")
    _face_files(seen, sorted(mapping))


def _face_files(seen: Layout, faces: Sequence[int]) -> None:
    from toolbox.runs.terminal import tracked

    there = {file.name for file in (seen.root / celebamask.IMAGES).glob("*.jpg")}
    seen.count(f"pictures are missing in {celebamask.IMAGES}", _unless(there, faces))
    masks = celebamask.masks_of(seen.root, {face // 2000 for face in faces})
    seen.found.append(f"masks: {sum(map(len, masks.values())):,} pictures of parts")
    seen.count("faces have no mask", [str(face) for face in faces if not masks.get(face)])
    present = [face for face in faces if f"{face}.jpg" in there]
    torn: list[str] = []
    for face in tracked(present, len(present), "checking files"):
        torn += [f"{file.name} ({why})" for file, why in celebamask.broken_files(seen.root, [face], masks)]
    seen.count("files cannot be read", torn)


def _unless(there: set[str], faces: Sequence[int]) -> list[str]:
    return [name for face in faces if (name := f"{face}.jpg") not in there]


def _vocabulary(seen: Layout, vocabulary: Vocabulary) -> None:
    seen.found.append(f"vocabulary: {len(vocabulary):,} words")
    published = PUBLISHED_WORDS[seen.layout]
    if len(vocabulary) != published:
        seen.remarks.append(
            f"the vocabulary has {len(vocabulary):,} words, that of published text encoders {published:,}: "
            "they do not fit it"
        )


def _part(
    seen: Layout, split: str, names: Sequence[str], captions: tuple[CaptionIds, Vocabulary] | None
) -> None:
    if captions is not None:
        _captions(seen, split, len(names), captions[0])
    _texts(seen, split, names, captions)
    (_birds if seen.layout == "cub" else _coco)(seen, split, names)


def _captions(seen: Layout, split: str, images: int, ids: CaptionIds) -> None:
    each = LAYOUTS[seen.layout]
    if len(ids) % images or not len(ids):
        seen.faults.append(
            f"captions.pickle has {len(ids):,} {split} captions for {images:,} images of filenames.pickle"
        )
    elif len(ids) != each * images:
        seen.remarks.append(f"{len(ids) // images} {split} captions an image, not {each}")
    seen.count(f"{split} captions are empty", [str(number) for number in ids.empty])


def _texts(
    seen: Layout, split: str, names: Sequence[str], captions: tuple[CaptionIds, Vocabulary] | None
) -> None:
    folder = seen.root / "text"
    if not folder.is_dir():
        if split == SPLITS[0]:
            seen.remarks.append("there is no folder text: captions are then the words of their ids")
        return
    each = LAYOUTS[seen.layout]
    if captions is not None:
        each = CaptionTexts(folder, names, *captions).each or each
    faults = _faults(lambda name: read_text(folder / f"{name}.txt", each), names)
    seen.count(f"{split} caption files cannot be used", faults)


def _faults(look: Callable[[str], object], names: Collection[str]) -> list[str]:
    from toolbox.runs.terminal import tracked

    found = []
    for name in tracked(names, len(names), "checking files"):
        try:
            look(name)
        except (ValueError, OSError) as error:
            found.append(str(error))
    return found


def _pictures(seen: Layout, split: str, folder: Path, names: Sequence[str]) -> None:
    files = [folder / f"{name}.jpg" for name in names]
    seen.count(
        f"{split} pictures are missing in {folder}", [file.name for file in files if not file.is_file()]
    )
    present = {str(file): file for file in files if file.is_file()}
    torn = _faults(lambda name: picture_shape(present[name], name, stored=True), present)
    seen.count(f"{split} pictures cannot be read", torn)


def _birds(seen: Layout, split: str, names: Sequence[str]) -> None:
    birds = seen.root / "CUB_200_2011"
    path = seen.root / split / "class_info.pickle"
    classes = seen.get(lambda: species(read_classes(path, len(names)), path, names))
    if classes is not None:
        seen.found.append(f"{split}: {len(classes[1])} species")
    boxes = seen.get(lambda: read_boxes(birds))
    if boxes is not None:
        seen.count(f"{split} images have no bounding box", [name for name in names if name not in boxes])
    _pictures(seen, split, birds / "images", names)


def _coco(seen: Layout, split: str, names: Sequence[str]) -> None:
    _pictures(seen, split, images_folder(seen.root, names[0]), names)
    file = instances_file(seen.root, split)
    if file is None:
        year = "train2014" if split == "train" else "val2014"
        seen.remarks.append(
            f"there is no annotations/instances_{year}.json: the {split} images then have no labels, which "
            "supervised contrastive learning needs"
        )
        return
    known = seen.get(lambda: read_instances(file))
    if known is None:
        return
    table = seen.get(lambda: known.table(names))
    if table is not None:
        bare = int((table < 0).all(1).sum())
        seen.found.append(f"{split}: {len(known.names)} categories, {bare:,} images without an object")
