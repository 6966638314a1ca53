"""IPL in a small: a generator of 16-pixel images and a CLIP, both random, both from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

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


def write_config(folder: Path, more: str = "") -> Path:
    """The config and the two files that it reads."""
    torch.manual_seed(0)
    generator = StyleGAN2Generator(**STYLE)
    for layer in generator.synthesis.layers():
        torch.nn.init.constant_(layer.noise_strength, 0.1)
    style, clip = folder / "style.safetensors", folder / "clip.safetensors"
    save_file({k: v.contiguous() for k, v in generator.state_dict().items()}, style)
    save_file({k: v.contiguous().clone() for k, v in Clip(CLIP).model.state_dict().items()}, clip)
    file = folder / "ipl_tiny.py"
    arguments = dict(architecture=CLIP, weights=str(clip))
    file.write_text(CONFIG.format(style=str(style), arguments=STYLE, clip=arguments) + more)
    return file
