"""Two classes of two colours: does the prompt discriminator tie clusters to what they stand for?

    python plugins/lcp/experiments/toy.py --seeds 4

Squares and diamonds, red and blue, 16 pixels; a frozen random CLIP. Without the prompt discriminator nothing
says which of a class's cluster embeddings should draw which colour. It says nothing about the quality of real
images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from toolbox.source_tree import use_source_tree

use_source_tree(ROOT)

from toolbox.data.base import ArraySet
from toolbox.data.stream import Stream, StreamSampler
from toolbox.interfaces import Condition, Discriminator, FeatureExtractor, Generator
from toolbox.registry import build
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.game.sampler import Sampler

SIZE = 16
CLASSES = ("square", "diamond")
COLOURS = ("red", "blue")
CLUSTERS = len(CLASSES) * len(COLOURS)
TINY_CLIP = dict(
    embed_dim=32,
    quick_gelu=True,
    vision_cfg=dict(layers=2, width=64, head_width=32, patch_size=8, image_size=32),
    text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2),
)


class ToyImages(ArraySet):
    """Squares and diamonds on grey, red or blue, of varying place, size and shade; factor 'colour'.

    Args:
        each: images of each colour of each class.
        seed: of places, sizes and shades.
    """

    def __init__(self, each: int = 100, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 2 * each)
        colour = np.tile(np.repeat([0, 1], each), 2)
        images = np.stack([_draw(y, c, rng) for y, c in zip(labels, colour, strict=True)])
        known = dict(factors={"colour": colour}, factor_names={"colour": COLOURS})
        super().__init__(images, labels, CLASSES, title="toy shapes", **known)


def _draw(label: int, colour: int, rng: np.random.Generator) -> np.ndarray:
    """One picture, uint8 (16, 16, 3)."""
    row, column = np.mgrid[:SIZE, :SIZE]
    x = column - rng.uniform(6.5, 8.5)
    y = row - rng.uniform(6.5, 8.5)
    radius = rng.uniform(4, 5.5)
    square = np.maximum(abs(x), abs(y)) < radius
    diamond = abs(x) + abs(y) < 1.4 * radius
    inside = square if label == 0 else diamond
    paint = np.array([[220, 40, 40], [40, 40, 220]])[colour] + rng.integers(-30, 31, 3)
    picture = np.where(inside[:, :, None], paint, 128) + rng.integers(-8, 9, (SIZE, SIZE, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


class ToyFeatures(FeatureExtractor):
    """Colours of a 4 x 4 grid of cells, in [0, 1]."""

    name = "toy-pixels"
    n_features = 48

    def forward(self, images: Tensor) -> Tensor:
        """(N, 48) means of the cells."""
        return nn.functional.adaptive_avg_pool2d((images + 1) / 2, 4).flatten(1)

    def fingerprint(self) -> str:
        """There are no weights."""
        return self.name


# eq. 6: x = G(z, e) with e = sum_i u^(i) eps_i
class ToyGenerator(Generator):
    """Latents and embeddings to 16-pixel images, by three small convolutions."""

    def __init__(self, n_conditions: int = CLUSTERS, width: int = 32) -> None:
        super().__init__()
        self.latent_dim = 16
        self.image_size = SIZE
        self.n_conditions = n_conditions
        self.table = nn.Parameter(torch.randn(n_conditions, 16))
        self.start = nn.Linear(32, 2 * width * 16)
        self.body = nn.Sequential(
            nn.Unflatten(1, (2 * width, 4, 4)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 3, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """(N, 3, 16, 16)."""
        assert condition is not None and condition.weights is not None
        embeddings = condition.weights @ self.table  # (N, 16)
        return self.body(self.start(torch.cat([latents, embeddings], dim=1)))


class ToyDiscriminator(Discriminator):
    """Projection discriminator with spectral norm, conditioned on the class."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()

        def down(a: int, b: int) -> nn.Module:
            return nn.Sequential(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2))

        self.body = nn.Sequential(
            down(3, width),
            down(width, 2 * width),
            down(2 * width, 2 * width),
            nn.Flatten(),
        )
        self.score = spectral_norm(nn.Linear(8 * width, 1))
        self.classes = spectral_norm(nn.Embedding(len(CLASSES), 8 * width))

    def encode(self, images: Tensor) -> Tensor:
        """(N, 8 width)."""
        return self.body(images)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """(N,) under the class label."""
        assert condition is not None and condition.labels is not None
        return self.score(features)[:, 0] + (self.classes(condition.labels) * features).sum(dim=1)


def config(seed: int, prompts: bool = True, sampler: str = "EmpiricalCoefficients") -> dict[str, Any]:
    """The game, with or without the prompt discriminator."""
    networks: dict[str, Any] = {
        "generator": dict(type=ToyGenerator),
        "discriminator": dict(type=ToyDiscriminator),
    }
    objectives: dict[str, Any] = {"real_or_fake": dict(type="HingeAdversarial")}
    if prompts:
        networks["clip"] = dict(type="Clip", architecture=TINY_CLIP)
        networks["prompt_discriminator"] = dict(
            type="PromptDiscriminator",
            uses=dict(clip="clip"),
            hidden=64,
            prompts=dict(type="ClusterPrompts", class_names=CLASSES, clusters=len(COLOURS), context=4),
        )
        objectives["prompts"] = dict(
            type="HingeAdversarial",
            discriminator="prompt_discriminator",
            joint=True,
        )
    judges = [name for name in networks if name.endswith("discriminator")]
    return dict(
        type="Game",
        seed=seed,
        networks=networks,
        objectives=objectives,
        players=dict(discriminator=judges, generator=["generator"]),
        phases=[dict(player="discriminator", repeat=2), dict(player="generator")],
        conditioner=dict(
            type="ClusterConditions",
            class_names=CLASSES,
            clusters=len(COLOURS),
            extractor=ToyFeatures(),
            sampler=dict(type=sampler),
        ),
    )


def train(seed: int, prompts: bool = True, iterations: int = 320, batch: int = 32, **options: Any) -> Any:
    """Play the game; two discriminator steps and one generator step of ``batch`` images an iteration."""
    game = build(config(seed, prompts, **options), "model")
    stream = Stream(ToyImages(seed=0), seed=seed)
    sampler = StreamSampler(stream, batch_size=2 * batch, seed=seed)
    adam = dict(optimizer=dict(type="Adam", lr=4e-4, betas=(0.0, 0.999)))
    optimizers = PlayerOptimizers({"discriminator": adam, "generator": adam})(game)
    game.prepare(stream)
    game.train()
    batches = iter(DataLoader(stream, batch_size=2 * batch, sampler=sampler))
    for _ in range(iterations):
        game.train_step(next(batches), optimizers)
    return game


def consistency(game: Any, each: int = 64) -> float:
    """Share of the images drawn for one cluster alone that its prototype claims, over all clusters."""
    conditioner = game.conditioner
    modes = conditioner.modes()
    asked = modes[torch.arange(len(modes)).repeat_interleave(each)]
    samples = Sampler(game, bn="batch")(torch.arange(len(asked)), condition=asked)
    found = conditioner.assign(conditioner.extractor(samples.images), asked.labels)  # rows of the table
    return float((found == asked.weights.argmax(dim=1)).float().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print cluster consistency with and without the prompt discriminator, seed by seed."""
    parser = argparse.ArgumentParser(description="Cluster consistency on the toy shapes (chance: 0.5).")
    parser.add_argument("--seeds", type=int, default=4, help="how many seeds, from 0")
    parser.add_argument("--iterations", type=int, default=320)
    parser.add_argument("--sampler", default="EmpiricalCoefficients", help="distribution of the coefficients")
    chosen = parser.parse_args(arguments)
    # without a logger of ours mmengine's default one writes between the lines
    MMLogger.get_instance("toolbox-lcp-toy", log_level="ERROR")
    print("| seed | with the prompt discriminator | class discriminator only |\n| --- | --- | --- |")
    for seed in range(chosen.seeds):
        with_prompts = consistency(train(seed, True, chosen.iterations, sampler=chosen.sampler))
        without = consistency(train(seed, False, chosen.iterations, sampler=chosen.sampler))
        print(f"| {seed} | {with_prompts:.2f} | {without:.2f} |", flush=True)


if __name__ == "__main__":
    main()
