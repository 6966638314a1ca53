"""IPL and Diff-IPL in a small: generators of 16 and 8 pixels and a CLIP, all random, all from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.models.diffae_filled import SMALL, filled
from toolbox.models.clip import Clip
from toolbox.models.stylegan2 import StyleGAN2Generator

TEXT = dict(context_length=77, vocab_size=49408, width=16, heads=2, layers=1)
VISION = dict(image_size=16, layers=1, width=16, patch_size=8, head_width=8)
CLIP = dict(embed_dim=16, vision_cfg=VISION, text_cfg=TEXT, quick_gelu=True)
STYLE: dict[str, Any] = dict(image_size=16, latent_dim=4, style_dim=6, channel_base=128, channel_max=8)

CONFIG = """
_base_ = 'ipl/ipl_portraits'
_style = dict(type='StyleGAN2Generator', weights={style!r}, **{arguments!r})
_networks = dict(
    source=dict(_delete_=True, **_style), clip=dict(_delete_=True, type='Clip', **{clip!r}),
    mapper=dict(names=['photo', 'disney'], latent_dim=6))
before = dict(prompts=dict(
    model=dict(log_every=1, networks=_networks), train_dataloader=dict(batch_size=4),
    train_cfg=dict(max_iters=3)))
model = dict(
    log_every=1,
    networks=dict(_networks, generator=dict(_delete_=True, freeze_layers=['mapping.'], **_style)),
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', layers=3, batch=4))])
train_cfg = dict(max_iters=4)
train_dataloader = dict(batch_size=4)
evaluation = None
hooks = dict(checkpoints=dict(interval=2, keep=0), samples=dict(interval=4, columns=2))
"""

DIFFUSION = """
_base_ = 'ipl/diffipl_portraits'
_images = dict(image_size=8, images=6)
_frozen = dict(
    source=dict(_delete_=True, type='DiffAE', weights={source!r}, **{arguments!r}),
    clip=dict(_delete_=True, type='Clip', **{clip!r}), mapper=dict(latent_dim=6))
_latents = dict(images=_images, n=6, steps=20, batch_size=2, cache_dir={cache!r})
before = dict(prompts=dict(
    model=dict(log_every=1, latents=_latents, networks=_frozen), train_dataloader=dict(batch_size=4),
    train_cfg=dict(max_iters=3)))
model = dict(
    log_every=1, latents=_latents,
    networks=dict(_frozen, generator=dict(
        _delete_=True, type='DiffAE', weights={source!r}, train_steps=2, freeze_layers=['encoder.'],
        **{arguments!r})))
train_cfg = dict(max_iters=4)
hooks = dict(checkpoints=dict(interval=2, keep=0), samples=dict(interval=4, columns=2))
"""


def write_config(folder: Path, more: str = "") -> Path:
    """The config and the two files that it reads."""
    torch.manual_seed(0)
    generator = StyleGAN2Generator(**STYLE)
    for layer in generator.synthesis.layers():
        torch.nn.init.constant_(layer.noise_strength, 0.1)
    style = folder / "style.safetensors"
    save_file({k: v.contiguous() for k, v in generator.state_dict().items()}, style)
    file = folder / "ipl_tiny.py"
    file.write_text(CONFIG.format(style=str(style), arguments=STYLE, clip=write_clip(folder)) + more)
    return file


def write_diffusion_config(folder: Path) -> Path:
    """Diff-IPL's config and the two files that it reads; ``folder / 'cache'`` will hold the inversions."""
    torch.manual_seed(0)
    source, file = folder / "diffae.safetensors", folder / "diffipl_tiny.py"
    save_file({k: v.contiguous() for k, v in filled(**SMALL).state_dict().items()}, source)
    small = {**{key: value for key, value in SMALL.items() if "steps" not in key}, "steps": 2}
    names = dict(source=str(source), cache=str(folder / "cache"))
    file.write_text(DIFFUSION.format(**names, arguments=small, clip=write_clip(folder)))
    return file


def write_clip(folder: Path) -> dict[str, Any]:
    """A file of a random CLIP, and the arguments that read it."""
    file = folder / "clip.safetensors"
    save_file({k: v.contiguous().clone() for k, v in Clip(CLIP).model.state_dict().items()}, file)
    return dict(architecture=CLIP, weights=str(file))
