"""What several families of networks share: spectral norm, initialisation, resampling, memory layout."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

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
    # not the newer parametrization: published weights have the names of this one
    layer = torch.nn.utils.spectral_norm(layer, eps=eps)
    layer.register_forward_hook(_forget_graph)
    return layer


def _forget_graph(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """The normalised weight stays an attribute; with its graph it would hold memory and forbid a deepcopy."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    layer.weight = weight.detach()


def initialise(network: nn.Module, how: str) -> None:
    """Fill every convolution, linear and embedding weight ('orthogonal', or 'normal': N(0, 0.02)); biases 0.

    BigGAN's is 'orthogonal' (section 3).

    Raises:
        ValueError: for another name.
    """
    if how not in INITIALISERS:
        raise ValueError(
            f"init={how!r} is not known; choose from {sorted(INITIALISERS)}{near(how, INITIALISERS)}"
        )
    for layer in network.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear, nn.Embedding)):
            weight = layer.weight_orig if hasattr(layer, "weight_orig") else layer.weight
            INITIALISERS[how](weight)
            bias = getattr(layer, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)
            if not weight.is_meta:  # an outline of a network has no numbers to settle
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


def without_parallel(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the 'module.' that DataParallel puts before every one; others as they are."""
    parallel = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if parallel else name: value for name, value in state.items()}


def accept_parallel(network: nn.Module) -> None:
    """Let ``load_state_dict`` take a state dict that was saved within DataParallel."""
    network.register_load_state_dict_pre_hook(_strip_parallel)


def _strip_parallel(network: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    for key in own:
        del state[prefix + key]
    state.update({prefix + key: value for key, value in without_parallel(own).items()})


def spread(kernel: Tensor) -> Tensor:
    """A 3x3 kernel convolved with a 2x2 box: (..., 3, 3) -> (..., 4, 4)."""
    wide = F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0))  # (..., 3, 4)
    return F.pad(wide, (0, 0, 0, 1)) + F.pad(wide, (0, 0, 1, 0))


class UpsampleConv2d(nn.Conv2d):
    """Nearest x2, then a 3x3 convolution, as one transposed 4x4 convolution: 2.25 times cheaper."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', 2H, 2W)."""
        kernel = spread(self.weight.flip(2, 3)).transpose(0, 1)  # (C, C', 4, 4)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class DownsampleConv2d(nn.Conv2d):
    """A 3x3 convolution, then a 2x2 mean, as one 4x4 convolution of stride 2: 2.25 times cheaper."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/2, W/2)."""
        return F.conv2d(x, spread(self.weight) / 4, self.bias, stride=2, padding=1)


MANY_WEIGHTS, FEW_PLACES = 1 << 20, 128
"""A kernel of so many weights at so few places (of all images) is faster as a matrix product on a CPU.

Measured: time of the product relative to oneDNN's convolution, forward and backward (AVX2, one thread).

    1024 to 2048 channels, 4x4, 64 places   0.57        2048 to 1024, 3x3, 64 places   0.68
                           the same, 128   0.64         512 to 1024, 4x4, 256 places   0.94
"""


class SmallMapConv2d(nn.Conv2d):
    """A convolution that ends in a small map, where reading the kernel is most of the work; no dilation."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        assert not isinstance(self.padding, str)
        (kernel, _), (stride, _), (padding, _) = self.kernel_size, self.stride, self.padding
        size = [(side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:]]
        few = len(x) * size[0] * size[1] <= FEW_PLACES and self.weight.numel() >= MANY_WEIGHTS
        if x.device.type != "cpu" or not few:
            return super().forward(x)
        patches = F.unfold(x, kernel, padding=padding, stride=stride)  # (N, C k k, H' W')
        y = F.linear(patches.transpose(1, 2).flatten(0, 1), self.weight.flatten(1), self.bias)
        y = y.unflatten(0, (len(x), *size)).permute(0, 3, 1, 2)
        return y.contiguous() if x.is_contiguous() else y  # else channels last, as it is


def leaky_relu(x: Tensor, slope: float = 0.2) -> Tensor:
    """torch's, but that its second derivative is none, where torch's is a tensor of zeros.

    With it a gradient penalty on convolutions leaves out their forward pass when it is differentiated.
    """
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
        return F.leaky_relu(x, slope)
    result: Tensor = _LeakyReLU.apply(x, slope)
    return result


class LeakyReLU(nn.Module):
    """:func:`leaky_relu` as a layer."""

    def __init__(self, slope: float = 0.2) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return leaky_relu(x, self.slope)


class _LeakyReLU(torch.autograd.Function):
    """y = s x with slopes s of 1 or ``slope``, which are constant almost everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return F.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return _Slopes.apply(gradient, x, ctx.slope), None


class _Slopes(torch.autograd.Function):
    """A gradient times the slopes at x; its own gradient is times the slopes again."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        times: Tensor = torch.ops.aten.leaky_relu_backward(gradient, x, slope, False)
        return times

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return _Slopes.apply(gradient, x, ctx.slope), None, None


def upsample(x: Tensor) -> Tensor:
    """Nearest neighbour, x2."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


WIDE = 8192
"""From this product of channels and side of an image on, the default layout trains faster than channels last.

Measured: time of a 3x3 convolution, C to C channels at H x H pixels, forward and backward in channels last,
relative to the default layout (oneDNN, AVX2, one thread). What loses is the gradient of the weights alone.

    C, H         16, 32   64, 32   128, 32   192, 32   64, 128   128, 64   256, 32   384, 32   256, 64
    N <= 8        0.92     0.92     0.98      1.01      1.47      1.19      1.10      1.17      1.5
    N >= 16       0.81     0.96                                   1.11      1.13      1.12
"""


def fast_layout(x: Tensor, network: nn.Module, extent: int) -> Tensor:
    """(N, C, H, W) in the layout that is fastest on the CPU; later layers keep it.

    Args:
        x: what the first convolution reads.
        network: whose weights may learn.
        extent: the largest product of channels and side of an image among the network's layers.
    """
    if x.device.type != "cpu":
        return x
    weights = list(network.parameters())
    learns = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
    turned = any(weight.ndim == 4 and not weight.is_contiguous() for weight in weights)  # somebody's choice
    default = learns and extent >= WIDE and not turned
    return x.contiguous(memory_format=torch.contiguous_format if default else torch.channels_last)


def near(name: object, known: Iterable[object]) -> str:
    """' (did you mean ...?)' for an error message, or ''."""
    match = difflib.get_close_matches(str(name), [str(item) for item in known], n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
