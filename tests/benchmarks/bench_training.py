"""Pace of training, and what Runner and Game cost over a bare loop of the same steps. ``make bench`` prints
the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.benchmarks.iterations import runner_iteration
from tests.benchmarks.pairs import measure
from toolbox.interfaces import Condition, from_bytes
from toolbox.losses.adversarial import hinge
from toolbox.models.biggan import BigGANDiscriminator, BigGANGenerator
from toolbox.models.diffaugment import DiffAugment
from toolbox.training.game.average import Average

BATCH, SMALL = 64, 8  # of the pace, and of the overhead, which a small batch shows


def bare_iteration() -> Callable[[], None]:
    """The same steps of BigGAN written out by hand: no runner, no game, no registry."""
    from torch.utils.data import DataLoader

    from toolbox.data.embedded import EmbeddedFashion
    from toolbox.data.stream import Stream, StreamSampler
    from toolbox.data.transforms import HorizontalFlip

    stream = Stream(EmbeddedFashion(), transforms=[HorizontalFlip()])
    batches = iter(DataLoader(stream, SMALL, sampler=StreamSampler(stream, SMALL)))
    generator = BigGANGenerator(channels=16, n_conditions=10, attention=False)
    discriminator = BigGANDiscriminator(channels=16, n_conditions=10, attention=False)
    average, augment = Average(generator, decay=0.99, start=100), DiffAugment("translation")
    steps = {
        network: torch.optim.Adam(network.parameters(), 4e-4, (0.5, 0.999), 1e-6, fused=True)
        for network in (generator, discriminator)
    }
    rng = torch.Generator().manual_seed(0)

    def draw() -> tuple[torch.Tensor, Condition]:
        return torch.randn(SMALL, 80, generator=rng), Condition(
            labels=torch.randint(10, (SMALL,), generator=rng)
        )

    def iteration() -> None:
        batch = next(batches)
        images, real = from_bytes(batch["images"]), Condition(labels=batch["labels"])
        generator.requires_grad_(False)
        discriminator.requires_grad_(True)
        latents, asked = draw()
        with torch.no_grad():
            fake = generator(latents, asked)
        move(
            discriminator,
            hinge.discriminator(
                discriminator(augment(images, rng), real), discriminator(augment(fake, rng), asked)
            ),
        )
        generator.requires_grad_(True)
        discriminator.requires_grad_(False)
        latents, asked = draw()
        move(generator, hinge.generator(discriminator(augment(generator(latents, asked), rng), asked)))
        average.update(generator, 1000, 1.0, SMALL)

    def move(network: torch.nn.Module, loss: torch.Tensor) -> None:
        steps[network].zero_grad()
        loss.backward()
        steps[network].step()

    return iteration


def test_overhead_of_runner_and_game(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two iterations of each a pair."""
    through_runner = runner_iteration("biggan_cifar.py", tmp_path, **{"train_dataloader.batch_size": SMALL})
    bare = bare_iteration()
    for _ in range(3):
        bare(), through_runner()
    title = "Runner and Game, BigGAN-32 of 16 channels, batch 8; the same steps in a bare loop"
    measure(title, lambda: twice(through_runner), lambda: twice(bare), benchmark, capsys, repeats=12)


def twice(step: Callable[[], None]) -> None:
    step(), step()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("biggan_cifar.py", "BigGAN-32, 16 channels"),
        ("lcp_cifar_clusters.py", "LCP without prompts, 16 channels"),
        ("lcp_cifar.py", "full LCP game, 16 channels, embedded CLIP"),
    ],
)
def test_pace(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, title: str
) -> None:
    """Images a second of one discriminator and one generator step, batch 64."""
    iteration = runner_iteration(name, tmp_path)
    iteration()
    benchmark.pedantic(iteration, rounds=12)
    _say(capsys, benchmark, title, BATCH)


def test_pace_of_published_size(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """BigGAN-32 with 96 channels and attention, batch 8."""
    iteration = runner_iteration(
        "biggan_cifar.py",
        tmp_path,
        **{
            "train_dataloader.batch_size": 8,
            "model.networks.generator.channels": 96,
            "model.networks.generator.attention": True,
            "model.networks.discriminator.channels": 96,
            "model.networks.discriminator.attention": True,
        },
    )
    benchmark.pedantic(iteration, rounds=3, warmup_rounds=1)
    _say(capsys, benchmark, "BigGAN-32, 96 channels, batch 8", 8)


def _say(capsys: pytest.CaptureFixture[str], benchmark: Any, title: str, batch: int) -> None:
    pace = batch / benchmark.stats["median"]
    benchmark.extra_info.update(title=title, images_per_second=pace)
    with capsys.disabled():
        print(
            f"\n{title}: {pace:.0f} images/s ({benchmark.stats['median']:.3f} s an iteration, "
            f"{torch.get_num_threads()} threads)"
        )
