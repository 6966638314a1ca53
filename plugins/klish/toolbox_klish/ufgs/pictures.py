"""Real images beside the parts that a segmenter sees in them (KLiSH, Fig. 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.data.base import ImageSet, to_tensor
from toolbox.interfaces import Segmenter
from toolbox_klish.pictures.maps import paint
from toolbox_klish.pictures.palette import Colours, distinct_colours
from toolbox_klish.pictures.sheet import Sheet
from toolbox_klish.ufgs.labelled import build_sized
from toolbox_klish.ufgs.matching import MatchedSegmenter

FILE = Path("pictures") / "segments.png"
_COLUMNS = 8
_WALL = (228, 226, 221)  # of the background, part 0


def draw_segments(
    folder: Path, config: Any, clusters: Segmenter, found: Mapping[str, Any] | None
) -> Path | None:
    """The picture of a run: real images, their clusters, and their parts where clusters have labels.

    Args:
        folder: the run's.
        config: of the run; its ``pictures``, else the data that it is measured on.
        clusters: segmenter of clusters.
        found: what was matched, or None.
    """
    own = config.pictures.data or config.evaluation.data
    if own is None:
        return None
    data = build_sized(own, clusters.image_size, "pictures.data")
    n = min(config.pictures.images, len(data))
    rows: dict[str, Segmenter] = {"clusters": clusters}
    if found is not None:
        rows["parts"] = MatchedSegmenter(clusters, found["assignment"], found["part_names"]).to(
            next(clusters.parameters()).device
        )
    title = f"{data.title}: real images, and what the segmenter sees in them"
    return draw_rows(data, range(n), rows, folder / FILE, title)


def draw_rows(
    data: ImageSet, rows: Sequence[int], segmenters: Mapping[str, Segmenter], path: Path, title: str = ""
) -> Path:
    """Images, below them the parts of each segmenter, and the masks where the data has any.

    Args:
        data: real images.
        rows: their numbers.
        segmenters: {name: segmenter}; those of the data's parts share colours with its masks.
        path: PNG to write.
        title: line above.
    """
    images = torch.stack([to_tensor(data.image(i)) for i in rows])
    painted: dict[str, Tensor] = {}
    for name, segmenter in segmenters.items():
        device = next(segmenter.parameters()).device
        labels = segmenter.eval().labels(images.to(device)).cpu().numpy()
        painted[name] = paint(labels, _colours(segmenter.part_names, data.part_names))
    if data.part_names:
        truth = np.stack([data.mask(i) for i in rows])
        painted["masks"] = paint(
            np.minimum(truth, len(data.part_names)), part_colours(len(data.part_names) + 1)
        )
    sheet = Sheet(min(_COLUMNS, len(rows)), title, images.shape[-1])
    for start in range(0, len(rows), _COLUMNS):
        chosen = slice(start, start + _COLUMNS)
        sheet.row("images", images[chosen], smooth=True)
        for name, maps in painted.items():
            sheet.row(name, maps[chosen])
    legend = data.part_names or next(iter(segmenters.values())).part_names
    sheet.legend(_colours(legend, data.part_names), list(legend))
    return sheet.save(path)


def part_colours(n: int) -> Colours:
    """(n, 3): a wall's grey for part 0, then colours as different as possible."""
    return np.concatenate([np.array([_WALL], dtype=np.uint8), distinct_colours(n - 1)])


def _colours(names: Sequence[str], parts: Sequence[str]) -> Colours:
    """Of labels those of the data's parts; clusters have their own."""
    if parts and list(names) == list(parts):
        return part_colours(len(names))
    return distinct_colours(len(names))
