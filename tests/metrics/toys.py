"""A tiny extractor, a tiny data set and the reference arrays, for the tests of metrics."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toolbox.interfaces import Condition, FeatureExtractor, Sample

DATA = Path(__file__).parent.parent / "data" / "metrics"
CLASSES = 3


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


class Blocks(FeatureExtractor):
    """Mean colour of each cell of a 2x2 grid: 12 features. Counts its calls."""

    def __init__(self, name: str = "blocks", scale: float = 1.0) -> None:
        super().__init__()
        self.name = name
        self.n_features = 12
        self.scale = scale
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.scale * torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)

    def fingerprint(self) -> str:
        return hashlib.sha256(f"blocks {self.scale}".encode()).hexdigest()


class Pixels:
    """A data set of random images whose brightness tells their class."""

    title = "toy pixels"
    embedded = True
    image_size = 8

    def __init__(self, n: int = 90, seed: int = 0) -> None:
        self.labels = np.arange(n) % CLASSES
        noise = np.random.default_rng(seed).integers(0, 90, (n, 8, 8, 3))
        self.pixels = (noise + 80 * self.labels[:, None, None, None]).astype(np.uint8)
        self.reads = 0

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, i: int) -> np.ndarray:
        self.reads += 1
        return self.pixels[i]

    def fingerprint(self) -> str:
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


def sampler(index: Tensor) -> Sample:
    """Image i is a function of i alone; its class is i modulo 3, its cluster i modulo 2."""
    images = torch.stack([_image(int(i)) for i in index])
    labels = index % CLASSES
    weights = torch.nn.functional.one_hot(index % 2, 2).float()
    return Sample(images, Condition(labels=labels, weights=weights))


def _image(i: int) -> Tensor:
    rng = torch.Generator().manual_seed(1000 + i)
    return (torch.rand(3, 8, 8, generator=rng) * 0.7 - 0.9 + 0.6 * (i % CLASSES)).clamp(-1, 1)


def fakes(n: int) -> Sample:
    """Generated images 0 to n-1, numbered."""
    index = torch.arange(n)
    return sampler(index).replace(index=index)


def reals(n: int = 90) -> Sample:
    """All images of :class:`Pixels`, numbered."""
    data = Pixels(n)
    images = torch.from_numpy(data.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Sample(images, Condition(labels=torch.from_numpy(data.labels)), index=torch.arange(n))
