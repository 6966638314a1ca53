"""What the tests of the LCP plugin share."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from toolbox.data.base import ArraySet
from toolbox.interfaces import FeatureExtractor
from toolbox.models.clip import Clip


def make_mixture(
    modes: int, each: int = 60, width: int = 32, spread: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative features (modes * each, width) around ``modes`` centres, and the mode of each."""
    rng = np.random.default_rng(seed)
    centres = np.abs(rng.standard_normal((modes, width))) + 0.5
    mode = np.repeat(np.arange(modes), each)
    return np.abs(centres[mode] + spread * rng.standard_normal((len(mode), width))), mode


def compute_purity(found: np.ndarray, mode: np.ndarray) -> float:
    """Share of samples in the majority mode of their cluster."""
    return sum(np.bincount(mode[found == cluster]).max() for cluster in np.unique(found)) / len(mode)


@pytest.fixture
def mixture():
    """:func:`make_mixture`."""
    return make_mixture


@pytest.fixture
def purity():
    """:func:`compute_purity`."""
    return compute_purity


class PooledPixels(FeatureExtractor):
    """Pixels averaged over a 4 x 4 grid: a feature space in which colours and shapes are apart."""

    def __init__(self, cells: int = 4) -> None:
        super().__init__()
        self.name = f"pooled-{cells}"
        self.cells = cells
        self.n_features = 3 * cells * cells

    def forward(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images * 0.5 + 0.5, self.cells).flatten(1)

    def fingerprint(self) -> str:
        return f"pooled pixels {self.cells}"


class Coloured(ArraySet):
    """Noisy 8 px images: class = top or bottom half lit, factor 'colour' = red or blue."""

    def __init__(self, each: int = 12, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 2 * each)
        colour = np.tile(np.repeat([0, 1], each), 2)
        images = rng.integers(0, 40, size=(4 * each, 8, 8, 3), dtype=np.uint8)
        for i, (y, c) in enumerate(zip(labels, colour, strict=True)):
            images[i, 4 * y : 4 * y + 4, :, 2 * c] += 180
        classes = ["top half", "bottom half"]
        known = dict(factors={"colour": colour}, factor_names={"colour": ["red", "blue"]})
        super().__init__(images, labels, classes, title="coloured halves", **known)


class FixedStream:
    """What a conditioner reads of a training stream: the set, and the labels that the split shows."""

    def __init__(
        self, source: ArraySet, hidden: list[int] | None = None, entries: np.ndarray | None = None
    ) -> None:
        self.source = source
        self.visible_labels = source.labels.copy()
        self.visible_labels[hidden or []] = -1
        self.entries = np.arange(len(source)) if entries is None else entries


class FakeGame:
    """What a conditioner asks of a game."""

    def __init__(self, **networks: torch.nn.Module) -> None:
        self.networks = networks
        self.device = torch.device("cpu")

    def network(self, name: str, averaged: bool = False) -> torch.nn.Module:
        return self.networks[name]

    def gather(self, value: Tensor) -> Tensor:
        return value


class HalfClassifier(torch.nn.Module):
    """Logits of :class:`Coloured`'s classes, read off the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        halves = images.mean(dim=1).unflatten(1, (2, 4)).mean(dim=(2, 3))
        return 20 * halves


@pytest.fixture
def lcp_parts():
    """The classes above."""
    return SimpleNamespace(
        PooledPixels=PooledPixels,
        Coloured=Coloured,
        FixedStream=FixedStream,
        FakeGame=FakeGame,
        HalfClassifier=HalfClassifier,
    )


@pytest.fixture(scope="session")
def clip():
    """A random CLIP with the real tokenizer: 32 px images, 3.4 M parameters."""
    torch.manual_seed(0)
    vision = dict(layers=2, width=64, head_width=32, patch_size=8, image_size=32)
    text = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2)
    return Clip(dict(embed_dim=32, vision_cfg=vision, text_cfg=text, quick_gelu=True))
