"""Layers of Diffusion Autoencoders, in the authors' layout (Preechakul et al. 2022, arXiv 2111.15640)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 32  # of every GroupNorm, or as many as divide both this and the channels


def normalization(channels: int) -> nn.GroupNorm:
    """GroupNorm of 32 groups, where the channels can be dealt to so many."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def resample(x: Tensor, change: int) -> Tensor:
    """(N, C, H, W) at half the size (``change`` -1: 2x2 means), twice (1: nearest neighbour), or as it is."""
    if change < 0:
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest") if change > 0 else x


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, conv, and a shortcut; a conditioned one has a second half.

        h = conv(resampled(SiLU(GN(x))))
        h = conv(dropout(SiLU((GN(h) (1 + scale_t) + shift_t) (1 + scale_z))))     conditioned only
        y = shortcut(resampled(x)) + h

    The last convolution of a conditioned block starts at zero.

    Args:
        inputs, outputs: channels; where they differ the shortcut is a 1x1 convolution.
        embed_channels: of the time's embedding; 0 = unconditioned.
        style_channels: of z_sem.
        dropout: share of activations.
        change: -1 = halves the size, 1 = doubles it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embed_channels: int = 0,
        style_channels: int = 0,
        dropout: float = 0.0,
        change: int = 0,
    ) -> None:
        super().__init__()
        self.change = change
        self.conditioned = bool(embed_channels)
        self.in_layers = nn.Sequential(
            normalization(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        if self.conditioned:
            self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embed_channels, 2 * outputs))
            self.cond_emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(style_channels, outputs))
            last = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
            self.out_layers = nn.Sequential(normalization(outputs), nn.SiLU(), nn.Dropout(dropout), last)
        same = inputs == outputs
        self.skip_connection: nn.Module = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor | None = None, style: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W), the embedded time (N, E) and z_sem (N, S) -> (N, outputs, H', W')."""
        norm, activation, convolution = self.in_layers
        h = convolution(resample(activation(norm(x)), self.change))
        if self.conditioned:
            h = self._conditioned(h, time, style)
        shortcut: Tensor = self.skip_connection(resample(x, self.change))
        return shortcut + h

    def _conditioned(self, h: Tensor, time: Tensor | None, style: Tensor | None) -> Tensor:
        scale, shift = self.emb_layers(time)[:, :, None, None].chunk(2, dim=1)
        h = self.out_layers[0](h) * (1 + scale) + shift
        h = h * (1 + self.cond_emb_layers(style)[:, :, None, None])
        result: Tensor = self.out_layers[1:](h)
        return result


class Attention(nn.Module):
    """Self-attention over places, with a shortcut: x + W softmax(q k' / sqrt(d)) v, of GN(x).

    Args:
        channels: of x.
        heads: which share the channels.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.norm = normalization(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        places = x.flatten(2)
        every = (
            self.qkv(self.norm(places)).unflatten(1, (self.heads, -1)).transpose(2, 3)
        )  # (N, heads, L, 3d)
        query, key, value = every.chunk(3, dim=3)
        seen = F.scaled_dot_product_attention(query, key, value)
        h = self.proj_out(seen.transpose(2, 3).flatten(1, 2))
        return x + h.view_as(x)


class TimeEmbedding(nn.Module):
    """Step numbers to vectors: a sinusoid, Linear, SiLU, Linear."""

    def __init__(self, channels: int, embed_channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.time_embed = nn.Sequential(
            nn.Linear(channels, embed_channels), nn.SiLU(), nn.Linear(embed_channels, embed_channels)
        )

    def forward(self, steps: Tensor) -> Tensor:
        """(N,) -> (N, embed_channels)."""
        embedded: Tensor = self.time_embed(sinusoid(steps, self.channels))
        return embedded


def sinusoid(steps: Tensor, channels: int) -> Tensor:
    """(N, channels): cos, then sin, of t 10000^(-i / half) for i < half = channels / 2."""
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float32, device=steps.device) / half
    angles = steps[:, None].float() * torch.exp(-math.log(10000) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def zeroed(layer: nn.Module) -> nn.Module:
    """A layer whose parameters start at zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
