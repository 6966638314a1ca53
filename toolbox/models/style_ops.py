"""Operations and layers of the style-based networks: activations, equalised learning rates, modulation.

Karras et al.: StyleGAN2 (CVPR 2020), section 2 and appendix B; equalised learning rate: PGGAN (ICLR 2018),
section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.models.layers import near
from toolbox.models.upfirdn import Factor, Filter, filter_size, paddings, setup_filter, upfirdn2d
from toolbox.tf32 import without_autocast

SQRT2 = math.sqrt(2.0)


class Activation(NamedTuple):
    """f(x, alpha), with the alpha and the gain that keep the variance.

    ``homogeneous``: f(g x) = g f(x) for g > 0, so that a gain may be applied to weights and bias instead.
    """

    function: Callable[[Tensor, float], Tensor]
    alpha: float
    gain: float
    homogeneous: bool = False


ACTIVATIONS = {
    "linear": Activation(lambda x, alpha: x, 0.0, 1.0, homogeneous=True),
    "relu": Activation(lambda x, alpha: F.relu(x), 0.0, SQRT2, homogeneous=True),
    "lrelu": Activation(F.leaky_relu, 0.2, SQRT2, homogeneous=True),
    "tanh": Activation(lambda x, alpha: torch.tanh(x), 0.0, 1.0),
    "sigmoid": Activation(lambda x, alpha: torch.sigmoid(x), 0.0, 1.0),
    "elu": Activation(lambda x, alpha: F.elu(x), 0.0, 1.0),
    "selu": Activation(lambda x, alpha: F.selu(x), 0.0, 1.0),
    "softplus": Activation(lambda x, alpha: F.softplus(x), 0.0, 1.0),
    "swish": Activation(lambda x, alpha: torch.sigmoid(x) * x, 0.0, SQRT2),
}


def activation(name: str) -> Activation:
    """By name.

    Raises:
        ValueError: for an unknown one.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation={name!r} is not known; choose from {list(ACTIVATIONS)}{near(name, ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def split_gain(name: str, gain: float) -> tuple[float, float]:
    """(before, after): factors before and after an activation that together are ``gain`` after it.

    Before it, the factor goes into weights and biases: a pass over the activations less.
    """
    return (gain, 1.0) if activation(name).homogeneous and gain > 0 else (1.0, gain)


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
) -> Tensor:
    """clamp(gain f(x + b, alpha), -clamp, clamp), b (C,) along axis ``dim``.

    ``alpha`` and ``gain``: None = the activation's own; ``clamp``: None = none.

    Raises:
        ValueError: for an unknown activation, or a bias that does not fit.
    """
    chosen = activation(act)
    if b is not None:
        if b.ndim != 1 or len(b) != x.shape[dim]:
            raise ValueError(
                f"b has shape {tuple(b.shape)}, expected ({x.shape[dim]},): x is {tuple(x.shape)}, dim={dim}"
            )
        shape = [-1 if axis == dim else 1 for axis in range(x.ndim)]
        x = x + b.to(x.dtype).view(shape)
    x = chosen.function(x, chosen.alpha if alpha is None else alpha)
    gain = chosen.gain if gain is None else gain
    if gain != 1:
        x = x * gain
    return x if clamp is None else F.hardtanh(x, -clamp, clamp)  # its gradient is one pass, clamp's four


def normalise_second_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """x / sqrt(mean of x^2 over features + eps), x (N, d)."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def conv2d_resample(
    x: Tensor,
    weight: Tensor,
    f: Filter = None,
    up: int = 1,
    down: int = 1,
    padding: Factor = 0,
    flip_weight: bool = True,
    flip_filter: bool = False,
    groups: int = 1,
    bias: Tensor | None = None,
) -> Tensor:
    """Up-sample, convolve, down-sample.

    Products that would meet inserted or dropped pixels are left out: hence the cases.

    Args:
        x: (N, C, H, W).
        weight: (O, C / groups, k, k).
        f: resampling filter, applied after up-sampling and before down-sampling.
        padding: of the up-sampled image; k // 2 keeps sizes.
        flip_weight: True = torch's convolution (a correlation), False = a true convolution.
        bias: (O,), added to the result.

    Returns:
        (N, O, up H / down, up W / down) for padding k // 2.
    """
    if up > 1 and bias is not None:  # below, only the last convolution can add it
        without = conv2d_resample(x, weight, f, up, down, padding, flip_weight, flip_filter, groups)
        return without + bias.to(without.dtype)[:, None, None]
    around = _resampling_padding(padding, f, up, down)
    kernel = weight.shape[2]
    if up > 1 and down == 1 and kernel > 1:  # a strided transposed convolution, then the filter
        turned = weight.flip([2, 3]) if flip_weight else weight
        x = F.conv_transpose2d(x, _transposed(turned, groups), stride=up, groups=groups)
        # it has padded by kernel - 1, and left out the last up - 1 zeros
        rest = [p - (kernel - (up if side % 2 else 1)) for side, p in enumerate(around)]
        return upfirdn2d(x, f, padding=rest, flip_filter=flip_filter, gain=up**2)
    weight = weight if flip_weight else weight.flip([2, 3])
    if kernel == 1 and down == 1 and up > 1:  # the convolution first, on fewer pixels
        x = F.conv2d(x, weight, groups=groups)
        return upfirdn2d(x, f, up, padding=around, flip_filter=flip_filter, gain=up**2)
    if up == down == 1 and len(set(around)) == 1 and around[0] >= 0:  # nothing to resample
        return F.conv2d(x, weight, bias, padding=around[0], groups=groups)
    if kernel == 1 and up == 1:  # the filter first, and the convolution on fewer pixels
        x = upfirdn2d(x, f, down=down, padding=around, flip_filter=flip_filter)
        return F.conv2d(x, weight, bias, groups=groups)
    first = f if up > 1 or down > 1 else None
    x = upfirdn2d(x, first, up, padding=around, flip_filter=flip_filter, gain=up**2)
    if up == 1:  # a strided convolution keeps every down-th pixel
        return F.conv2d(x, weight, bias, stride=down, groups=groups)
    x = F.conv2d(x, weight, groups=groups)
    return upfirdn2d(x, f, down=down, flip_filter=flip_filter)


def _transposed(weight: Tensor, groups: int) -> Tensor:
    """(O, I / groups, k, k) as conv_transpose2d wants it: (I, O / groups, k, k)."""
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)


def _resampling_padding(padding: Factor, f: Filter, up: int, down: int) -> list[int]:
    """[x0, x1, y0, y1] before the first filter, such that sizes come out as without one."""
    sizes = filter_size(f)
    around = []
    for side, p in enumerate(paddings(padding)):
        n = sizes[side // 2]
        last = side % 2  # right or bottom
        if up > 1:
            p += (n - up) // 2 if last else (n + up - 1) // 2
        if down > 1:
            p += (n - down) // 2 if last else (n - down + 1) // 2
        around.append(p)
    return around


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | float | None = None,
    up: int = 1,
    down: int = 1,
    padding: Factor = 0,
    f: Filter = None,
    demodulate: bool = True,
    flip_weight: bool = True,
    fused: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Convolution whose weights are scaled per image, then normalised (StyleGAN2, eqs. 1-3).

        w[n, o, i] = W[o, i] s[n, i],   y = conv(x, w) / sqrt(sum over i, k of w^2 + 1e-8) + noise

    Args:
        x: (N, I, H, W).
        weight: (O, I, k, k).
        styles: (N, I).
        noise: added to the result, broadcast.
        fused: scale the kernels (one grouped convolution) instead of the activations: equal up to rounding.
            Activations are the faster choice on CPUs and in training.
        gain: factor of the convolution, not of the noise.

    Others as :func:`conv2d_resample`.
    """
    if gain != 1 and not demodulate:
        weight = weight * gain
    if demodulate and _in_half(x):
        weight, styles = _prenormalised(weight, styles)
    convolve = partial(conv2d_resample, f=f, up=up, down=down, padding=padding, flip_weight=flip_weight)
    if fused:
        kernels = weight[None] * styles[:, None, :, None, None]  # (N, O, I, k, k)
        if demodulate:
            energy = kernels.square().sum(dim=(2, 3, 4), keepdim=True)  # (N, O, 1, 1, 1)
            kernels = kernels * (gain * (energy + 1e-8).rsqrt())
        kernels = kernels.flatten(0, 1).to(x.dtype)  # (N O, I, k, k): one group an image
        y = convolve(x.flatten(0, 1)[None], kernels, groups=len(x))  # (1, N O, H', W')
        y = y.unflatten(1, (len(x), -1))[0]  # (N, O, H', W')
    else:
        scaled = x * styles.to(x.dtype)[:, :, None, None]
        y = convolve(scaled, weight.to(x.dtype))  # (N, O, H', W')
        if demodulate:
            factor = (gain * demodulation(weight, styles)).to(y.dtype)[:, :, None, None]
            if isinstance(noise, Tensor):
                return torch.addcmul(noise, y, factor)
            y = y * factor
    return y if noise is None else y + noise


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """(N, O): 1 / sqrt(sum over i, k of (W s)^2 + 1e-8), without making the scaled kernels."""
    energy = weight.float().square().sum(dim=(2, 3))  # (O, I)
    return (styles.float().square() @ energy.t() + 1e-8).rsqrt()


def _in_half(x: Tensor) -> bool:
    device = x.device.type
    known = torch.amp.is_autocast_available(device)  # not so on the meta device
    if known and torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16:
        return True
    return x.dtype == torch.float16


def _prenormalised(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Kernels and styles of such a size that float16 does not overflow.

    Demodulation takes the factors out again.
    """
    fan_in = weight[0].numel()
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True)  # (O, 1, 1, 1)
    weight = weight / (math.sqrt(fan_in) * largest)
    styles = styles / styles.abs().amax(dim=1, keepdim=True)
    return weight, styles


class EqualLinear(nn.Module):
    """y = act(x (W m / sqrt(inputs))^T + b m): weights are N(0, 1) / m, their scale is applied at run time.

    Args:
        inputs, outputs: widths.
        bias: with one.
        bias_init: its first value (not divided by m).
        activation: see :data:`ACTIVATIONS`.
        lr_multiplier: m; the layer learns so much slower.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        bias_init: float = 0.0,
        activation: str = "linear",
        lr_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        self.activation, self.lr_multiplier = activation, lr_multiplier
        self.gain = lr_multiplier / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias_init))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs), in float32 also where the convolutions are computed in less."""
        bias = None if self.bias is None else self.bias * self.lr_multiplier
        with without_autocast(x.device):
            x = F.linear(x.to(self.weight.dtype), self.weight * self.gain, bias)
            return bias_act(x, act=self.activation)


class EqualConv2d(nn.Module):
    """Convolution with resampling by W / sqrt(inputs k^2), bias, activation and clamp.

    Args:
        inputs, outputs: channels.
        kernel: size k.
        bias: with one.
        activation: see :data:`ACTIVATIONS`.
        up, down: resampling factors.
        resample_filter: taps of the resampling filter.
        clamp: largest magnitude of the result, times the gain; None = any.
        gain: factor of the result, on top of the activation's.
    """

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        bias: bool = True,
        activation: str = "linear",
        up: int = 1,
        down: int = 1,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        clamp: float | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.up = up
        self.down = down
        self.padding = kernel // 2
        self.activation = activation
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.gain = ACTIVATIONS[activation].gain * gain
        self.clamp = None if clamp is None else clamp * gain
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("resample_filter", setup_filter(resample_filter))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, up H / down, up W / down)."""
        before, after = split_gain(self.activation, self.gain)
        bias = None if self.bias is None else self.bias * before
        x = conv2d_resample(
            x,
            self.weight * (self.scale * before),
            self.resample_filter,
            self.up,
            self.down,
            self.padding,
            flip_weight=self.up == 1,
            bias=bias,
        )
        return bias_act(x, act=self.activation, gain=after, clamp=self.clamp)
