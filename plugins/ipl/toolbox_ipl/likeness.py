"""How alike two pictures are, in a network's eyes: what translations are measured by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from toolbox.interfaces import FeatureExtractor
from toolbox.registry import build
from toolbox_ipl.networks.irse50 import IRSE50
from toolbox_ipl.networks.lpips import LPIPS

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Likeness:
    """A comparison of two pictures by their features.

    Attributes:
        name: what is measured, for people.
        features: images (N, 3, H, W) in [-1, 1] to (N, d).
        squared: |a - b|^2 of the features is meant, not their cosine.
    """

    name: str
    features: Features
    squared: bool = False

    @torch.no_grad()
    def see(self, images: Tensor) -> Tensor:
        """Features (N, d), image by image: LPIPS' are 32 MB each."""
        return torch.cat([self.features(one) for one in images.split(1)])

    def between(self, one: Tensor, other: Tensor) -> Tensor:
        """(N,) of features (N, d)."""
        return (one - other).square().sum(dim=1) if self.squared else torch.cosine_similarity(one, other)


def likenesses(
    lpips: Sequence[str | Path] | None = None, identity: str | Path | None = None, device: str = "cpu"
) -> list[Likeness]:
    """Perceptual distance, and identity; without their files, stand-ins under other names.

    Args:
        lpips: VGG-16 of ImageNet and the heads of LPIPS 0.1; None = the cosine of the shipped toy CLIP.
        identity: ``model_ir_se50.pth``; None = the cosine of the shipped judge of drawn portraits.
        device: of the networks.

    Raises:
        FileNotFoundError, ValueError: for files that are not there or do not fit.
    """
    first = LPIPS(lpips[0], lpips[1]) if lpips else _built("EmbeddedClipFeatures")
    second = IRSE50(identity) if identity else _built("PortraitJudge")
    return [
        Likeness(
            "LPIPS" if lpips else f"{first.name} cosine (stands in for LPIPS)", first.to(device), bool(lpips)
        ),
        Likeness("ID" if identity else f"{second.name} cosine (stands in for ID)", second.to(device)),
    ]


def _built(name: str) -> FeatureExtractor:
    made: FeatureExtractor = build(dict(type=name), "extractor")
    return made
