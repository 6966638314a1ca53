"""Latents of real images in W+ of a style-based generator, by optimisation (Abdal et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.models.style_based import StyleBasedGenerator
from toolbox.runs.terminal import tracked

RATE = 0.05  # of Adam
_SCALES = 3  # at which pixels are compared: the image, its halves, its quarters


def project(
    generator: StyleBasedGenerator,
    images: Tensor,
    steps: int = 300,
    features: Callable[[Tensor], Tensor] | None = None,
    feature_weight: float = 0.1,
) -> Tensor:
    """ws (N, n_styles, style_dim) whose images are near the given ones.

        min  sum over scales of |G(ws) - x|^2 + feature_weight (1 - cos(f(G(ws)), f(x)))

    From the mean w, by Adam with a rate that falls as half a cosine, with the noise of the weights: nothing
    is random. Each image is fitted by itself.

    Args:
        generator: it, in eval mode.
        images: (N, 3, H, W) in [-1, 1], of its size.
        steps: of Adam.
        features: images -> (N, d), such as a CLIP's ``encode_images``; None = pixels alone.
        feature_weight: of their cosine distance.

    Raises:
        ValueError: for images of another size, or no step.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} must be 1 or more")
    size = generator.image_size
    if images.shape[1:] != (3, size, size):
        raise ValueError(
            f"images of {tuple(images.shape[1:])} cannot be projected; they must be (3, {size}, {size})"
        )
    mean = generator.mapping.w_avg.detach().expand(len(images), generator.n_styles, -1)
    ws = mean.clone().requires_grad_(True)
    wanted = None if features is None else features(images).detach()
    optimizer = torch.optim.Adam([ws], lr=RATE)
    for step in tracked(range(steps), steps, f"projecting {len(images)} images"):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        made = generator.synthesis(ws, generator.synthesis.constant_noise())
        loss = pixel_distance(made, images)
        if features is not None and wanted is not None:
            loss = loss + feature_weight * (1 - F.cosine_similarity(features(made), wanted)).sum()
        (ws.grad,) = torch.autograd.grad(loss, ws)
        optimizer.step()
    return ws.detach()


def pixel_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean squares of (N, 3, H, W) at three scales, summed over scales and images."""
    total = one.new_zeros(())
    for scale in range(_SCALES):
        if scale:
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        total = total + (one - other).square().flatten(1).mean(1).sum()
    return total
