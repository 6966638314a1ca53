"""From images to features: 8-bit rounding as in files on disk, and one pass for all metrics of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import FeatureExtractor, Sample

TOLERANCE = 1e-3  # how far beyond [-1, 1] a float image may lie: rounding of a tanh in half precision


def quantise(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1] rounded to 8 bits: uint8 = trunc(255 (x + 1) / 2 + 1/2), clamped.

    Generated images are rounded because real ones are; without it the distance measures the rounding.

    Raises:
        ValueError: for another shape, values beyond [-1, 1] by more than 1e-3, or NaN (naming the image).
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images have shape {tuple(images.shape)}: expected (N, 3, H, W), RGB")
    if not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype}: expected floats in [-1, 1]; for 8 bits use x / 127.5 - 1"
        )
    outside = ~(images.abs() <= 1 + TOLERANCE)  # not >: a NaN is outside too
    if outside.any():
        row = int(outside.flatten(1).any(dim=1).int().argmax())
        low, high = images[row].min().item(), images[row].max().item()
        raise ValueError(f"image {row} of the batch spans {low:.4g} to {high:.4g}: expected [-1, 1]")
    return ((images.float().clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """uint8 images as floats in [-1, 1]."""
    return images.float() / 127.5 - 1


def features_of(extractor: FeatureExtractor, sample: Sample) -> Tensor:
    """Features (N, D) float32 of the rounded images; those that an earlier pass left in ``sample.extras``, if
    any.
    """
    key = feature_key(extractor)
    if key not in sample.extras:
        sample = with_features(sample, [extractor])
    return sample.extras[key]


def with_features(sample: Sample, extractors: Iterable[FeatureExtractor]) -> Sample:
    """The sample with every extractor's features in its extras, each network run once.

    Two extractors of one fingerprint share their features; one with a ``base`` (a classifier on another's
    features) shares the base's.
    """
    images = from_bytes(quantise(sample.images))
    found = {key: value for key, value in sample.extras.items() if key.startswith("features:")}
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        for extractor in extractors:
            _extract(extractor, images, found)
    return sample.replace(extras={**sample.extras, **found})


def feature_key(extractor: FeatureExtractor) -> str:
    """Where :func:`with_features` leaves an extractor's features among a sample's extras."""
    return f"features:{extractor.fingerprint()}"


def _extract(extractor: Any, images: Tensor, found: dict[str, Tensor]) -> Tensor:
    key = feature_key(extractor)
    if key not in found:
        base = getattr(extractor, "base", None)
        features = extractor(images) if base is None else extractor.head(_extract(base, images, found))
        found[key] = features.float()
    return found[key]
