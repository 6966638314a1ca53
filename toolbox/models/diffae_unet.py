"""The two networks of a Diffusion Autoencoder: the semantic encoder, and the U-Net that predicts noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toolbox.models.diffae_blocks import Attention, ResidualBlock, TimeEmbedding, normalization, zeroed
from toolbox.ranges import check_in, check_whole


@dataclass(frozen=True)
class Widths:
    """What both networks are made of.

    Attributes:
        image_size: pixels a side.
        channels: of the first level.
        blocks: residual blocks a level.
        attention: sizes at which attention follows each block.
        heads: of attention.
        style: numbers in z_sem.
        embed: numbers in the embedded time.
        dropout: in the U-Net's blocks.
    """

    image_size: int
    channels: int
    blocks: int
    attention: tuple[int, ...]
    heads: int
    style: int
    embed: int
    dropout: float

    def __post_init__(self) -> None:
        check_whole(
            1,
            image_size=self.image_size,
            channels=self.channels,
            blocks=self.blocks,
            heads=self.heads,
            style_channels=self.style,
            embed_channels=self.embed,
        )
        check_in("[0, 1)", dropout=self.dropout)
        if self.channels % 2:
            raise ValueError(f"channels={self.channels!r} must be even: half are cosines of the time")

    def check_levels(self, name: str, multiples: Sequence[int]) -> None:
        """Raise ValueError unless images can be halved between the levels of a network."""
        check_whole(1, **{f"{name}[{i}]": multiple for i, multiple in enumerate(multiples)})
        divisor = 2 ** (len(multiples) - 1)
        if not multiples or self.image_size % divisor:
            raise ValueError(
                f"{name}={tuple(multiples)} has {len(multiples)} level(s): there must be one or more, and "
                f"image_size={self.image_size} divisible by 2^(levels - 1)"
            )

    def attended(self, block: ResidualBlock, width: int, size: int) -> nn.ModuleList:
        """A block, and attention where images are of this size."""
        return nn.ModuleList([block, *([Attention(width, self.heads)] if size in self.attention else [])])

    def block(self, inputs: int, outputs: int, change: int = 0) -> ResidualBlock:
        """A block of the U-Net, conditioned on time and z_sem."""
        return ResidualBlock(inputs, outputs, self.embed, self.style, self.dropout, change)


class SemanticEncoder(nn.Module):
    """Half a U-Net: images to z_sem.

    Args:
        widths: see :class:`Widths`.
        multiples: of the channels, level by level, each of half the size of the one before.
    """

    def __init__(self, widths: Widths, multiples: Sequence[int]) -> None:
        super().__init__()
        widths.check_levels("encoder_channel_mult", multiples)
        width, size = widths.channels, widths.image_size
        layers = [nn.ModuleList([nn.Conv2d(3, width, 3, padding=1)])]
        for level, multiple in enumerate(multiples):
            if level:
                layers.append(nn.ModuleList([ResidualBlock(width, width, change=-1)]))
                size //= 2
            for _ in range(widths.blocks):
                block = ResidualBlock(width, widths.channels * multiple)
                width = widths.channels * multiple
                layers.append(widths.attended(block, width, size))
        self.input_blocks = nn.ModuleList(layers)
        around = [ResidualBlock(width, width) for _ in range(2)]
        self.middle_block = nn.ModuleList([around[0], Attention(width, widths.heads), around[1]])
        self.out = nn.Sequential(
            normalization(width),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, widths.style, 1),
            nn.Flatten(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> z_sem (N, style)."""
        h = images
        for layer in (*self.input_blocks, self.middle_block):
            for part in layer:
                h = part(h)
        style: Tensor = self.out(h)
        return style


class NoisePredictor(nn.Module):
    """The U-Net: what noise is in an image, by time and z_sem.

    Args:
        widths: see :class:`Widths`.
        multiples: of the channels, level by level, each of half the size of the one before.
    """

    def __init__(self, widths: Widths, multiples: Sequence[int]) -> None:
        super().__init__()
        widths.check_levels("channel_mult", multiples)
        self.time_embed = TimeEmbedding(widths.channels, widths.embed)
        kept, width, size = (
            [widths.channels],
            widths.channels,
            widths.image_size,
        )  # kept: channels, for the way up
        down = [nn.ModuleList([nn.Conv2d(3, width, 3, padding=1)])]
        for level, multiple in enumerate(multiples):
            if level:
                down.append(nn.ModuleList([widths.block(width, width, change=-1)]))
                kept.append(width)
                size //= 2
            for _ in range(widths.blocks):
                block = widths.block(width, widths.channels * multiple)
                width = widths.channels * multiple
                down.append(widths.attended(block, width, size))
                kept.append(width)
        self.input_blocks = nn.ModuleList(down)
        around = [widths.block(width, width) for _ in range(2)]
        self.middle_block = nn.ModuleList([around[0], Attention(width, widths.heads), around[1]])
        up = []
        for level, multiple in reversed(list(enumerate(multiples))):
            for number in range(widths.blocks + 1):
                block = widths.block(width + kept.pop(), widths.channels * multiple)
                width = widths.channels * multiple
                layer = widths.attended(block, width, size)
                if level and number == widths.blocks:
                    layer.append(widths.block(width, width, change=1))
                    size *= 2
                up.append(layer)
        self.output_blocks = nn.ModuleList(up)
        self.out = nn.Sequential(normalization(width), nn.SiLU(), zeroed(nn.Conv2d(width, 3, 3, padding=1)))

    def noise(self, x: Tensor, steps: Tensor, style: Tensor) -> Tensor:
        """e (N, 3, H, W) in x_t (N, 3, H, W), at steps t (N,), for images of z_sem (N, style)."""
        time = self.time_embed(steps)
        kept: list[Tensor] = []
        h = x
        for layer in self.input_blocks:
            h = _through(layer, h, time, style)
            kept.append(h)
        h = _through(self.middle_block, h, time, style)
        for layer in self.output_blocks:
            h = _through(layer, torch.cat([h, kept.pop()], dim=1), time, style)
        seen: Tensor = self.out(h)
        return seen


def _through(layer: nn.Module, h: Tensor, time: Tensor, style: Tensor) -> Tensor:
    """A list of blocks, convolutions and attention, one after the other."""
    for part in layer:  # type: ignore[attr-defined]
        h = part(h, time, style) if isinstance(part, ResidualBlock) else part(h)
    return h
