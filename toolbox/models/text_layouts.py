"""Layouts of published text-to-image networks: AttnGAN, DM-GAN, DAMSM's encoders, as their authors save them.

Their names are ours but for spectral norm. A whole state dict may have been saved within DataParallel
('module.' before every name), and old files have no batch counters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox.models.dmgan import from_official
from toolbox.models.layers import without_parallel
from toolbox.models.layout import Layout, Rule, State


def with_counters(state: State) -> State:
    """With ``num_batches_tracked`` beside every ``running_mean``."""
    layers = [name.removesuffix("running_mean") for name in state if name.endswith(".running_mean")]
    return {f"{layer}num_batches_tracked": torch.tensor(0) for layer in layers} | state


def _plain(state: State) -> State:
    return from_official(without_parallel(state))


def _as_it_is(state: State) -> list[Rule]:
    return [Rule(r"(.*)", lambda match: match[1])]


def _layout(family: str, arguments: Any, *marks: str) -> Layout:
    wide = tuple(rf"(?:module\.)?{mark}" for mark in marks)
    return Layout(family, wide, _as_it_is, before=_plain, after=with_counters, arguments=arguments)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in state)


def _generator(state: Mapping[str, Tensor]) -> dict[str, Any]:
    stages = _count(state, r"img_net\d+\.img\.0\.weight")
    augmented, code_dim = state["ca_net.fc.weight"].shape
    condition_dim = augmented // 4
    first = 4 << _count(state, r"h_net1\.upsample\d+\.1\.weight")
    return dict(
        channels=state["img_net1.img.0.weight"].shape[1],
        residual_blocks=_count(state, r"h_net2\.residual\.\d+\.block\.0\.weight"),
        image_size=first << (stages - 1),
        stages=stages,
        noise_dim=state["h_net1.fc.0.weight"].shape[1] - condition_dim,
        condition_dim=condition_dim,
        code_dim=code_dim,
    )


def _discriminator(state: Mapping[str, Tensor]) -> dict[str, Any]:
    weights = [name for name in state if re.search(r"\.weight(_orig)?$", name) and state[name].ndim == 4]
    halvings = [name for name in weights if name.startswith("img_code") and state[name].shape[2] == 4]
    joint = [state[name] for name in weights if name.startswith("COND_DNET.jointConv")]
    return dict(
        channels=len(state[halvings[0]]),
        image_size=4 << len(halvings),
        code_dim=joint[0].shape[1] - joint[0].shape[0],
        unconditional="UNCOND_DNET.outlogits.0.weight" in state,
    )


def _text_encoder(state: Mapping[str, Tensor]) -> dict[str, Any]:
    n_tokens, embedding_dim = state["encoder.weight"].shape
    code_dim = 2 * state["rnn.weight_hh_l0"].shape[1]
    return dict(n_tokens=n_tokens, embedding_dim=embedding_dim, code_dim=code_dim)


def _image_encoder(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return dict(code_dim=len(state["emb_cnn_code.bias"]))


LAYOUTS = {
    "attngan": _layout("AttnGANGenerator", _generator, r"h_net2\.att\.conv_context\.weight"),
    "attngan-discriminator": _layout(
        "AttnGANDiscriminator", _discriminator, r"img_code_s16\.0\.weight", r"COND_DNET\.jointConv\.1\.weight"
    ),
    "dmgan": _layout("DMGANGenerator", _generator, r"h_net2\.M_w\.0\.weight"),
    "dmgan-discriminator": _layout(
        "DMGANDiscriminator", _discriminator, r"img_code_s16\.0\.module\.weight_bar"
    ),
    "damsm-text": _layout(
        "DamsmTextEncoder", _text_encoder, r"encoder\.weight", r"rnn\.weight_hh_l0_reverse"
    ),
    "damsm-image": _layout(
        "DamsmImageEncoder", _image_encoder, r"emb_features\.weight", r"emb_cnn_code\.bias"
    ),
}
