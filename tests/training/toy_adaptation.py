"""A game without images: a small generator learns to darken what a frozen one makes; also a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from toolbox import hookimpl
from toolbox.interfaces import Metric, Objective, PromptLearner, Sample, Turn
from toolbox.metrics.base import feature_key


class Darken(Objective):
    """Half of the source's brightness, image by image."""

    formulas: ClassVar[dict[str, str]] = {"generator": "E (G(z) - S(z) / 2 + 1 / 2)^2"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": self.loss}

    def loss(self, turn: Turn) -> Tensor:
        wanted = turn.generate("source").images / 2 - 1 / 2
        return nn.functional.mse_loss(turn.fake.images, wanted)


class Compare(Objective):
    """Asks for real images, of which there are none."""

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": lambda turn: (turn.fake.images - turn.real.images).mean()}


class Distance(Metric):
    """Mean absolute difference of the images of a pair."""

    needs = ("pairs",)
    name = "distance"

    def __init__(self) -> None:
        self.sums = torch.zeros(2, dtype=torch.float64)

    def update_pairs(self, source: Sample, fake: Sample) -> None:
        assert source.latents is not None and fake.latents is not None and fake.index is not None
        assert torch.equal(source.latents, fake.latents) and source.images.abs().max() <= 1
        self.sums[0] += (fake.images - source.images).double().abs().mean((1, 2, 3)).sum()
        self.sums[1] += len(fake)

    def compute(self) -> dict[str, float]:
        if not self.sums[1]:
            raise ValueError("no pairs were fed")
        return {"": float(self.sums[0] / self.sums[1]), "n": float(self.sums[1])}

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums}

    def merge(self, state: dict[str, Any]) -> None:
        self.sums += state["sums"]

    def reset(self) -> None:
        self.sums.zero_()


class FeatureDistance(Distance):
    """The same of features, which the evaluation makes."""

    name = "feature-distance[pixels]"

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.extractor = extractor

    def update_pairs(self, source: Sample, fake: Sample) -> None:
        key = feature_key(self.extractor)
        self.sums[0] += (source.extras[key] - fake.extras[key]).double().abs().mean(1).sum()
        self.sums[1] += len(fake)


class ToyText(nn.Module):
    """Token vectors are words of three letters."""

    token_width = 4

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.eye(4))

    def nearest_tokens(self, vectors: Tensor, top: int = 1) -> list[list[tuple[str, float]]]:
        distances = torch.cdist(vectors, self.words)
        return [[("abcd"[int(row.argmin())] * 3, float(row.min()))] * top for row in distances]


class ToyPrompts(PromptLearner):
    """One slot of context, a linear function of w."""

    names = ("day", "night")

    def __init__(self, clip: Any, latent_dim: int = 6) -> None:
        super().__init__()
        self.map = nn.Linear(latent_dim, clip.token_width)

    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        self.named(name)
        return self.map(which)[:, None]

    def encode(self, clip: Any, which: Tensor | None = None, name: str | None = None) -> Tensor:
        assert which is not None
        return self(which, name)[:, 0]

    def nearest_words(
        self, clip: Any, top: int = 1, which: Tensor | None = None
    ) -> list[list[list[tuple[str, float]]]]:
        assert which is not None
        return [[slot] for slot in clip.nearest_tokens(self(which)[:, 0], top)]


CONFIG = """
plugins = [{plugin!r}]
threads = 1
_style = dict(
    type='StyleGAN2Generator', image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8)
model = dict(
    type='Game', log_every=1,
    networks=dict(source=dict(_style), generator=dict(_style, freeze_layers=['mapping.'])),
    players=dict(generator=['generator']),
    phases=[dict(player='generator')],
    objectives=dict(darken=dict(type='Darken')),
    average=dict(generator=dict(half_life_kimg=0.01)))
train_dataloader = dict(batch_size=4, dataset=None)
optim_wrapper = dict(generator=dict(optimizer=dict(type='Adam', lr=1e-2, betas=(0, 0.99))))
train_cfg = dict(max_iters=5)
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=3, keep=0), journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=5, columns=2, source='source'))
"""


def write_config(file: Path) -> Path:
    """The config, in a file."""
    file.write_text(CONFIG.format(plugin=str(Path(__file__))))
    return file


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    for name in ("Darken", "Compare"):
        register("objective", name, f"toy_adaptation:{name}")
    for name in ("ToyText", "ToyPrompts"):
        register("network", name, f"toy_adaptation:{name}")
    for name in ("Distance", "FeatureDistance"):
        register("metric", name, f"toy_adaptation:{name}")
