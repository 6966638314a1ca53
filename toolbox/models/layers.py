"""Layers that the BigGAN-like families share: spectral normalisation, resampling convolutions,
self-attention.
"""

from __future__ import annotations

import difflib
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm

Layer = TypeVar("Layer", bound=nn.Module)

INITIALISERS = {
    "orthogonal": nn.init.orthogonal_,
    "normal": lambda weight: nn.init.normal_(weight, std=0.02),
}


def spectral_norm(layer: Layer, eps: float = 1e-6) -> Layer:
    """W / sigma(W), sigma from one power iteration a training forward (Miyato et al. 2018, algorithm 1).

    Adds ``weight_orig`` (the parameter), ``weight_u`` and ``weight_v`` in place of ``weight``. In eval mode
    the stored vectors are used as they are.
    """
    layer = torch.nn.utils.spectral_norm(layer, eps=eps)
    layer.register_forward_hook(_forget_graph)
    return layer


def _forget_graph(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """The normalised weight stays behind as an attribute; with its graph it would hold memory and forbid a
    deepcopy.
    """
    weight = layer.weight
    assert isinstance(weight, Tensor)
    layer.weight = weight.detach()


class UpsampleConv2d(nn.Conv2d):
    """Nearest x2, then a 3x3 convolution, as one transposed 4x4 convolution: equal, with 2.25 times fewer
    products.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', 2H, 2W)."""
        kernel = spread(self.weight.flip(2, 3)).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class DownsampleConv2d(nn.Conv2d):
    """A 3x3 convolution, then a 2x2 mean, as one 4x4 convolution of stride 2: equal, with 2.25 times fewer
    products.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/2, W/2)."""
        return F.conv2d(x, spread(self.weight) / 4, self.bias, stride=2, padding=1)


def spread(kernel: Tensor) -> Tensor:
    """3x3 kernel convolved with a 2x2 box: (.., 4, 4)."""
    return sum(F.pad(kernel, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1))  # type: ignore[return-value]


def upsample(x: Tensor) -> Tensor:
    """Nearest neighbour, x2."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def fast_layout(x: Tensor) -> Tensor:
    """Channels last on the CPU: a training step at 32 px is a fifth faster there; later layers keep the
    layout.
    """
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


class SelfAttention(nn.Module):
    """Self-attention over positions (SAGAN, section 3), keys and values pooled 2x2; no biases.

    o = softmax(theta(x)^T phi(x)) over pooled positions, applied to g(x)
    y = x + sigma attn(o),  sigma = 0 first
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.conv1x1_theta = spectral_norm(nn.Conv2d(channels, channels // 8, 1, bias=False), eps)
        self.conv1x1_phi = spectral_norm(nn.Conv2d(channels, channels // 8, 1, bias=False), eps)
        self.conv1x1_g = spectral_norm(nn.Conv2d(channels, channels // 2, 1, bias=False), eps)
        self.conv1x1_attn = spectral_norm(nn.Conv2d(channels // 2, channels, 1, bias=False), eps)
        self.sigma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        query = self.conv1x1_theta(x).flatten(2)
        key = F.max_pool2d(self.conv1x1_phi(x), 2).flatten(2)
        value = F.max_pool2d(self.conv1x1_g(x), 2).flatten(2)
        attention = (query.transpose(1, 2) @ key).softmax(dim=-1)
        mixed = (value @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.sigma * self.conv1x1_attn(mixed)


def initialise(network: nn.Module, how: str) -> None:
    """Fill every convolution, linear and embedding weight ('orthogonal', or 'normal': N(0, 0.02)); biases 0.

    Raises:
        ValueError: for another name.
    """
    if how not in INITIALISERS:
        raise ValueError(
            f"init={how!r} is not known; choose from {sorted(INITIALISERS)}{near(how, INITIALISERS)}"
        )
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
            INITIALISERS[how](layer.weight_orig if hasattr(layer, "weight_orig") else layer.weight)
            bias = getattr(layer, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)
            settle(layer)


@torch.no_grad()
def settle(layer: nn.Module, iterations: int = 5) -> None:
    """Power iterations of a spectrally normalised layer, so that a fresh network is right in eval mode too.

    torch starts from random vectors; without a training forward their sigma is meaningless.
    """
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm):
            for _ in range(iterations):
                hook.compute_weight(layer, do_power_iteration=True)


def near(name: object, known: object) -> str:
    """' (did you mean ...?)' for an error message, or ''."""
    match = difflib.get_close_matches(str(name), [str(item) for item in known], n=1)  # type: ignore[attr-defined]
    return f" (did you mean {match[0]!r}?)" if match else ""
