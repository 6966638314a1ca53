"""The loss of segmenters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Objective, Turn


class PixelCrossEntropy(Objective):
    """Classification of every pixel of real images, from their masks (KLiSH, sec. 4.1).

        -E log p(part of pixel | image)

    Args:
        segmenter: name of the network that is trained; logits (N, parts, H, W).
    """

    def __init__(self, segmenter: str = "segmenter") -> None:
        super().__init__()
        self.segmenter = segmenter
        self.formulas = {segmenter: "-E log p(part | x) over the pixels of x"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The segmenter's."""
        return {self.segmenter: self.cross_entropy}

    def cross_entropy(self, turn: Turn) -> Tensor:
        """Mean over all pixels of the batch.

        Raises:
            ValueError: when the batch has no masks, or masks of another size than the logits.
        """
        mask = turn.real.condition.mask
        if mask is None:
            raise ValueError(
                "PixelCrossEntropy needs masks: give the training data dict(type='Stream', masks=True, ...), "
                "of a "
                "source that has them"
            )
        logits = turn.network(self.segmenter)(turn.real.images)
        if logits.shape[2:] != mask.shape[1:]:
            raise ValueError(
                f"masks are {tuple(mask.shape[1:])} and the logits of {self.segmenter!r} "
                f"{tuple(logits.shape[2:])}"
            )
        return F.cross_entropy(logits, mask)
