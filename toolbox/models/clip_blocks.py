"""CLIP's vision transformer, block by block: what networks need that tap it, or feed it other tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import Record
from toolbox.models.clip import Clip
from toolbox.ranges import check_whole, numbered


@dataclass
class ClipView(Record):
    """Images as CLIP's vision transformer sees them.

    Attributes:
        taps: (N, K, C, h, w) patch tokens after K of its blocks, one map each.
        embedding: (N, D) in the space of texts, of any length.
    """

    taps: Tensor
    embedding: Tensor

    def __len__(self) -> int:
        return len(self.taps)


class ThroughClip(nn.Module):
    """What networks share that borrow a CLIP: it is no submodule, and its blocks are opened up.

    Args:
        clip: a Clip with a vision transformer; a config is built, and moves with this network.

    Raises:
        ValueError: for another kind of CLIP.
    """

    def __init__(self, clip: Clip | Mapping[str, Any]) -> None:
        super().__init__()
        from toolbox.registry import build

        self._owned = not isinstance(clip, nn.Module)
        held: Clip = build(clip, "network", "clip")
        _check_transformer(held)
        self._clip: tuple[Clip, ...] = (held,)  # in a tuple: borrowed networks are no submodules
        self.architecture = held.architecture
        self.quick_gelu = bool(held.config.get("quick_gelu", False))
        self.embedding_dim = held.embedding_dim
        self.width = int(self.visual.positional_embedding.shape[1])
        self.grid = math.isqrt(len(self.visual.positional_embedding) - 1)
        self.n_blocks = len(self.visual.transformer.resblocks)

    @property
    def clip(self) -> Clip:
        """The borrowed CLIP."""
        return self._clip[0]

    @property
    def visual(self) -> Any:
        """Its image encoder."""
        return self.clip.model.visual

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        for clip in self._clip if self._owned else ():
            clip._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def check_blocks(self, name: str, blocks: Sequence[int]) -> tuple[int, ...]:
        """Numbers of transformer blocks, counted from 0, rising; as a tuple.

        Raises:
            ValueError: for one that CLIP does not have, or an order that does not rise.
        """
        check_whole(0, **numbered(name, blocks))
        blocks = tuple(blocks)
        if any(block >= self.n_blocks for block in blocks) or list(blocks) != sorted(set(blocks)):
            raise ValueError(
                f"{name}={blocks} must be rising numbers of blocks, and clip ({self.architecture!r}) "
                f"has the blocks 0 to {self.n_blocks - 1}"
            )
        return blocks

    def tokens(self, patches: Tensor) -> Tensor:
        """(N, 1 + h w, C): class and patch tokens of maps (N, C, h, w), as they enter the first block."""
        visual = self.visual
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)
        return visual.ln_pre(tokens + visual.positional_embedding.to(tokens.dtype))

    def block(self, number: int, tokens: Tensor) -> Tensor:
        """Tokens (N, L, C) after one block."""
        block = self.visual.transformer.resblocks[number]
        if getattr(self.visual.transformer, "batch_first", False):
            return block(tokens)
        return block(tokens.transpose(0, 1)).transpose(0, 1)  # open_clip before 2.27

    def patches(self, tokens: Tensor) -> Tensor:
        """(N, C, h, w) of tokens (N, 1 + h w, C), without the class token."""
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (self.grid, self.grid))

    def view(self, pixels: Tensor, taps: Sequence[int]) -> ClipView:
        """What CLIP makes of pixels (N, 3, H, W) of its size, mean and deviation; ``taps`` are blocks."""
        tokens = self.tokens(self.visual.conv1(pixels))
        found = []
        for number in range(self.n_blocks):
            tokens = self.block(number, tokens)
            if number in taps:
                found.append(self.patches(tokens))
        embedding = self.visual.ln_post(tokens[:, 0]) @ self.visual.proj
        return ClipView(torch.stack(found, dim=1), embedding)


def _check_transformer(clip: Clip) -> None:
    visual = clip.model.visual
    needed = ("class_embedding", "positional_embedding", "conv1", "ln_pre", "transformer", "ln_post", "proj")
    plain = all(hasattr(visual, name) for name in needed) and getattr(visual, "attn_pool", None) is None
    if not plain or getattr(visual, "pool_type", "tok") != "tok":
        raise ValueError(
            f"clip: a vision transformer with a class token is needed, {clip.architecture!r} has a "
            f"{type(visual).__name__}: take a ViT, such as 'ViT-B-32-quickgelu', or EmbeddedViT"
        )
