"""CLIP's image encoder as a feature extractor, for clustering and for metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import FeatureExtractor
from toolbox.models.clip import Clip

LAYERS = ("embedding", "pooled")


class ClipFeatures(FeatureExtractor):
    """Image features of any CLIP.

    Args:
        clip: a :class:`~toolbox.models.clip.Clip`, or its config.
        layer: 'embedding' (the common space of images and texts) or 'pooled' (mean over the last feature map,
            before the projection; convolutional encoders only).
        normalize: scale features to unit length.
        name: what metrics are called by; default 'clip-<architecture>', with the layer if it is not the
            embedding.

    Raises:
        ValueError: an unknown layer, or 'pooled' for an encoder without a feature map.
    """

    def __init__(
        self,
        clip: Clip | Mapping[str, Any],
        layer: str = "embedding",
        normalize: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__()
        from toolbox.registry import build

        if layer not in LAYERS:
            raise ValueError(f"layer={layer!r} is not one of {', '.join(LAYERS)}")
        self.clip: Clip = build(clip, "network", "clip")
        if layer == "pooled" and not hasattr(self.clip.model.visual, "layer4"):
            raise ValueError(
                f"layer='pooled' needs a convolutional image encoder, {self.clip.architecture!r} "
                "has none: use 'embedding'"
            )
        self.layer = layer
        self.normalize = normalize
        suffix = "" if layer == "embedding" else f"-{layer}"
        self.name = name or f"clip-{self.clip.architecture}{suffix}"
        self.requires_grad_(False).eval()

    @cached_property
    def n_features(self) -> int:  # type: ignore[override]
        """Length of a vector."""
        height, width = self.clip.image_size
        with torch.no_grad():
            return int(self(torch.zeros(1, 3, height, width, device=self.clip.mean.device)).shape[1])

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1], differentiable."""
        features = self.clip.encode_images(images) if self.layer == "embedding" else self._pooled(images)
        features = features.float()
        return F.normalize(features, dim=-1) if self.normalize else features

    def _pooled(self, images: Tensor) -> Tensor:
        visual = self.clip.model.visual
        x = visual.stem(self.clip.preprocess(images))
        for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = stage(x)
        return x.mean(dim=(2, 3))  # (N, C, h, w) -> (N, C)

    def fingerprint(self) -> str:
        """sha256 of weights, preprocessing and layer; computed once, since the weights do not move."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(f"{self.clip.fingerprint()} {self.layer} {self.normalize}".encode()).hexdigest()

    def train(self, mode: bool = True) -> ClipFeatures:
        """Stays in eval mode: features must not depend on the batch."""
        return super().train(False)
