"""A network's weights as one digest."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def fingerprint(network: nn.Module) -> str:
    """sha256 over names and values of a network's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
