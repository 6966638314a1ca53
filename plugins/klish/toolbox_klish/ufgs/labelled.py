"""Real images of a run: those that it was begun with, and those whose masks are known.

Masks are never trained on. The first few say which label each cluster is, the others measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbox.data.base import DataError, ImageSet, checked_mask
from toolbox.data.folder import part_folder
from toolbox.data.given import look_at
from toolbox.registry import accepted, build, check


@dataclass(frozen=True)
class Labelled:
    """Images with masks.

    Attributes:
        data: the set.
        rows: numbers of the images in use.
        ignore: number of pixels in the masks that are not counted, or None.
    """

    data: ImageSet
    rows: Sequence[int]
    ignore: int | None = None


def give_folder(config: Any, folder: Path | None, masks: Path | None) -> None:
    """Put folders from the command line into a config: images to draw, and masks where there are any.

    Args:
        config: changed in place.
        folder: the images that the run is begun with; if it has masks, they match and measure.
        masks: another folder of images and masks, which does so.

    Raises:
        DataError: for a folder that holds nothing of use.
    """
    if folder is not None:
        found = look_at(folder)
        config.pictures.data = dict(found.test or found.train)
    if masks is None and folder is not None and has_masks(folder):
        masks = folder
    if masks is not None:
        given = look_at(masks, masks=True)
        config.matching.data = dict(given.train)
        config.evaluation.data = dict(given.test or given.train)


def has_masks(folder: Path) -> bool:
    """Whether a folder has the parts ``images`` and ``masks``."""
    return folder.is_dir() and (part_folder(folder, "train") / "masks").is_dir()


def matching_images(config: Any, size: int | None) -> Labelled | None:
    """The labelled images that clusters are matched by, their masks checked; None = there are none."""
    own = config.matching
    if own.data is None:
        return None
    data = build_sized(own.data, size, "matching.data")
    rows = range(min(own.images, len(data)))
    for i in rows:  # few, and better known before a generator is trained
        checked_mask(data, i, own.ignore)
    return Labelled(data, rows, own.ignore)


def evaluation_images(config: Any, size: int | None, matching: Labelled | None) -> Labelled | None:
    """The labelled images to measure on: none of those that were matched by; None = there are none.

    Raises:
        DataError: when all were matched by, or their parts have other names.
    """
    own = config.evaluation
    if own.data is None or matching is None:
        return None
    data = build_sized(own.data, size, "evaluation.data")
    checked_mask(data, 0, own.ignore)
    if list(data.part_names) != list(matching.data.part_names):
        raise DataError(
            f"{data.title} has the parts {', '.join(data.part_names)}; {matching.data.title}, by which "
            f"clusters are matched, has {', '.join(matching.data.part_names)}: they must be the same"
        )
    same = data.fingerprint() == matching.data.fingerprint()
    rows = range(len(matching.rows) if same else 0, len(data))
    if not rows:
        raise DataError(
            f"{data.title}: clusters are matched by all of its {len(data)} images, and none is left to "
            "measure on: give it a part 'test', or take fewer with --cfg-options matching.images=..."
        )
    return Labelled(data, rows, own.ignore)


def build_sized(config: Any, size: int | None, where: str) -> ImageSet:
    """A data set at the segmenter's size, where its reader takes one and the config names none."""
    component = dict(config)
    takes = "image_size" in (accepted(check(component, "dataset", where)) or {})
    if size is not None and takes:
        component.setdefault("image_size", size)
    data: ImageSet = build(component, "dataset", where)
    return data
