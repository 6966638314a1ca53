"""Whether generated images obey their masks: a segmenter finds in each pixel the part that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from toolbox.interfaces import Metric, Sample, Segmenter, from_bytes
from toolbox.metrics.base import quantise, short_count
from toolbox.metrics.segmentation import SegmentationScores
from toolbox.ranges import check_whole, given


class MaskAgreement(Metric):
    """Share of pixels of generated images in which a segmenter finds the part of their mask (SPADE, sec. 4).

    ``compute`` gives the share ('') and the mean IoU over the parts, all pixels together ('miou').

    Args:
        segmenter: a :class:`toolbox.interfaces.Segmenter`, or its config; its parts are those of the masks.
            No loss should have seen it.
        n_fake: how many generated images; None: as many as are fed.
        part_names: of the masks, from the game's conditioner; compared with the segmenter's.

    Raises:
        ValueError: for what is no segmenter, or one of other parts.
    """

    needs: tuple[str, ...] = ("fake",)
    higher_is_better: ClassVar[bool] = True

    def __init__(
        self,
        segmenter: Segmenter | Mapping[str, Any],
        n_fake: int | None = None,
        part_names: Sequence[str] | None = None,
    ) -> None:
        from toolbox.registry import build

        check_whole(1, **given(n_fake=n_fake))
        built = build(segmenter, None, "segmenter") if isinstance(segmenter, Mapping) else segmenter
        if not isinstance(built, Segmenter):
            raise ValueError(f"segmenter is a {type(built).__name__}, which is no Segmenter")
        if part_names is not None and list(part_names) != list(built.part_names):
            raise ValueError(
                f"the masks have the parts {', '.join(part_names)}; {type(built).__name__} knows "
                f"{', '.join(built.part_names)}"
            )
        self.segmenter = built.eval()
        self.n_fake = n_fake
        self.reset()

    @property
    def name(self) -> str:
        """``mask-agreement[segmenter,number of fakes]``."""
        return f"mask-agreement[{type(self.segmenter).__name__},{short_count(self.n_fake or self._images)}]"

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images with the masks that they were asked for.

        Raises:
            ValueError: for images without masks, or masks with parts that the segmenter does not know.
        """
        mask = sample.condition.mask
        if mask is None:
            raise ValueError("mask-agreement: generated images have no masks (conditioner=MaskConditions)")
        images = from_bytes(quantise(sample.images))
        self.segmenter.to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            self._scores.update(mask, self.segmenter.labels(images))
        self._images += len(sample)

    def compute(self) -> dict[str, float]:
        """Shares in [0, 1]."""
        if not self._images:
            raise ValueError("mask-agreement: no generated images were fed")
        found = self._scores.compute()
        return {"": found["pixel-accuracy"], "miou": found["miou-pooled"]}

    def details(self) -> dict[str, Any]:
        """IoU of each part."""
        iou = self._scores.compute()["iou"] if self._images else []
        return {"iou": dict(zip(self.segmenter.part_names, iou, strict=False))}

    def state(self) -> dict[str, Any]:
        """Counts of pixels, and how many images."""
        return {**self._scores.state(), "images": torch.tensor(self._images)}

    def merge(self, state: dict[str, Any]) -> None:
        """Fold in what another process was fed."""
        self._images += int(state["images"])
        self._scores.merge(state)

    def reset(self) -> None:
        """Forget what was fed."""
        self._scores = SegmentationScores(len(self.segmenter.part_names))
        self._images = 0

    def judges(self) -> list[Any]:
        """The segmenter."""
        return [self.segmenter]
