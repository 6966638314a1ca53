"""Weights between a source's and an adapted generator's."""

from __future__ import annotations

import pytest
import torch

from toolbox import build
from toolbox.interfaces import Generator
from toolbox_ipl.blending import blend_images, blended


def small(seed: int, **changes: int) -> Generator:
    torch.manual_seed(seed)
    sizes = dict(image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8)
    made: Generator = build(dict(type="StyleGAN2Generator", **(sizes | changes)))
    return made.eval()


def test_the_ends_are_the_generators_themselves() -> None:
    source, adapted = small(0), small(1)
    images = blend_images(source, adapted, [0, 0.5, 1], rows=2, seed=3)
    assert images.shape == (6, 3, 8, 8)
    assert torch.equal(images[[0, 3]], source.sample(2, 3))
    assert torch.allclose(images[[2, 5]], adapted.sample(2, 3), atol=1e-5)
    name, own = next(iter(source.named_parameters()))
    half = dict(blended(source, adapted, 0.5).named_parameters())[name]
    assert torch.allclose(half, (own + dict(adapted.named_parameters())[name]) / 2, atol=1e-5)


def test_faults() -> None:
    with pytest.raises(ValueError, match=r"source and adapted generator differ in .*: no blend"):
        blended(small(0), small(0, style_dim=5), 0.5)
    with pytest.raises(ValueError, match=r"t=nan must be a finite number"):
        blended(small(0), small(1), float("nan"))
    with pytest.raises(ValueError, match=r"columns=0 must be a whole number"):
        blend_images(small(0), small(1), [])
