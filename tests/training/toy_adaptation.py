"""A game without images: a small generator learns to darken what a frozen one makes; also a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from toolbox import hookimpl
from toolbox.interfaces import Objective, Turn


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


CONFIG = """
plugins = [{plugin!r}]
threads = 1
_style = dict(type='StyleGAN2Generator', image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8)
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
    samples=dict(type='SampleGrid', interval=5, columns=2))
"""


def write_config(file: Path) -> Path:
    """The config, in a file."""
    file.write_text(CONFIG.format(plugin=str(Path(__file__))))
    return file


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    for name in ("Darken", "Compare"):
        register("objective", name, f"toy_adaptation:{name}")
