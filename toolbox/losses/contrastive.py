"""Contrastive losses between images and texts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def image_text_contrastive(
    image_features: Tensor, text_features: Tensor, logit_scale: Tensor | float, labels: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE of N image-text pairs (CLIP, figure 3); UniCL's form when pairs share a label.

        s_ij = scale cos(image_i, text_j)
        loss = 1/2 mean_i CE(s_i., P_i.) + 1/2 mean_j CE(s_.j, P_.j)

    It couples the images of a batch: several processes gather the features first
    (:func:`toolbox.ranks.gather_rows_with_gradient`), as the objective ImageTextContrastive does.

    Args:
        image_features, text_features: (N, d); normalised here.
        logit_scale: the factor itself (CLIP's ``logit_scale.exp()``), 1 / temperature.
        labels: (N,) int64; pairs of equal label are positives of each other, P uniform over them (UniCL, eq.
            3-4). None: each image matches its own text only.

    Returns:
        Scalar; at most log N on average for uninformative features.

    Raises:
        ValueError: for features of different shapes, or labels of another length.
    """
    if image_features.shape != text_features.shape or image_features.ndim != 2:
        raise ValueError(
            f"image_features {tuple(image_features.shape)} and text_features "
            f"{tuple(text_features.shape)} must both be (N, d): text i belongs to image i"
        )
    images = F.normalize(image_features, dim=1)
    texts = F.normalize(text_features, dim=1)
    scores = logit_scale * images @ texts.t()  # (N, N)
    targets = _positives(labels, len(scores), scores)
    return (F.cross_entropy(scores, targets) + F.cross_entropy(scores.t(), targets)) / 2


def _positives(labels: Tensor | None, n: int, like: Tensor) -> Tensor:
    """Target distribution (N, N): rows uniform over the positives."""
    if labels is None:
        return torch.eye(n, device=like.device, dtype=like.dtype)
    if labels.shape != (n,):
        raise ValueError(f"labels have shape {tuple(labels.shape)}, expected ({n},): one for each pair")
    equal = (labels[:, None] == labels[None, :]).to(like.dtype)  # (N, N)
    return equal / equal.sum(dim=1, keepdim=True)
