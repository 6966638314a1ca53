"""A game of two branches without a game: turns, encoders and captions for tests of the plugin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Sample, TextCodes
from toolbox.testing import FakeTurn, small_networks

D = 6


class ToyImages(nn.Module):
    """Image codes (N, D) and regions, as the image encoder of a text-to-image GAN gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.code_dim = D
        self.linear = nn.Linear(3 * 8 * 8, D)
        self.calls = 0

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return self.linear(images.flatten(1)), images


class ToyTexts(nn.Module):
    """Sentence codes (N, D) of token ids (N, L)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, D)

    def encode_text(self, ids: Tensor, lengths: Tensor | None) -> TextCodes:
        words = self.table(ids)
        return TextCodes(words.mean(dim=1), words.transpose(1, 2), lengths)


class Branch(FakeTurn):
    """A turn whose fakes are asked for what the real images show, as those of a text-to-image game."""

    @property
    def fake(self) -> Sample:
        made = super().fake
        return self.once("as asked", lambda: made.replace(condition=self.real.condition))


def networks() -> dict[str, nn.Module]:
    """A generator and encoders, equal at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return {**small_networks(), "image_encoder": ToyImages(), "text_encoder": ToyTexts()}


def real(labels: list[int] | None, seed: int, n: int = 6, **extra: Any) -> Sample:
    """A batch of one branch."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, 8, 8, generator=rng) * 2 - 1
    ids = torch.randint(9, (n, 4), generator=rng)
    codes = TextCodes(torch.randn(n, D, generator=rng))
    known = None if labels is None else torch.tensor(labels)
    return Sample(images, Condition(labels=known, text=ids, codes=codes, extra=extra))


LABELS = [0, 1, 1, 2, 0, 2]


def turns(
    moves: str = "generator",
    labels: list[int] | None = LABELS,
    parts: dict[str, nn.Module] | None = None,
    iteration: int = 0,
    **extra: Any,
) -> list[Branch]:
    """The turns of both branches, which know each other."""
    parts = networks() if parts is None else parts
    n = len(labels or LABELS)
    both = [Branch(moves, parts, real(labels, seed, n, **extra), seed, iteration) for seed in (1, 2)]
    for turn in both:
        turn.branches = both  # type: ignore[assignment]
    return both
