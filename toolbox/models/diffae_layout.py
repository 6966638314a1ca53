"""The layout of the authors' Diffusion Autoencoders: Lightning's checkpoint, or one network out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox.models.layout import Layout, Rule, State

_FIRST = "time_embed.time_embed.0.weight"
_ATTENDED = 16  # pixels, in all published models: tensors do not show the size of images
_STATISTICS = ("conds_mean", "conds_std")  # of z_sem; beside the networks


def _averaged(state: State) -> State:
    """The averaged autoencoder of a checkpoint (``ema_model.``, else ``model.``), and what is known of z_sem.

    Left out: the other copy, the diffusion model of z_sem, the noise of its authors' pictures.
    """
    prefixes = [prefix for prefix in ("ema_model.", "model.", "") if prefix + _FIRST in state]
    start = prefixes[0]
    own = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
    network = {name: value for name, value in own.items() if not name.startswith("latent_net.")}
    return network | {name: state[name].flatten() for name in _STATISTICS if name in state}


def _with_statistics(state: State) -> State:
    """With mean 0 and deviation 1 of z_sem where a file says nothing of them."""
    n = len(state["encoder.out.3.bias"])
    return {"conds_mean": torch.zeros(n), "conds_std": torch.ones(n)} | state


def _arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the tensors show; the size of images follows from the level that has attention."""
    ups = sorted(int(m[1]) for m in _matches(state, r"output_blocks\.(\d+)\.[12]\.in_layers\.2\.weight"))
    if not ups:
        raise ValueError("a U-Net of one level does not show how many blocks it has")
    blocks, levels = ups[0], len(ups) + 1
    encoder = len({m[1] for m in _matches(state, r"encoder\.input_blocks\.(\d+)\..*")}) // (blocks + 1)
    firsts = [1 + level * (blocks + 1) for level in range(max(levels, encoder))]
    attended = [n for n in range(levels) if f"input_blocks.{firsts[n]}.1.qkv.weight" in state]
    if not attended:
        raise ValueError("no level has attention, so the size of the images is not known")
    channels = len(state["input_blocks.0.0.weight"])
    width = "{}input_blocks.{}.0.in_layers.2.weight".format
    size = _ATTENDED << attended[0]
    return dict(
        image_size=size,
        channels=channels,
        channel_mult=tuple(len(state[width("", first)]) // channels for first in firsts[:levels]),
        encoder_channel_mult=tuple(
            len(state[width("encoder.", first)]) // channels for first in firsts[:encoder]
        ),
        blocks=blocks,
        attention_resolutions=tuple(size >> level for level in attended),
        embed_channels=len(state[_FIRST]),
        style_channels=len(state["encoder.out.3.bias"]),
    )


def _matches(state: Mapping[str, Tensor], pattern: str) -> list[re.Match[str]]:
    return [match for match in (re.fullmatch(pattern, name) for name in state) if match]


LAYOUT = Layout(
    family="DiffAE",
    marks=(r"(?:ema_model\.|model\.)?" + re.escape(_FIRST), r".*cond_emb_layers\.1\.weight"),
    rules=lambda state: [Rule(r"(.*)", lambda match: match[1])],
    before=_averaged,
    after=_with_statistics,
    arguments=_arguments,
)
