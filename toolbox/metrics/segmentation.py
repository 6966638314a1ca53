"""How well a segmenter finds the parts of images whose masks are known.

Mean IoU has several evaluators, which do not compare with each other:

* ``miou-pooled``: the pixels of all images together, every part.
* ``miou-per-image``: IoU of each image, averaged over the images where a part occurs (in the mask or in what
  was found), then over the parts without the background, part 0.
* ``miou-klish``: the same, after pixels whose truth is background were dropped. Background that is taken for
  a part costs nothing, so that it is never below ``miou-per-image``. It is what KLiSH's authors evaluate
  segmentations with (torchmetrics 0.7's ``jaccard_index`` of each image, ``ignore_index=0``), and the only
  one that compares with their tables of segmentations (tables I, III, V).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class SegmentationScores:
    """Sufficient statistics of a segmentation's quality; those of parts of the data add up.

    Args:
        parts: how many there are.
        ignore: number in the true masks of pixels that no evaluator counts, such as 255; None = there is
            none.

    Attributes:
        counts: (parts, parts) int64 pixels of true part i that were found as j.
        iou_sum, occurs: (parts,) sum of the IoU of single images, and how many images it was summed over.
        klish_sum, klish_occurs: the same without the pixels whose truth is part 0.

    Raises:
        ValueError: for an ``ignore`` that is the number of a part.
    """

    def __init__(self, parts: int, ignore: int | None = None) -> None:
        check_ignore(ignore, parts)
        self.parts = parts
        self.ignore = ignore
        self.counts = torch.zeros(parts, parts, dtype=torch.int64)
        self.iou_sum = torch.zeros(parts, dtype=torch.float64)
        self.occurs = torch.zeros(parts, dtype=torch.int64)
        self.klish_sum = torch.zeros(parts, dtype=torch.float64)
        self.klish_occurs = torch.zeros(parts, dtype=torch.int64)

    def update(self, truth: Tensor, found: Tensor) -> None:
        """Take in masks (N, H, W) of whole numbers below ``parts``; ``truth`` may hold ``ignore`` too.

        Raises:
            ValueError: for masks of two shapes, or a part out of range.
        """
        if truth.shape != found.shape or truth.ndim != 3:
            raise ValueError(
                f"truth has shape {tuple(truth.shape)} and found {tuple(found.shape)}: both must be (N, H, W)"
            )
        truth, found = truth.long().cpu(), found.long().cpu()
        counted = torch.ones_like(truth, dtype=torch.bool) if self.ignore is None else truth != self.ignore
        self._check_range("truth", truth[counted])
        self._check_range("found", found)
        for true_mask, mask, inside in zip(truth, found, counted, strict=True):
            pairs = true_mask[inside] * self.parts + mask[inside]  # of each pixel: true part and found part
            self.add(torch.bincount(pairs, minlength=self.parts**2).view(self.parts, -1))

    def _check_range(self, name: str, numbers: Tensor) -> None:
        low, high = (int(numbers.min()), int(numbers.max())) if numbers.numel() else (0, 0)
        if low < 0 or high >= self.parts:
            also = "" if self.ignore is None or name != "truth" else f", or ignore={self.ignore}"
            raise ValueError(f"{name} has parts {low} to {high}: they must be 0 to {self.parts - 1}{also}")

    def add(self, counts: Tensor) -> None:
        """Take in one image's pixels (parts, parts) of true part i that were found as j, int64."""
        self.counts += counts
        iou, union = iou_of(counts)
        self.iou_sum += iou
        self.occurs += union > 0
        foreground = counts.clone()
        foreground[0] = 0
        iou, union = iou_of(foreground)
        self.klish_sum += iou
        self.klish_occurs += union > 0

    def state(self) -> dict[str, Tensor]:
        """The statistics, as named tensors."""
        names = ("counts", "iou_sum", "occurs", "klish_sum", "klish_occurs")
        return {name: getattr(self, name) for name in names}

    def merge(self, state: dict[str, Tensor]) -> None:
        """Fold in the statistics of other images."""
        for name, value in self.state().items():
            value += state[name]

    def compute(self) -> dict[str, Any]:
        """Shares in [0, 1].

        Returns:
            'pixel-accuracy'; 'miou-klish', 'miou-per-image' and 'miou-pooled' as above; 'iou' (list: pooled,
            each part); 'iou-klish' (list: by the authors' evaluator, each part but 0, None where it never
            occurs). A part that never occurs counts 0 in the pooled mean and is left out of the others.

        Raises:
            ValueError: when no pixel was counted.
        """
        total = int(self.counts.sum())
        if not total:
            raise ValueError(
                "no masks were fed, or no pixel but those of ignore: there is nothing to compute"
            )
        iou, _ = iou_of(self.counts)
        return {
            "pixel-accuracy": int(self.counts.diagonal().sum()) / total,
            "miou-klish": _without_background(self.klish_sum, self.klish_occurs),
            "miou-per-image": _without_background(self.iou_sum, self.occurs),
            "miou-pooled": float(iou.mean()),
            "iou": iou.tolist(),
            "iou-klish": _each_without_background(self.klish_sum, self.klish_occurs),
        }


def check_ignore(ignore: int | None, parts: int) -> None:
    """Refuse an ``ignore`` that is the number of a part.

    Raises:
        ValueError: saying which numbers parts have.
    """
    if ignore is not None and 0 <= ignore < parts:
        raise ValueError(
            f"ignore={ignore} is the number of a part: it must be none of 0 to {parts - 1}, such as 255"
        )


def iou_of(counts: Tensor) -> tuple[Tensor, Tensor]:
    """(parts) IoU in float64, 0 where a part never occurs, and (parts) unions, of counts (parts, parts)."""
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return counts.diagonal().double() / union.clamp(min=1), union


def _each_without_background(total: Tensor, images: Tensor) -> list[float | None]:
    """Mean of each part over the images where it occurs; None for the background, and where none does."""
    values = [float(value) / int(n) if n else None for value, n in zip(total, images, strict=True)]
    return [None, *values[1:]]


def _without_background(total: Tensor, images: Tensor) -> float:
    """Mean over images, then over the parts that occur but for part 0; 0 where none does."""
    seen = images[1:] > 0
    means = total[1:][seen] / images[1:][seen]
    return float(means.mean()) if len(means) else 0.0
