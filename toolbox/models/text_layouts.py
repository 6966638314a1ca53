"""Layouts of published text-to-image networks and encoders, as their authors save them.

AttnGAN, DM-GAN, SSA-GAN, GALIP and DAMSM. Their names are ours but for spectral norm. A whole state dict may
have been saved within DataParallel ('module.' before every name), and old files have no batch counters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox.models.dmgan import from_official
from toolbox.models.galip import published
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


def _ssagan(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return dict(
        channels=state["conv_img.2.weight"].shape[1],
        image_size=2 << _count(state, r"block\d+\.gamma"),
        latent_dim=state["fc.weight"].shape[1],
        code_dim=state["block0.affine0.fc_gamma.linear1.weight"].shape[1],
        mask_channels=len(state["conv_mask.0.weight"]),
    )


def _ssagan_discriminator(state: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = _count(state, r"block\d+\.gamma")
    widest = len(state[f"block{blocks - 1}.conv_s.weight"])
    return dict(
        channels=len(state["conv_img.weight"]),
        image_size=4 << blocks,
        code_dim=state["COND_DNET.joint_conv.0.weight"].shape[1] - widest,
    )


def _galip(state: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = _count(state, r"GBlocks\.\d+\.c1\.weight")
    clip, latent_dim = "mapping.CLIP_ViT.", state["fc_code.weight"].shape[1]
    width, _, patch, _ = state[f"{clip}conv1.weight"].shape
    prompts, both = state["mapping.fc_prompt.weight"].shape
    seen = math.isqrt(len(state[f"{clip}positional_embedding"]) - 1) * patch  # pixels that CLIP takes
    layers = _count(state, r"mapping\.CLIP_ViT\.transformer\.resblocks\.\d+\.ln_1\.weight")
    vision = dict(image_size=seen, patch_size=patch, layers=layers, width=width)
    text = dict(context_length=1, vocab_size=1, width=64, heads=1, layers=1)  # never asked
    architecture = dict(embed_dim=both - latent_dim, quick_gelu=True, vision_cfg=vision, text_cfg=text)
    return dict(
        clip=dict(type="Clip", architecture=architecture),
        channels=state["to_rgb.1.weight"].shape[1],
        image_size=seen if 2 << blocks < seen < 4 << blocks else 4 << blocks,
        latent_dim=latent_dim,
        code_channels=state["mapping.conv_fuse.weight"].shape[1],
        bridge_blocks=_count(state, r"mapping\.FBlocks\.\d+\.conv1\.weight"),
        prompted=list(range(1, 1 + prompts // width)),
    )


SEEN_THROUGH: dict[tuple[int, int, int], tuple[Any, tuple[int, ...]]] = {
    (768, 512, 7): ("ViT-B-32-quickgelu", (1, 4, 8)),
}
"""CLIPs of published GALIP discriminators, of which their files say little, and the blocks that they tap.

By width of the tokens, of the texts, and patches to a side.
"""


def _judges(state: State) -> State:
    """Tensors of the authors' netD and netC alone, out of a file with the generator and optimisers."""
    return published({key: value for key, value in state.items() if re.match(r"(model\.)?net[DC]\.", key)})


def _galip_discriminator(state: Mapping[str, Tensor]) -> dict[str, Any]:
    outputs, width = state["netD.main.conv_s.weight"].shape[:2]
    both = state["netC.joint_conv.0.weight"].shape[1]
    clip = (width, both - outputs, state["netC.joint_conv.2.weight"].shape[2] + 3)
    taps = 1 + _count(state, r"netD\.DBlocks\.\d+\.beta")
    architecture, known = SEEN_THROUGH.get(clip, ("", ()))
    if len(known) != taps:
        raise ValueError(
            f"it taps {taps} blocks of a CLIP with tokens and texts of {clip[:2]} numbers and {clip[2]} "
            "patches to a side, which is not known"
        )
    return dict(clip=dict(type="Clip", architecture=architecture), channels=outputs // 8, taps=list(known))


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
    "ssagan": _layout("SSAGANGenerator", _ssagan, r"block0\.affine0\.fc_gamma\.linear1\.weight"),
    "ssagan-discriminator": _layout(
        "SSAGANDiscriminator",
        _ssagan_discriminator,
        r"block0\.conv_r\.0\.weight",
        r"COND_DNET\.joint_conv\.0\.weight",
    ),
    "galip": Layout(
        "GALIPGenerator",
        (r"(?:module\.)?mapping\.conv_fuse\.weight", r"(?:module\.)?mapping\.CLIP_ViT\.conv1\.weight"),
        _as_it_is,
        before=published,
        arguments=_galip,
    ),
    "galip-discriminator": Layout(
        "GALIPDiscriminator",
        (
            r"(?:model\.)?netD\.(?:module\.)?DBlocks\.0\.beta",
            r"(?:model\.)?netC\.(?:module\.)?joint_conv\.0\.weight",
        ),
        _as_it_is,
        before=_judges,
        arguments=_galip_discriminator,
    ),
    "damsm-text": _layout(
        "DamsmTextEncoder", _text_encoder, r"encoder\.weight", r"rnn\.weight_hh_l0_reverse"
    ),
    "damsm-image": _layout(
        "DamsmImageEncoder", _image_encoder, r"emb_features\.weight", r"emb_cnn_code\.bias"
    ),
}
