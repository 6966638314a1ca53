"""How well a segmenter finds the parts of images whose masks are known.

Protocols: *pooled* counts the pixels of all images together and takes every part; *per image* is the one
behind the tables of KLiSH (tables I, III and V): IoU of each image, averaged over the images where a part
occurs (in the mask or in what was found), then over the parts without the background, part 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class SegmentationScores:
    """Sufficient statistics of a segmentation's quality; those of parts of the data add up.

    Args:
        parts: how many there are.

    Attributes:
        counts: (parts, parts) int64 pixels of true part i that were found as j.
        iou_sum, occurs: (parts,) sum of the IoU of single images, and how many images it was summed over.
    """

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.counts = torch.zeros(parts, parts, dtype=torch.int64)
        self.iou_sum = torch.zeros(parts, dtype=torch.float64)
        self.occurs = torch.zeros(parts, dtype=torch.int64)

    def update(self, truth: Tensor, found: Tensor) -> None:
        """Take in masks (N, H, W) of whole numbers below ``parts``.

        Raises:
            ValueError: for masks of two shapes, or a part out of range.
        """
        if truth.shape != found.shape or truth.ndim != 3:
            raise ValueError(
                f"truth has shape {tuple(truth.shape)} and found {tuple(found.shape)}: both must be (N, H, W)"
            )
        for name, masks in (("truth", truth), ("found", found)):
            low, high = (int(masks.min()), int(masks.max())) if masks.numel() else (0, 0)
            if low < 0 or high >= self.parts:
                raise ValueError(f"{name} has parts {low} to {high}: they must be 0 to {self.parts - 1}")
        for true_mask, mask in zip(truth.long().cpu(), found.long().cpu(), strict=True):
            pairs = (true_mask * self.parts + mask).flatten()  # (H W,) of true part and found part
            self._take(torch.bincount(pairs, minlength=self.parts**2).view(self.parts, -1))

    def _take(self, counts: Tensor) -> None:
        """Add one image's pixels (parts, parts) of true part i that were found as j."""
        self.counts += counts
        union = counts.sum(0) + counts.sum(1) - counts.diagonal()
        self.iou_sum += counts.diagonal() / union.clamp(min=1)
        self.occurs += union > 0

    def state(self) -> dict[str, Tensor]:
        """The statistics, as named tensors."""
        return dict(counts=self.counts, iou_sum=self.iou_sum, occurs=self.occurs)

    def merge(self, state: dict[str, Tensor]) -> None:
        """Fold in the statistics of other images."""
        for name, value in self.state().items():
            value += state[name]

    def compute(self) -> dict[str, Any]:
        """Shares in [0, 1].

        Returns:
            'pixel-accuracy'; 'miou' (per image, without background); 'miou-pooled' (all parts); 'iou' (list:
            pooled, each part). A part that never occurs counts 0 in the pooled mean and is left out of the
            other.

        Raises:
            ValueError: when no pixel was fed.
        """
        total = int(self.counts.sum())
        if not total:
            raise ValueError("no masks were fed: there is nothing to compute")
        union = self.counts.sum(0) + self.counts.sum(1) - self.counts.diagonal()
        iou = self.counts.diagonal() / union.clamp(min=1)
        seen = self.occurs[1:] > 0
        per_image = (self.iou_sum[1:] / self.occurs[1:].clamp(min=1))[seen]
        return {
            "pixel-accuracy": int(self.counts.diagonal().sum()) / total,
            "miou": float(per_image.mean()) if len(per_image) else 0.0,
            "miou-pooled": float(iou.mean()),
            "iou": iou.tolist(),
        }
