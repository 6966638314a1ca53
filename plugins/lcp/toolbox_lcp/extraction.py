"""The frozen network whose features are clustered, and functions of all images of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.data.base import to_tensor
from toolbox.interfaces import FeatureExtractor
from toolbox.registry import build
from toolbox.runs.terminal import tracked


def frozen_extractor(config: Any) -> FeatureExtractor:
    """The extractor of a config, in evaluation mode and without gradients.

    Raises:
        ValueError: when it is no ``FeatureExtractor``.
    """
    extractor = build(config, None, "conditioner.extractor")
    if not isinstance(extractor, FeatureExtractor):
        raise ValueError(f"extractor must be a FeatureExtractor, got {type(extractor).__name__}")
    return extractor.requires_grad_(False).eval()


def digest_of(extractor: FeatureExtractor) -> Tensor:
    """(32,) uint8: the SHA-256 of its fingerprint, fit for a checkpoint."""
    digest = hashlib.sha256(extractor.fingerprint().encode()).digest()
    return torch.tensor(list(digest), dtype=torch.uint8)


def extract(
    extractor: FeatureExtractor, source: Any, rows: Tensor, batch: int, device: torch.device
) -> Tensor:
    """(N, d) float16 features of images ``rows`` (n,) of an image set of N; zero for the other images.

    Raises:
        ValueError: for features that float16 cannot hold.
    """
    extractor.to(device)
    found = in_batches(source, rows, batch, device, lambda images: extractor(images).half().cpu())  # (n, d)
    if not found.isfinite().all():
        raise ValueError(f"extractor {extractor.name!r} gave features that are NaN, infinite or above 65504")
    return found.new_zeros(len(source), found.shape[1]).index_copy_(0, rows, found)


@torch.no_grad()
def in_batches(
    source: Any, rows: Tensor, batch: int, device: torch.device, function: Callable[[Tensor], Tensor]
) -> Tensor:
    """``function`` of the unaugmented images ``rows`` (n,) of an image set, joined; ranks share the work."""
    batches = rows.split(batch)
    own_batches = batches[ranks.rank() :: ranks.world()]
    own = []
    for some in tracked(own_batches, len(own_batches), "looking at images"):
        images = torch.stack([to_tensor(source.image(int(i))) for i in some])
        own.append(function(images.to(device)))
    found = ranks.gather_objects(own)
    # rank r did batches r, r + world, ...: number n is the (n // world)-th of rank n % world
    world = len(found)
    return torch.cat([found[number % world][number // world] for number in range(len(batches))])
