"""Up-sample, FIR-filter, down-sample, in plain PyTorch: under StyleGAN2's convolutions and ADA's geometry.

Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020 (StyleGAN2). The conventions
(order of paddings, where zeros go, what the gain multiplies) are those of its published networks, so that
their weights mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Filter = Tensor | None
Factor = int | Sequence[int]


def setup_filter(
    taps: float | Sequence[float] | Sequence[Sequence[float]] | Tensor | None,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1.0,
    separable: bool | None = None,
) -> Tensor:
    """A float32 filter for :func:`upfirdn2d`: (h, w), or (n,) to be applied along both axes.

    Args:
        taps: a number, n taps, or (h, w) taps; None = the identity.
        normalize: divide by the sum, so that constants stay.
        flip_filter: turn it round.
        gain: factor of what passes.
        separable: keep n taps as (n,); None = from 8 taps on, where two passes are cheaper than the outer
            product.

    Raises:
        ValueError: for an empty filter or more than two axes.
    """
    f = torch.as_tensor(1.0 if taps is None else taps, dtype=torch.float32)
    if f.ndim > 2 or not f.numel():
        raise ValueError(f"a filter has 1 tap, n taps or (h, w) taps, got shape {tuple(f.shape)}")
    if f.ndim == 0:
        f = f[None]
    if separable is None:
        separable = len(f) >= 8
    if f.ndim == 1 and not separable:
        f = f.outer(f)
    if normalize:
        f = f / f.sum()
    if flip_filter:
        f = f.flip(list(range(f.ndim)))
    return f * gain ** (f.ndim / 2)  # (n,) is applied twice: each time the square root


def upfirdn2d(
    x: Tensor,
    f: Filter,
    up: Factor = 1,
    down: Factor = 1,
    padding: Factor = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Each channel: zeros after each pixel, padding, convolution, every ``down``-th pixel.

    Args:
        x: (N, C, H, W).
        f: of :func:`setup_filter`; None = the identity.
        up, down: a factor, or [x, y].
        padding: of the up-sampled image: p, [x, y] or [x0, x1, y0, y1]; negative = crop.
        flip_filter: correlate instead of convolving.
        gain: factor of the filter.

    Returns:
        (N, C, H', W') with H' = (H up + y0 + y1 - h) // down + 1 for h taps.

    Raises:
        ValueError: for factors below 1, or a result without pixels.
    """
    up_x, up_y = _factors(up, "up")
    down_x, down_y = _factors(down, "down")
    x0, x1, y0, y1 = paddings(padding)
    rows, columns = _passes(f, x)
    height = rows.shape[0] * columns.shape[0]
    width = rows.shape[1] * columns.shape[1]
    _check_size(x, (up_x, up_y), (x0, x1, y0, y1), (width, height))
    if f is None or f.ndim == 2:
        return _apply(x, rows * gain, (up_x, up_y), (down_x, down_y), (x0, x1, y0, y1), flip_filter)
    root = math.sqrt(gain)  # of each of two passes
    x = _apply(x, columns * root, (up_x, 1), (down_x, 1), (x0, x1, 0, 0), flip_filter)
    return _apply(x, rows * root, (1, up_y), (1, down_y), (0, 0, y0, y1), flip_filter)


def filter2d(
    x: Tensor, f: Filter, padding: Factor = 0, flip_filter: bool = False, gain: float = 1.0
) -> Tensor:
    """Filter (N, C, H, W) and keep its size (``padding`` is added to what that takes)."""
    w, h = filter_size(f)
    around = [w // 2, (w - 1) // 2, h // 2, (h - 1) // 2]
    return upfirdn2d(x, f, padding=_add(around, padding), flip_filter=flip_filter, gain=gain)


def upsample2d(
    x: Tensor, f: Filter, up: Factor = 2, padding: Factor = 0, flip_filter: bool = False, gain: float = 1.0
) -> Tensor:
    """(N, C, H, W) -> (N, C, up H, up W); constants stay constant."""
    up_x, up_y = _factors(up, "up")
    w, h = filter_size(f)
    around = [(w + up_x - 1) // 2, (w - up_x) // 2, (h + up_y - 1) // 2, (h - up_y) // 2]
    gain = gain * up_x * up_y  # makes up for the inserted zeros
    return upfirdn2d(x, f, up=up, padding=_add(around, padding), flip_filter=flip_filter, gain=gain)


def downsample2d(
    x: Tensor, f: Filter, down: Factor = 2, padding: Factor = 0, flip_filter: bool = False, gain: float = 1.0
) -> Tensor:
    """(N, C, H, W) -> (N, C, H / down, W / down)."""
    down_x, down_y = _factors(down, "down")
    w, h = filter_size(f)
    around = [(w - down_x + 1) // 2, (w - down_x) // 2, (h - down_y + 1) // 2, (h - down_y) // 2]
    return upfirdn2d(x, f, down=down, padding=_add(around, padding), flip_filter=flip_filter, gain=gain)


def filter_size(f: Filter) -> tuple[int, int]:
    """(width, height) of a filter in pixels."""
    return (1, 1) if f is None else (f.shape[-1], f.shape[0])


def paddings(padding: Factor) -> list[int]:
    """[x0, x1, y0, y1] of p, [x, y] or [x0, x1, y0, y1].

    Raises:
        ValueError: for another number of values.
    """
    values = [padding] * 4 if isinstance(padding, int) else [int(value) for value in padding]
    if len(values) not in (2, 4):
        raise ValueError(f"padding={padding!r} must be p, [x, y] or [x0, x1, y0, y1]")
    return values if len(values) == 4 else [values[0], values[0], values[1], values[1]]


def _apply(
    x: Tensor,
    kernel: Tensor,
    up: tuple[int, int],
    down: tuple[int, int],
    around: Sequence[int],
    flip_filter: bool,
) -> Tensor:
    """One depthwise pass. Up-sampling is a strided transposed convolution: it multiplies no inserted zero."""
    h, w = kernel.shape
    x0, x1, y0, y1 = around
    if up == (1, 1):
        kernel = kernel if flip_filter else kernel.flip([0, 1])  # torch's conv2d correlates
        if x0 == x1 >= 0 and y0 == y1 >= 0:  # the convolution's own padding copies nothing
            return _depthwise(x, kernel, _Call((down[1], down[0]), (y0, x0)))
        return _depthwise(_pad(x, [x0, x1, y0, y1]), kernel, _Call((down[1], down[0])))
    kernel = kernel.flip([0, 1]) if flip_filter else kernel
    # it pads the zero-filled image by the kernel's size - 1, and leaves out the last up - 1 zeros
    cut = [w - 1 - x0, w - up[0] - x1, h - 1 - y0, h - up[1] - y1]
    more = (cut[2] - cut[3], cut[0] - cut[1])  # rows and columns that it has to keep at the end
    if min(cut) >= 0 and 0 <= more[0] < up[1] and 0 <= more[1] < up[0]:
        x = _depthwise(x, kernel, _Call((up[1], up[0]), (cut[2], cut[0]), more, transposed=True))
    else:
        x = _depthwise(x, kernel, _Call((up[1], up[0]), transposed=True))
        x = _pad(x, [-side for side in cut])
    return x if down == (1, 1) else x[:, :, :: down[1], :: down[0]]


class _Call(NamedTuple):
    """How a convolution is called: (rows, columns) each."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    transposed: bool = False


def _depthwise(x: Tensor, kernel: Tensor, call: _Call) -> Tensor:
    filtered: Tensor = _Depthwise.apply(x, kernel, call)
    return filtered


class _Depthwise(torch.autograd.Function):
    """y = A x, every channel under one constant kernel; its gradient is A^T, whose own is A again.

    torch's second derivative of a depthwise convolution runs channel by channel.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, call: _Call) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.call, ctx.shape = call, x.shape[2:]
        channels = x.shape[1]
        weight = kernel.to(x.dtype).expand(channels, 1, *kernel.shape)
        if not call.transposed:
            return F.conv2d(x, weight, None, call.stride, call.padding, groups=channels)
        return F.conv_transpose2d(
            x, weight, None, call.stride, call.padding, call.output_padding, groups=channels
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kernel,) = ctx.saved_tensors
        stride, padding, _, transposed = ctx.call
        rest = [0, 0]
        if not transposed:  # what the stride left over comes back
            around = zip(ctx.shape, padding, kernel.shape, stride, strict=True)
            rest = [(size + 2 * p - taps) % step for size, p, taps, step in around]
        back = _Call(stride, padding, (rest[0], rest[1]), not transposed)
        return _depthwise(gradient, kernel, back), None, None


def _pad(x: Tensor, around: list[int]) -> Tensor:
    return F.pad(x, around) if any(around) else x


def _passes(f: Filter, x: Tensor) -> tuple[Tensor, Tensor]:
    """(vertical or whole kernel, horizontal kernel), each (h, w), of a type with ``x``."""
    if f is None:
        one = x.new_ones(1, 1)
        return one, one
    f = f.to(x)
    return (f, f.new_ones(1, 1)) if f.ndim == 2 else (f[:, None], f[None])


def _factors(value: Factor, name: str) -> tuple[int, int]:
    x, y = (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
    if x < 1 or y < 1:
        raise ValueError(f"{name}={value!r} must be 1 or more")
    return x, y


def _add(around: Sequence[int], padding: Factor) -> list[int]:
    return [a + b for a, b in zip(around, paddings(padding), strict=True)]


def _check_size(
    x: Tensor, up: tuple[int, int], around: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    """``size``: (width, height) of the filter."""
    width = x.shape[3] * up[0] + around[0] + around[1]
    height = x.shape[2] * up[1] + around[2] + around[3]
    if width < size[0] or height < size[1]:
        raise ValueError(
            f"an image of {x.shape[3]}x{x.shape[2]} pixels is {width}x{height} after up-sampling and "
            f"padding: smaller than the filter, {size[0]}x{size[1]}"
        )
