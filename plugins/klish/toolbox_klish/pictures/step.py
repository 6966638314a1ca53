"""One merge, as Fig. 6 of the paper shows it: how sure the planes concerned are, pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.pictures.palette import Colours
from toolbox_klish.pictures.sheet import Sheet


@dataclass(frozen=True)
class Step:
    """What happened at one K. Clusters are numbered by their place at that K.

    Attributes:
        k: clusters before the merge.
        removed, kept: p and q of algorithm 1.
        runner_up: the cluster with the second highest ECoS with p; None at K = 2.
        iou: of p, the lowest at K.
        ecos: of p with q.
        ecos_runner_up: of p with the runner-up; NaN at K = 2.
    """

    k: int
    removed: int
    kept: int
    runner_up: int | None
    iou: float
    ecos: float
    ecos_runner_up: float


def merge_step(model: KLiSH, k: int) -> Step:
    """The merge that led from ``k`` clusters to ``k - 1``.

    Raises:
        ValueError: when there was none.
    """
    if not 0 <= model.clusters_ - k < len(model.merges_):
        last = model.clusters_ - len(model.merges_) + 1
        raise ValueError(f"k={k!r}: merges are recorded from k={model.clusters_} down to {last}")
    at = model.clusters_ - k
    _, kept, removed = model.merges_[at].tolist()
    iou = float(model.iou_[at, removed])
    ecos = float(model.ecos_[at, kept])
    if k == 2:
        return Step(k, removed, kept, None, iou, ecos, float("nan"))
    others = model.ecos_[at, :k].copy()
    others[[removed, kept]] = -1.0
    second = int(others.argmax())
    return Step(k, removed, kept, second, iou, ecos, float(others[second]))


def confidence(scores: Tensor) -> Tensor:
    """c = (clamp(s, -1, 1) + 1) / 2 in [0, 1] of the scores of a plane: what eq. 5 compares."""
    return (scores.clamp(-1, 1) + 1) / 2


def draw_step(
    step: Step,
    images: Tensor,
    before: Tensor,
    after: Tensor,
    confidences: Mapping[int, Tensor],
    colours: Colours,
    path: str | Path,
    title: str = "",
) -> Path:
    """Samples, clusters before the merge, confidences of p, q and the runner-up, clusters after it.

    Args:
        step: from :func:`merge_step`.
        images: (N, 3, H, W) in [-1, 1].
        before, after: (N, 3, h, w) painted maps at K and K - 1.
        confidences: {cluster: (N, h, w) in [0, 1]}, of p, q and the runner-up.
        colours: (K, 3) RGB of the clusters at K.
        path: PNG to write.
        title: line above.
    """
    roles = {
        step.removed: f"least separable:\nIoU {step.iou:.2f}",
        step.kept: f"takes it in:\nECoS {step.ecos:.3f}",
    }
    if step.runner_up is not None:
        roles[step.runner_up] = f"runner-up:\nECoS {step.ecos_runner_up:.3f}"
    sheet = Sheet(len(images), title, before.shape[-1])
    sheet.row("samples", images, smooth=True)
    sheet.row(f"K = {step.k}", before)
    for cluster, role in roles.items():
        sheet.row(f"cluster {cluster}\n{role}", heat(confidences[cluster]))
    sheet.row(f"K = {step.k - 1}", after)
    sheet.legend(colours[list(roles)], [f"cluster {cluster} at K = {step.k}" for cluster in roles])
    sheet.scale(heat_scale(), "confidence 0: outside", "1: inside")
    return sheet.save(path)


def heat(confidences: Tensor) -> Tensor:
    """(N, 3, H, W) in [-1, 1], white to deep red, of confidences (N, H, W)."""
    colours = torch.from_numpy(heat_scale()).float() / 127.5 - 1
    return colours[(confidences * 255).round().long()].permute(0, 3, 1, 2)


def heat_scale() -> NDArray[np.uint8]:
    """(256, 3) RGB from confidence 0 to 1."""
    from matplotlib import colormaps

    return np.asarray((colormaps["Reds"](np.arange(256))[:, :3] * 255).round(), dtype=np.uint8)
