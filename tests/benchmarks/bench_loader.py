"""Images from a folder into batches: our Stream against torchvision's ImageFolder, both in DataLoaders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch.utils.data import DataLoader

from tests.benchmarks.pairs import measure
from toolbox.compat import import_torchvision
from toolbox.data.folder import ImageFolder
from toolbox.data.stream import Stream, StreamSampler
from toolbox.data.transforms import HorizontalFlip

IMAGES, SIZE, BATCH = 512, 64, 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth pictures, which PNG makes as small as photographs."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        place = root / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        small = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
        small.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(place / f"{number}.png")
    return root


def test_a_folder_of_images(
    benchmark: BenchmarkFixture, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """512 PNG files of 64 pixels, mirrored at random, without workers: their time would not be counted."""
    import_torchvision()
    from torchvision import datasets, transforms

    stream = Stream(ImageFolder(str(folder), image_size=SIZE), transforms=[HorizontalFlip()])
    steps = [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5,) * 3, (0.5,) * 3),
    ]
    theirs = datasets.ImageFolder(str(folder), transforms.Compose(steps))

    def read(loader: DataLoader) -> None:
        batches = iter(loader)
        for _ in range(IMAGES // BATCH):
            next(batches)

    title = f"a PNG folder at {SIZE} pixels, batches of {BATCH}; torchvision's ImageFolder"
    measure(
        title,
        lambda: read(DataLoader(stream, BATCH, sampler=StreamSampler(stream, BATCH))),
        lambda: read(DataLoader(theirs, BATCH, shuffle=True)),
        benchmark,
        capsys,
    )
