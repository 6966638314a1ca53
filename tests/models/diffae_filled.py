"""Small Diffusion Autoencoders whose weights are a function of their names."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch

from toolbox.models.diffae import DiffAE

#: The network of the stored references.
REFERENCE: dict[str, Any] = dict(
    image_size=32,
    channels=32,
    channel_mult=(1, 2),
    encoder_channel_mult=(1, 2, 2),
    embed_channels=64,
    style_channels=64,
)
SMALL: dict[str, Any] = dict(
    image_size=8,
    channels=8,
    channel_mult=(1, 2),
    encoder_channel_mult=(1, 2),
    blocks=1,
    attention_resolutions=(4,),
    embed_channels=16,
    style_channels=6,
    dropout=0.0,
    steps=4,
    inversion_steps=20,
)


def filled(**arguments: Any) -> DiffAE:
    """One in eval mode, filled as tests/data/diffae/README.md says."""
    network = DiffAE(**arguments).eval()
    state = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("conds"):
            continue
        shape = tuple(tensor.shape)
        values = np.random.default_rng(zlib.crc32(f"diffae.{name}".encode())).standard_normal(shape)
        v = values.astype(np.float32)
        if len(shape) > 1:
            v = v / np.float32(np.sqrt(np.prod(shape[1:])))
        else:
            v = 1 + np.float32(0.1) * v if name.endswith("weight") else np.float32(0.1) * v
        state[name] = torch.from_numpy(v)
    network.load_state_dict(state, strict=False)
    return network
