"""Clusters given to labels by a few labelled images, and the segmenter that this makes (KLiSH, section 5.1).

    u = argmax MIoU(C, D, u)            on at most 100 validation images (eq. 6, 7; found greedily)
    label of a pixel = u[argmax_j s_j]  s_j the score of cluster j; no label: the background, part 0

Two protocols. ``paper``: pixels of all images together, a cluster may stay without a label, as eq. 6 and its
text have it. ``official``: the authors' evaluator; IoU is averaged over images, and every cluster is given to
a label even where that lowers the score. (Their code takes the assignment that was found on generated images
and a teacher's labels; the text says validation images, which is what is done here for both.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.data.base import ImageSet, checked_mask, to_tensor
from toolbox.interfaces import Segmenter
from toolbox.metrics.functional import contingency_matrix
from toolbox.metrics.functional.matching import Matching, matched_iou, matched_iou_per_image
from toolbox.ranges import check_whole
from toolbox.runs.terminal import tracked

IMAGES = 100  # the paper's validation images with labels
PROTOCOLS = ("paper", "official")

Tables = NDArray[np.int64]  # (I, R, K) pixels of label i in cluster j, of each image


class Labeller(Protocol):
    """What :func:`tables_of` asks of a segmenter."""

    part_names: Sequence[str]

    def labels(self, images: Tensor) -> Tensor:
        """(N, H, W) cluster of each pixel of images (N, 3, H, W) in [-1, 1]."""


class MatchedSegmenter(Segmenter):
    """A segmenter of clusters that answers with labels.

    Scores are 1 for the label of the highest cluster and 0 for the others, as the authors multiply the
    argmax by the assignment.

    Args:
        clusters: the segmenter of K clusters.
        assignment: (K) label of each cluster, -1 = none: such pixels are of part 0.
        part_names: of the labels.

    Raises:
        ValueError: for an assignment that does not fit.
    """

    def __init__(self, clusters: Segmenter, assignment: Sequence[int], part_names: Sequence[str]) -> None:
        super().__init__()
        check_assignment(assignment, len(clusters.part_names), len(part_names))
        self.clusters = clusters
        self.part_names = list(part_names)
        self.image_size = clusters.image_size
        labels = torch.as_tensor(list(assignment)).clamp(min=0)
        self.register_buffer("label_of", labels)

    def forward(self, images: Tensor) -> Tensor:
        """(N, parts, H, W): 1 for the label of each pixel, of images (N, 3, H, W) in [-1, 1]."""
        return self._one_hot(self.clusters(images).argmax(dim=1))

    def scores(self, images: Tensor, size: int | None = None) -> Tensor:
        """The same at another size: the clusters' scores are resized, not the labels."""
        return self._one_hot(self.clusters.labels(images, size))

    def _one_hot(self, numbers: Tensor) -> Tensor:
        assert isinstance(self.label_of, Tensor)
        labels = self.label_of[numbers]
        return F.one_hot(labels, len(self.part_names)).movedim(-1, 1).float()


def check_assignment(assignment: Sequence[int], clusters: int, labels: int) -> None:
    """Refuse an assignment of another number of clusters, or to labels that there are not.

    Raises:
        ValueError: saying which.
    """
    if len(assignment) != clusters:
        raise ValueError(f"assignment names {len(assignment)} clusters, the segmenter knows {clusters}")
    low, high = min(assignment), max(assignment)
    if low < -1 or high >= labels:
        raise ValueError(
            f"assignment has labels {low} to {high}: they must be 0 to {labels - 1}, or -1 for none"
        )


def tables_of(
    segmenter: Labeller,
    data: ImageSet,
    rows: Sequence[int] | None = None,
    batch_size: int = 50,
    device: str | torch.device = "cpu",
    ignore: int | None = None,
    what: str = "segmenting",
) -> Tables:
    """(I, R, K) of each image: pixels of label i in cluster j; all that matching and scores need.

    Args:
        segmenter: of K clusters, in eval mode, on ``device``.
        data: images with masks of R labels.
        rows: numbers of the images; None = all.
        batch_size: images at a time.
        device: where they are segmented.
        ignore: number in the masks of pixels that are not counted, such as 255.
        what: title of the progress bar.

    Raises:
        DataError: for data without masks, or with masks that do not fit.
    """
    rows = range(len(data)) if rows is None else rows
    check_whole(1, images=len(rows), batch_size=batch_size)
    shape = (len(data.part_names), len(segmenter.part_names))
    tables = np.zeros((len(rows), *shape), dtype=np.int64)
    starts = range(0, len(rows), batch_size)
    for start in tracked(starts, len(starts), what):
        chosen = rows[start : start + batch_size]
        masks = [checked_mask(data, i, ignore) for i in chosen]
        pictures = torch.stack([to_tensor(data.image(i)) for i in chosen]).to(device)
        found = segmenter.labels(pictures).cpu().numpy()
        for place, (mask, numbers) in enumerate(zip(masks, found, strict=True), start=start):
            counted = slice(None) if ignore is None else mask != ignore
            tables[place] = contingency_matrix(mask[counted].ravel(), numbers[counted].ravel(), shape)
    return tables


def match(tables: ArrayLike, protocol: str = "paper") -> Matching:
    """The labels of clusters by (I, R, K) tables.

    Raises:
        ValueError: for an unknown protocol.
    """
    if protocol == "paper":
        return matched_iou(tables, allow_unmatched=True)
    if protocol == "official":
        return matched_iou_per_image(tables, allow_unmatched=False)
    raise ValueError(f"protocol={protocol!r} is not one of {list(PROTOCOLS)}{near_miss(protocol, PROTOCOLS)}")


def relabelled(tables: Tables, assignment: ArrayLike) -> Tables:
    """(I, R, R) pixels of true label i that were given label j, where clusters have these labels.

    Clusters without a label count as part 0.
    """
    labels = np.maximum(np.asarray(assignment), 0)
    images, parts, _ = tables.shape
    found = np.zeros((images, parts, parts), dtype=np.int64)
    for cluster, label in enumerate(labels):
        found[:, :, label] += tables[:, :, cluster]
    return found


def scores_of(tables: Tables) -> dict[str, Any]:
    """Scores (:class:`toolbox.metrics.segmentation.SegmentationScores`) of (I, R, R) tables."""
    from toolbox.metrics.segmentation import SegmentationScores

    scores = SegmentationScores(tables.shape[1])
    for counts in tables:
        scores.add(torch.from_numpy(counts))
    return scores.compute()
