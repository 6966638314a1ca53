"""How separable clusters are: IoU of each at one K, and the lowest over all K."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.pictures.canvas import BAR, FAINT, INK, LINE, LOW, new_figure, save_figure

LOW_IOU = 0.8  # below it a cluster is called badly separable. Unknown in the paper, which names no value


def draw_bars(
    iou: ArrayLike, texts: Sequence[str], path: str | Path, title: str = "", low: float = LOW_IOU
) -> Path:
    """IoU of every cluster at one K; those below ``low`` stand out.

    Args:
        iou: (K) in [0, 1].
        texts: K names.
        path: PNG to write.
        title: line above.
        low: what counts as badly separable.
    """
    values = np.asarray(iou, dtype=np.float64)
    figure, axes = new_figure(7.5, 1.3 + 0.24 * len(values), title)
    places = np.arange(len(values))
    axes.barh(places, values, height=0.68, color=np.where(values < low, LOW, BAR))
    style: dict[str, Any] = dict(textcoords="offset points", va="center", fontsize=8, color=INK)
    for place, value in enumerate(values):
        axes.annotate(f"{value:.2f}", (value, place), (4, 0), **style)
    axes.axvline(low, color=LOW, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_yticks(places, texts, parse_math=False)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlim(0, 1.06)
    label = f"IoU with its own rows (eq. 4); below {low:g}: badly separable"
    axes.set_xlabel(label, fontsize=8.5, color=FAINT)
    return save_figure(figure, path)


def draw_iou(
    model: KLiSH, path: str | Path, title: str = "", low: float = LOW_IOU, final: int | None = None
) -> Path:
    """Lowest and median IoU at every K, and the share of clusters below ``low``.

    Where to stop is read off here.

    Args:
        model: fitted.
        path: PNG to write.
        title: line above.
        low: what counts as badly separable.
        final: K to mark.
    """
    figure, axes = new_figure(8.0, 3.6, title)
    k = model.clusters_ - np.arange(len(model.iou_))
    below = np.nanmean(np.where(np.isnan(model.iou_), np.nan, model.iou_ < low), axis=1)
    axes.bar(k, below, color=LINE, width=0.9, label=f"share of clusters with IoU below {low:g}", zorder=0)
    axes.plot(k, np.nanmedian(model.iou_, axis=1), color=FAINT, linewidth=1.2, label="median IoU")
    axes.plot(k, np.nanmin(model.iou_, axis=1), color=BAR, linewidth=1.8, label="lowest IoU")
    if final is not None:
        axes.axvline(final, color=LOW, linewidth=1.0, linestyle=(0, (4, 3)), label=f"chosen: K = {final}")
    axes.set_xlim(k.max() + 0.6, k.min() - 0.6)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("number of clusters K", fontsize=8.5, color=FAINT)
    axes.set_ylabel("IoU", fontsize=8.5, color=FAINT)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return save_figure(figure, path)
