"""Constructor arguments of PGGAN, StyleGAN and StyleGAN2, read off their tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

State = Mapping[str, Tensor]


def arguments(component: str, state: State) -> dict[str, Any]:
    """What builds the network whose tensors these are.

    What tensors do not show (noise mode, clamping) is left out.

    Args:
        component: 'PGGANGenerator', 'StyleGANDiscriminator', ...
        state: its state dict.

    Raises:
        KeyError: for another component, or tensors of another network.
        ValueError: for tensors without a layer that tells the widths.
    """
    widths = _WIDTHS[component](state)
    if not widths:
        raise ValueError(f"these are no tensors of a {component}")
    size = max(widths)
    widest = max(widths.values())
    # width = min(base / size, widest): below the widest the product is the base
    products = [size * width for size, width in sorted(widths.items()) if width < widest]
    base = products[0] if products else widest * size
    shape = dict(image_size=size, channel_base=base, channel_max=widest)
    return shape | _OTHERS[component](state)


def _read(state: State, pattern: str, size: Callable[[int], int]) -> dict[int, int]:
    """{pixels: channels}: the first axis of the tensors that match, pixels from the number in their names."""
    found = ((re.fullmatch(pattern, name), tensor) for name, tensor in state.items())
    return {size(int(match[1])): len(tensor) for match, tensor in found if match}


def _doubling(i: int) -> int:
    return 4 << (i // 2)


def _by_level(state: State) -> dict[int, int]:
    levels = sum(bool(re.fullmatch(r"input\d+\.weight", name)) for name in state)
    return _read(state, r"input(\d+)\.weight", lambda k: 4 << (levels - 1 - k))


def _stylegan2_judged(state: State) -> dict[int, int]:
    return _read(state, r"b(\d+)\.conv0?\.weight", int)


def _pggan(state: State) -> dict[str, Any]:
    # labels, where there are any, are read like latents
    return dict(latent_dim=state["layer0.weight"].shape[1])


def _stylegan(state: State) -> dict[str, Any]:
    layers = sum(bool(re.fullmatch(r"mapping\.dense\d+\.weight", name)) for name in state)
    labels = state.get("mapping.label_weight")
    return dict(
        n_conditions=0 if labels is None else len(labels),
        mapping_layers=layers,
        latent_dim=state["mapping.dense0.weight"].shape[1] // (1 if labels is None else 2),
        hidden_features=len(state["mapping.dense0.bias"]),
        style_dim=len(state["mapping.w_avg"]),
    )


def _stylegan2(state: State) -> dict[str, Any]:
    layers = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in state)
    embed = state.get("mapping.embed.weight")
    embedded = 0 if embed is None else len(embed)
    result = dict(
        n_conditions=0 if embed is None else embed.shape[1],
        mapping_layers=layers,
        latent_dim=state["mapping.fc0.weight"].shape[1] - embedded,
        style_dim=len(state["mapping.w_avg"]),
        layer_features=len(state["mapping.fc0.bias"]),
    )
    if embedded:
        result["embed_features"] = embedded
    return result


def _stylegan2_judge(state: State) -> dict[str, Any]:
    embed = state.get("mapping.embed.weight")
    architecture = "orig"
    if any(name.endswith("skip.weight") for name in state):
        architecture = "resnet"
    elif sum(name.endswith("fromrgb.weight") for name in state) > 1:
        architecture = "skip"
    return dict(n_conditions=0 if embed is None else embed.shape[1], architecture=architecture)


def _outputs(state: State) -> int:
    """Of the last layer."""
    numbers = [int(name[5:-5]) for name in state if re.fullmatch(r"layer\d+\.bias", name)]
    return len(state[f"layer{max(numbers)}.bias"])


_WIDTHS: dict[str, Callable[[State], dict[int, int]]] = {
    "PGGANGenerator": lambda state: _read(state, r"layer(\d+)\.bias", _doubling),
    "StyleGANGenerator": lambda state: _read(state, r"synthesis\.layer(\d+)\.bias", _doubling),
    "StyleGAN2Generator": lambda state: _read(state, r"synthesis\.b(\d+)\.conv1\.weight", int),
    "PGGANDiscriminator": _by_level,
    "StyleGANDiscriminator": _by_level,
    "StyleGAN2Discriminator": _stylegan2_judged,
}
_OTHERS: dict[str, Callable[[State], dict[str, Any]]] = {
    "PGGANGenerator": _pggan,
    "StyleGANGenerator": _stylegan,
    "StyleGAN2Generator": _stylegan2,
    "PGGANDiscriminator": lambda state: dict(n_conditions=_outputs(state) - 1),
    "StyleGANDiscriminator": lambda state: dict(n_conditions=_outputs(state) if _outputs(state) > 1 else 0),
    "StyleGAN2Discriminator": _stylegan2_judge,
}
