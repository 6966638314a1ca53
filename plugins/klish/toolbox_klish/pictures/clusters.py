"""One row a cluster: the samples that show most of it, its pixels lit, all others greyed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toolbox_klish.pictures.maps import Labels
from toolbox_klish.pictures.sheet import Sheet

_ONE_ABOVE_OTHER = 8  # more clusters stand in two columns
_FADE, _PAPER = 0.35, 0.55  # of what is not lit: contrast, and the grey that it moves to, in [-1, 1]


def draw_clusters(
    images: Tensor, labels: Labels, texts: Sequence[str], path: str | Path, title: str = "", columns: int = 4
) -> Path:
    """A sheet to tell by eye what each cluster is.

    Args:
        images: (N, 3, H, W) in [-1, 1], of which each cluster shows its best.
        labels: (N, h, w).
        texts: K, one or several lines at the left of each row.
        path: PNG to write.
        title: line above.
        columns: samples a cluster.
    """
    columns = min(columns, len(images))
    size = max(images.shape[-1], labels.shape[-1])
    images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    down = len(texts) if len(texts) <= _ONE_ABOVE_OTHER else -(-len(texts) // 2)
    sheet = Sheet([columns] if down == len(texts) else [columns, columns], title, size)
    for first in range(down):
        shown = range(first, len(texts), down)
        tiles = [_lit(images, labels, cluster, columns) for cluster in shown]
        sheet.row([texts[cluster] for cluster in shown], torch.cat(tiles), smooth=True)
    return sheet.save(path)


def _lit(images: Tensor, labels: Labels, cluster: int, number: int) -> Tensor:
    """(number, 3, H, W) the best samples of a cluster, all but its pixels faded."""
    chosen = best_samples(labels, cluster, number)
    inside = torch.from_numpy(labels[chosen] == cluster)[:, None].float()
    inside = F.interpolate(inside, images.shape[-2:], mode="nearest-exact") > 0
    return torch.where(inside, images[chosen], faded(images[chosen]))


def best_samples(labels: Labels, cluster: int, number: int) -> NDArray[np.int64]:
    """Numbers of the images with most pixels of a cluster, in descending order; of equals the first."""
    pixels = (labels == cluster).reshape(len(labels), -1).sum(axis=1)
    return np.argsort(-pixels, kind="stable")[:number]


def faded(images: Tensor) -> Tensor:
    """Grey and pale: what is still to be recognised but not lit."""
    grey = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    return (_FADE * grey + _PAPER).expand_as(images)
