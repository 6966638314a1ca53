"""Fig. 1: images, and their parts by the teacher, by a linear classifier, by the nearest centroid."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from toolbox.interfaces import Generator, Segmenter
from toolbox_klish.lse.taps import drawn
from toolbox_klish.pictures.palette import Colours, distinct_colours
from toolbox_klish.pictures.sheet import Sheet
from toolbox_klish.separability.cell import TEST_SEED, Found, masks_of
from toolbox_klish.separability.plan import Budget

_ROWS = {"LSE": "linear", "SVM": "SVM", "centroids": "nearest\ncentroid"}


def draw(
    path: Path, name: str, generator: Generator, teacher: Segmenter, found: Found, budget: Budget, n: int
) -> Path:
    """Write the picture of n test images."""
    taps = drawn(generator, n, TEST_SEED, "separability", 0, truncation=budget.truncation)
    truth, masks = masks_of(generator, teacher, found, budget, n, 0)
    colours = distinct_colours(len(teacher.part_names))
    sheet = Sheet(n, f"Parts in the features of {name}", truth.shape[-1])
    sheet.row("image", taps.images(), smooth=True)
    sheet.row("teacher", _coloured(truth, colours))
    for method, words in _ROWS.items():
        sheet.row(words, _coloured(masks[method], colours))
    sheet.legend(colours, list(teacher.part_names))
    return sheet.save(path)


def _coloured(masks: Tensor, colours: Colours) -> Tensor:
    """(N, 3, H, W) in [-1, 1] of masks (N, H, W)."""
    table = torch.from_numpy(colours).float() / 127.5 - 1
    return table[masks.cpu()].movedim(-1, 1)
