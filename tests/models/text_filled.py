"""References of text-to-image networks: filling networks that are built already, and parts of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tests.models import t2i_filled
from tests.models.t2i_filled import close, enlarged, golden
from toolbox.interfaces import Condition, TextCodes

__all__ = ["close", "enlarged", "fill", "golden", "manifest", "said", "shapes"]


@torch.no_grad()
def fill(network: nn.Module, prefix: str = "") -> None:
    """Every tensor of a network by ``prefix`` + its name, one after the other."""
    for name, tensor in network.state_dict().items():
        tensor.copy_(t2i_filled.fill(prefix + name, list(tensor.shape)))


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    """{name: shape} of a published network."""
    names = json.loads((t2i_filled.DATA / f"{name}.json").read_text())
    return {key: tuple(shape) for key, shape in names.items()}


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """{name: shape} of a state dict."""
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def said(sentence: Tensor) -> Condition:
    """The condition of sentence codes (N, D)."""
    return Condition(codes=TextCodes(sentence))
