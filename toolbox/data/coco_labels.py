"""Which categories the images of COCO show: ``instances_*.json`` as one table."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import DataError

_MOST_BYTES = 2**30  # of the file; the largest published one has 330 MB


@dataclass(frozen=True)
class CategoryAreas:
    """How much of each image each category covers.

    Attributes:
        names: of the categories, by their ids in ascending order.
        areas: {image id: {category: pixels of all its objects}}; images without an object are not in it.
    """

    names: tuple[str, ...]
    areas: dict[int, dict[int, float]]

    def table(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(images, categories) pixels, by the digits of file names; -1: the category is not in the image."""
        found = np.full((len(names), len(self.names)), -1.0)
        for row, name in enumerate(names):
            for category, area in self.areas.get(image_id(name), {}).items():
                found[row, category] = area
        return found


def image_id(name: str) -> int:
    """Number at the end of a file name: 42 of 'COCO_train2014_000000000042'.

    Raises:
        DataError: when there is none.
    """
    found = re.search(r"(\d{1,18})$", name)
    if found is None:
        raise DataError(f"{name!r} does not end in the number of a COCO image, which its labels go by")
    return int(found[1])


def read_instances(path: str | Path) -> CategoryAreas:
    """Categories and areas of ``instances_train2014.json`` or its like; kept until the file changes.

    Raises:
        DataError: for a file that is missing, torn, or something else.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise DataError(f"{path} is missing: the labels of COCO come from its annotations (instances_*.json)")
    stat = path.stat()
    return _read(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, size: int, changed: int) -> CategoryAreas:
    if size > _MOST_BYTES:
        raise DataError(f"{path} has {size:,} bytes, more than {_MOST_BYTES:,}")
    try:
        content = json.loads(path.read_bytes(), object_hook=_without_outlines)
        categories = {item["id"]: item["name"] for item in content["categories"]}
        order = sorted(categories)
        number = {category: row for row, category in enumerate(order)}
        areas: dict[int, dict[int, float]] = {}
        for item in content["annotations"]:
            row, image = number[item["category_id"]], areas.setdefault(item["image_id"], {})
            image[row] = image.get(row, 0.0) + float(item["area"])
        return CategoryAreas(tuple(str(categories[category]) for category in order), areas)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} is torn or no file of COCO's instances ({type(error).__name__}: {error}); fetch it anew"
        ) from None


def _without_outlines(item: dict[str, Any]) -> dict[str, Any]:
    item.pop("segmentation", None)  # nine tenths of the file; gone before the next is read
    return item
