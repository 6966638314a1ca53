"""PGGAN, StyleGAN and StyleGAN2 as KLiSH's code names them: the references were filled by those names."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from tests.models.stylegan_filled import fill, normal
from toolbox.models.stylegan_layouts import translate

State = dict[str, Tensor]


def filled_as_klish(network: nn.Module, fused_from: int = 10_000) -> nn.Module:
    """The network in eval mode, its weights filled by KLiSH's names and translated.

    Args:
        network: one of PGGAN or StyleGAN.
        fused_from: resampling layers of so many pixels are stored fused.
    """
    network.load_state_dict(translate(klish_state(network, fused_from)))
    return network.eval()


def klish_state(network: nn.Module, fused_from: int = 10_000) -> State:
    """Filled weights by KLiSH's names, in its shapes."""
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("lod"):
            continue
        theirs, shape = _renamed(network, name, tuple(tensor.shape), fused_from)
        state[theirs] = klish_fill(theirs, shape)
    return state


def klish_fill(name: str, shape: tuple[int, ...]) -> Tensor:
    """The value of one tensor."""
    return 0.1 * normal(name, *shape) if name.endswith("apply_noise.weight") else fill(name, shape)


def _renamed(
    network: nn.Module, name: str, shape: tuple[int, ...], fused_from: int
) -> tuple[str, tuple[int, ...]]:
    is_style, is_judge = hasattr(network, "synthesis"), hasattr(network, "judge")
    layer = re.fullmatch(r"((?:synthesis\.)?layer(\d+))\.(?:conv\.)?weight", name)
    if layer:
        fused = _is_fused(int(layer[2]), network.image_size, is_judge, fused_from) and len(shape) == 4
        if fused:
            return f"{layer[1]}.weight", (shape[2], shape[3], shape[1], shape[0])
        return f"{layer[1]}.{'conv' if len(shape) == 4 else 'fc'}.weight", shape
    changes = [
        (r"(mapping\.dense\d+)\.weight", r"\1.fc.weight"),
        (r"(mapping\.dense\d+)\.bias", r"\1.wscale.bias"),
        (r"mapping\.w_avg", "truncation.w_avg"),
        (r"(synthesis\.layer\d+)\.bias", r"\1.epilogue.bias"),
        (r"\.noise_strength", ".epilogue.apply_noise.weight"),
        (r"\.noise_const", ".epilogue.apply_noise.noise"),
        (r"\.style\.weight", ".epilogue.style_mod.dense.fc.weight"),
        (r"\.style\.bias", ".epilogue.style_mod.dense.wscale.bias"),
        (r"((?:out|in)put\d+)\.weight", r"\1.conv.weight"),
    ]
    changes += [] if is_style else [(r"\.bias", ".wscale.bias")]
    for pattern, new in changes:
        theirs, hits = re.subn(f"{pattern}$", new, name)
        if hits:
            name = theirs
            break
    wide = name.endswith((".noise", "const"))
    return name, ((1,) * (4 - len(shape)) + shape if wide else shape)


def _is_fused(i: int, image_size: int, is_judge: bool, fused_from: int) -> bool:
    if is_judge:
        size = image_size >> (i // 2)
        return bool(i % 2) and size > 4 and size >= fused_from
    return i % 2 == 0 and i > 0 and 4 << (i // 2) >= fused_from


def klish_stylegan2_state(network: nn.Module) -> State:
    """A StyleGAN2 generator's weights, filled, by KLiSH's names, in its shapes, with the filters that it
    stores.
    """
    state = {"synthesis.upsample.kernel": KERNEL[None, None]}
    for name, tensor in network.state_dict().items():
        if name.endswith("resample_filter"):
            continue
        theirs, shape = _stylegan2_name(name), tuple(tensor.shape)
        if theirs.endswith(("const", ".noise")):
            shape = (1,) * (4 - len(shape)) + shape
        elif len(shape) == 4:
            shape = (shape[2], shape[3], shape[1], shape[0])
        state[theirs] = klish_fill(theirs, shape)
        if re.fullmatch(r"synthesis\.layer\d*[13579]\.weight", theirs):
            state[theirs.replace("weight", "filter.kernel")] = KERNEL[None, None]
    return state


def _stylegan2_name(name: str) -> str:
    block = re.match(r"synthesis\.b(\d+)\.", name)
    k = int(block[1]).bit_length() - 3 if block else 0
    for pattern, new in [
        (r"mapping\.fc(\d+)\.weight", r"mapping.dense\1.fc.weight"),
        (r"mapping\.fc", "mapping.dense"),
        (r"mapping\.w_avg", "truncation.w_avg"),
        (r"synthesis\.b4\.const", "synthesis.early_layer.const"),
        (r"b\d+\.conv0", f"layer{2 * k - 1}"),
        (r"b\d+\.conv1", f"layer{2 * k}"),
        (r"b\d+\.torgb", f"output{k}"),
        (r"affine\.weight", "style.fc.weight"),
        (r"affine\.bias", "style.bias"),
        ("noise_const", "noise"),
    ]:
        name = re.sub(pattern, new, name)
    return name


KERNEL = torch.tensor([1.0, 3, 3, 1]).outer(torch.tensor([1.0, 3, 3, 1])) / 16
