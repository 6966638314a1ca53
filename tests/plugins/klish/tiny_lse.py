"""A small generator and a teacher that sees the brightest channel, for the tests of linear extractors."""

from __future__ import annotations

import torch

from toolbox.interfaces import Generator, Segmenter
from toolbox.registry import build

PARTS = ["ground", "thing", "other"]
SMALL = dict(type="StyleGAN2Generator", image_size=16, latent_dim=8, style_dim=8, channel_base=128)


class Brightest(Segmenter):
    """A pixel's part is its brightest channel."""

    part_names = PARTS

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def small_generator() -> Generator:
    """Of random weights, with a little noise."""
    torch.manual_seed(0)
    network: Generator = build(SMALL).eval().requires_grad_(False)
    for name, value in network.named_parameters():
        if "noise_strength" in name:
            value.fill_(0.05)
    return network
