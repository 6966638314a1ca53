"""A text-to-image run with SCL that takes seconds: DAMSM first, then a game of two branches, on 16 pixels.

Nothing in it normalises by the batch or draws in passing, so that several processes must equal one. As a
file also a plugin, so that configs may name the networks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from toolbox import hookimpl
from toolbox.data.base import ArraySet
from toolbox.interfaces import Condition, Discriminator, Generator

SIZE, CODE, WORDS = 16, 8, 6
KINDS = ("bird", "fish", "tree")
COLOURS = ("red", "green", "blue", "grey")
PLACES = ("in the sea", "on a hill", "at night")

CONFIG = """
plugins = [{plugin!r}]
threads = 1
_text = dict(type='DamsmTextEncoder', n_tokens='data:n_tokens', embedding_dim=4, code_dim=8, dropout=0.0)
_image = dict(type='SmallImageEncoder', code_dim=8, image_size=16, channels=8, regions=4)
_adam = dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)))
_both = ['images', 'partner']
before = dict(damsm=dict(
    model=dict(
        type='Game', networks=dict(text_encoder=_text, image_encoder=_image), log_every=2, branches=_both,
        players=dict(encoders=['text_encoder', 'image_encoder']), phases=[dict(player='encoders')],
        objectives=dict(
            match=dict(type='DamsmPretraining'),
            labels=dict(type='LabelContrast', teaches='text_encoder', encoder='image_encoder',
                        text_encoder='text_encoder'))),
    hooks=dict(samples=None, evaluation=None, checkpoints=dict(best=None)),
    optim_wrapper=dict(encoders=_adam), train_cfg=dict(max_iters=4)))
stages = ['damsm']
model = dict(
    type='Game', log_every=2, branches=_both, shared_latents=True, fakes='shared',
    networks=dict(
        text_encoder=dict(_text, weights=dict(stage='damsm')),
        image_encoder=dict(_image, weights=dict(stage='damsm')),
        generator=dict(type='TinyPainter'), discriminator=dict(type='TinyJudge')),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    conditioner=dict(type='CaptionConditions', bank=9, uses=dict(text_encoder='text_encoder')),
    objectives=dict(
        adversarial=dict(type='MatchingHinge'), penalty=dict(type='MatchingAwarePenalty'),
        damsm=dict(type='DamsmMatching'), labels=dict(type='LabelContrast', weight=0.2)),
    average=dict(generator=dict(decay=0.5)))
train_dataloader = dict(batch_size=8, dataset=dict(
    type='LabelPairs', load=1.0, max_words=6, transforms=[dict(type='HorizontalFlip')],
    source=dict(type='TinyWords', file={data!r})))
optim_wrapper = dict(discriminator=_adam, generator=_adam)
train_cfg = dict(max_iters=6)
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=2, keep=0, best='fid'), journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=2, columns=2),
    evaluation=dict(type='Evaluation', interval=3, metrics=['fid']))
evaluation = dict(
    real=dict(type='TinyWords', file={data!r}), extractor=dict(type='PooledPixels'), cache_dir=None,
    metrics=dict(fid=dict(type='FID')), n_fake=24, batch_size=12)
"""


class TinyWords(ArraySet):
    """Random pictures of three kinds, each with two captions; in a file of arrays."""

    def __init__(self, file: str) -> None:
        with np.load(file) as arrays:
            captions = arrays["captions"].tolist()
            super().__init__(arrays["images"], arrays["labels"], list(KINDS), captions=captions, title="tiny")


class TinyPainter(Generator):
    """Images linear in latents and sentence, then a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_dim, self.image_size = 4, SIZE
        self.linear = nn.Linear(self.latent_dim + CODE, 4 * 8 * 8)
        self.conv = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None
        x = self.linear(torch.cat([latents, condition.codes.sentence], dim=1)).tanh().unflatten(1, (4, 8, 8))
        return self.conv(nn.functional.interpolate(x, scale_factor=2)).tanh()


class TinyJudge(Discriminator):
    """Logit of an image, projected on the sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=2, padding=1)
        self.linear, self.text = nn.Linear(8 * 4 * 4, 1), nn.Linear(CODE, 8 * 4 * 4)

    def encode(self, images: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(self.conv(images).tanh(), 2).flatten(1)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None
        return self.linear(features).squeeze(1) + (self.text(condition.codes.sentence) * features).mean(dim=1)


def write_data(file: Path, images: int = 24) -> Path:
    """Pictures and captions in an .npz."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % len(KINDS)
    captions = [[_caption(i, k) for k in range(2)] for i in range(images)]
    pictures = rng.integers(0, 256, (images, SIZE, SIZE, 3), dtype=np.uint8)
    np.savez(file, images=pictures, labels=labels, captions=np.array(captions))
    return file


def _caption(i: int, k: int) -> str:
    start = f"a {COLOURS[i // 3 % 4]} {KINDS[i % 3]}"
    return f"{start} {PLACES[i // 12]}" if k else start


def write_config(folder: Path) -> Path:
    """The config and its data, in a folder; the config's file."""
    data = write_data(folder / "tiny_words.npz")
    file = folder / "tiny_texts.py"
    file.write_text(CONFIG.format(plugin=str(Path(__file__)), data=str(data)))
    return file


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    for kind, name in (
        ("dataset", "TinyWords"),
        ("generator", "TinyPainter"),
        ("discriminator", "TinyJudge"),
    ):
        register(kind, name, f"tiny_texts:{name}")
