"""A data set that was looked for: its own files, or another set in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import DataError, Image, ImageSet, Mask


class Found(ImageSet):
    """Is what was found.

    Args:
        source: that data set.
        notice: one sentence when it is not the one that was asked for.
    """

    def __init__(self, source: ImageSet, notice: str = "") -> None:
        self._source = source
        self.notice = notice or source.notice
        super().__init__(
            source.labels,
            source.classes,
            source.image_size,
            source.title,
            factors=source.factors,
            factor_names=source.factor_names,
            license=source.license,
        )
        self.embedded = source.embedded
        self.part_names = source.part_names
        self.captions = source.captions  # checked by the source, which may read them when they are asked for
        self.vocabulary = source.vocabulary
        self.label_sets = source.label_sets
        self.concepts = source.concepts

    @property
    def captions_each(self) -> int | None:
        """How many captions each image has, where all have the same number."""
        return getattr(self._source, "captions_each", None)

    def image(self, i: int) -> Image:
        return self._source.image(i)

    def picture(self, i: int) -> Image:
        return self._source.picture(i)

    def caption_ids(self, i: int, k: int) -> NDArray[np.int64]:
        return self._source.caption_ids(i, k)

    def mask(self, i: int) -> Mask:
        return self._source.mask(i)

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        return self._source.look_at(i, whole)

    def fingerprint(self) -> str:
        return self._source.fingerprint()


def found_or(
    root: Path, fallback: Mapping[str, Any] | ImageSet | None, image_size: int, read: Callable[[], ImageSet]
) -> tuple[ImageSet, str]:
    """(what ``read`` gives, ''), or the fallback and a notice where there is a fallback and no such folder.

    A folder that is there is read, whatever it lacks.

    Raises:
        DataError: for a fallback of another size.
    """
    if fallback is None or root.is_dir():
        return read(), ""
    from toolbox.registry import build

    found: ImageSet = build(fallback, "dataset", "fallback")
    if found.image_size != image_size:
        raise DataError(
            f"{root} is missing, and the images of its fallback ({found.title}) have {found.image_size} "
            f"pixels, not image_size={image_size}"
        )
    return found, f"{root} is missing: using {found.title} in its place"
