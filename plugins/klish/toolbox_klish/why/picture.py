"""What AHC by angle and KLiSH make of the same portraits: the wall in colours, the rest in greys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox_klish.pictures.canvas import INK, new_figure, save_figure
from toolbox_klish.pictures.palette import distinct_colours
from toolbox_klish.why.cells import Cell, short
from toolbox_klish.why.variants import VARIANTS

SHOWN = ("ahc-angle", "klish", "no-place", "angle-order")
_GREYS = (60, 190)  # of clusters that show mostly other parts than the wall

Labels = NDArray[np.uint8]  # (images, H * W)


def draw(out: Path, data: str, seed: int, k: int) -> Path | None:
    """``why-<data>.png``: some portraits, their parts, and their ``k`` clusters by each variant that is done.

    None where the cells of the sample have no portraits, or none of ``k`` clusters.
    """
    found = {name: _read(Cell(data, name, seed).pictures(out)) for name in SHOWN}
    done = {name: maps for name, maps in found.items() if str(k) in maps}
    if not done:
        return None
    maps = next(iter(done.values()))
    pictures = maps["pictures"].transpose(0, 2, 3, 1)  # (images, H, W, 3)
    columns = {short(data): pictures, "parts": _coloured(maps["truth"], maps["truth"])}
    columns |= {VARIANTS[name].words: _coloured(maps[str(k)], maps["truth"]) for name, maps in done.items()}
    title = f"{k} clusters: the pieces of the wall in colours, the others in greys"
    shape = (len(pictures), len(columns))
    figure, panels = new_figure(1.8 * shape[1], 1.75 * shape[0] + 0.7, title, shape)
    for column, (words, images) in zip(np.reshape(panels, shape).T, columns.items(), strict=True):
        column[0].set_title(words, fontsize=8, color=INK)
        for axes, image in zip(column, images, strict=True):
            axes.set_axis_off()
            axes.imshow(image.reshape(pictures.shape[1:]))
    return save_figure(figure, out / f"why-{short(data)}.png")


def _read(file: Path) -> dict[str, NDArray[Any]]:
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _coloured(labels: Labels, truth: Labels) -> NDArray[np.uint8]:
    """(images, H * W, 3): a cluster most of whose pixels lie in part 0, the wall, has a colour."""
    many = int(labels.max()) + 1
    of_wall = np.bincount(labels[truth == 0], minlength=many) * 2 > np.bincount(
        labels.ravel(), minlength=many
    )
    colours = np.zeros((many, 3), dtype=np.uint8)
    colours[of_wall] = distinct_colours(int(of_wall.sum()))
    greys = np.linspace(*_GREYS, max(int((~of_wall).sum()), 1))[: int((~of_wall).sum())]
    colours[~of_wall] = greys.astype(np.uint8)[:, None]
    return colours[labels]
