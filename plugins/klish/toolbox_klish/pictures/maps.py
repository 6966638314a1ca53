"""Cluster maps: every pixel in the colour of its cluster, beside the images they were read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toolbox_klish.pictures.palette import Colours
from toolbox_klish.pictures.sheet import Sheet

Labels = NDArray[np.integer]  # (N, H, W)
_NOTHING = 0.72  # grey, in [-1, 1], where an algorithm has no map


@dataclass(frozen=True)
class Panel:
    """One generator's samples, and the maps of every algorithm on them.

    Attributes:
        title: above the samples.
        images: (N, 3, H, W) in [-1, 1].
        maps: {heading of a block: {algorithm: (N, 3, h, w) painted maps}}.
    """

    title: str
    images: Tensor
    maps: Mapping[str, Mapping[str, Tensor]]


def paint(labels: Labels, colours: Colours) -> Tensor:
    """(N, 3, H, W) in [-1, 1]: each pixel of labels (N, H, W) in its cluster's colour (K, 3)."""
    return torch.from_numpy(colours[np.asarray(labels)]).permute(0, 3, 1, 2).float() / 127.5 - 1


def draw_maps(
    images: Tensor,
    labels: Labels,
    colours: Colours,
    texts: Sequence[str],
    path: str | Path,
    title: str = "",
    columns: int = 8,
) -> Path:
    """Samples, their cluster maps below them, and what each colour is.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        labels: (N, h, w).
        colours: (K, 3).
        texts: K, for the legend.
        path: PNG to write.
        title: line above.
        columns: samples a row.
    """
    sheet = Sheet(min(columns, len(images)), title, labels.shape[-1])
    painted = paint(labels, colours)
    for start in range(0, len(images), columns):
        sheet.row("samples", images[start : start + columns], smooth=True)
        sheet.row("clusters", painted[start : start + columns])
    sheet.legend(colours, texts)
    return sheet.save(path)


def draw_strip(
    images: Tensor, maps: Mapping[int, Tensor], path: str | Path, title: str = "", columns: int = 10
) -> Path:
    """A few samples while K falls from left to right.

    Args:
        images: (N, 3, H, W) in [-1, 1], few.
        maps: {K: (N, 3, h, w) painted maps}, in the order to be shown.
        path: PNG to write.
        title: line above.
        columns: maps a line; further ones follow below.
    """
    numbers = list(maps)
    size = maps[numbers[0]].shape[-1]
    sheet = Sheet(min(columns, len(numbers)) + 1, title, size)
    for start in range(0, len(numbers), columns):
        shown = numbers[start : start + columns]
        sheet.columns(["sample", *(f"K = {k}" for k in shown)])
        for i in range(len(images)):
            image = _at(images[i : i + 1], sheet.tile, "bilinear")
            painted = [_at(maps[k][i : i + 1], sheet.tile, "nearest-exact") for k in shown]
            sheet.row("", torch.cat([image, *painted]))
    return sheet.save(path)


def draw_grid(panels: Sequence[Panel], path: str | Path, title: str = "") -> Path:
    """All algorithms at all K (Figs. 5 and 7): a block for each K, in it a row for each algorithm.

    Args:
        panels: one for each generator, side by side. Blocks and algorithms are those that any of them has;
            what another lacks stays grey.
        path: PNG to write.
        title: line above.
    """
    blocks: dict[str, dict[str, None]] = {}  # algorithms of each block, in order
    size = 0
    for panel in panels:
        for block, maps in panel.maps.items():
            blocks.setdefault(block, {}).update(dict.fromkeys(maps))
            size = max([size, *(painted.shape[-1] for painted in maps.values())])
    sheet = Sheet([len(panel.images) for panel in panels], title, size)
    sheet.group_titles([panel.title for panel in panels])
    samples = [_at(panel.images, sheet.tile, "bilinear") for panel in panels]
    sheet.row("samples", torch.cat(samples), smooth=True)
    for block, algorithms in blocks.items():
        sheet.heading(block)
        for algorithm in algorithms:
            tiles = [_painted(panel, block, algorithm, sheet.tile) for panel in panels]
            sheet.row(algorithm, torch.cat(tiles))
    return sheet.save(path)


def _painted(panel: Panel, block: str, algorithm: str, side: int) -> Tensor:
    """(N, 3, side, side) maps, grey where there are none."""
    found = panel.maps.get(block, {}).get(algorithm)
    if found is None:
        return torch.full((len(panel.images), 3, side, side), _NOTHING)
    return _at(found, side, "nearest-exact")


def _at(tiles: Tensor, side: int, mode: str) -> Tensor:
    """Resized; to a whole multiple by repeating pixels, whatever the mode."""
    if mode == "bilinear" and side % tiles.shape[-1] != 0:
        return F.interpolate(tiles, (side, side), mode="bilinear", antialias=True)
    return F.interpolate(tiles, (side, side), mode="nearest-exact")
