"""Images against texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Objective, Turn
from toolbox.losses import contrastive


class ImageTextContrastive(Objective):
    """Symmetric InfoNCE between images and their captions (CLIP; Radford et al. 2021).

    Pairs of equal ``group`` (a field of the data's items) are positives of each other's captions; without
    that field, pairs whose captions are equal.

    Args:
        clip: name of the network (a Clip).
    """

    def __init__(self, clip: str = "clip") -> None:
        super().__init__()
        self.clip = clip
        self.formulas = {
            clip: "1/2 [CE(s <x, t>) over texts + CE(s <x, t>) over images], s = exp(logit scale)"
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """CLIP's."""
        return {self.clip: self.contrast}

    def contrast(self, turn: Turn) -> Tensor:
        """Cross-entropy of matching pairs, both ways; among the pairs of all ranks."""
        clip = turn.network(self.clip)
        ids = turn.real.condition.text
        assert isinstance(ids, Tensor), "ImageTextContrastive needs token ids (N, L) as the batch's 'text'"
        images = F.normalize(clip.encode_images(turn.real.images), dim=-1)
        texts = F.normalize(clip.encode_tokens(ids), dim=-1)
        groups = turn.real.extras.get("group")
        return contrastive.image_text_contrastive(
            ranks.gather_rows_with_gradient(images),
            ranks.gather_rows_with_gradient(texts),
            clip.logit_scale.exp().clamp(max=100),
            _groups(ranks.gather_rows(ids)) if groups is None else ranks.gather_rows(groups),
        )


def _groups(ids: Tensor) -> Tensor:
    """(N,) number of each distinct caption."""
    return torch.unique(ids, dim=0, return_inverse=True)[1]
