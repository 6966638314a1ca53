"""The transformations of ADA's pipeline, given their parameters: geometry, colours, filters, cutout.

Karras et al.: Training Generative Adversarial Networks with Limited Data, NeurIPS 2020, appendix B.
Everything can be differentiated twice: R1 is a gradient through it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.models.upfirdn import downsample2d, setup_filter, upsample2d

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
LUMA = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)  # the grey axis, homogeneous
BAND_POWER = torch.tensor([10.0, 1.0, 1.0, 1.0]) / 13  # of natural images, 1/f


def matrix(rows: list[list[Tensor | float]]) -> Tensor:
    """(N, r, c) from rows of numbers (N,) and constants."""
    values = [torch.as_tensor(value, dtype=torch.float32) for row in rows for value in row]
    _, *entries = torch.broadcast_tensors(torch.zeros(1), *values)  # each (N,); N = 1 for constants alone
    return torch.stack(entries, dim=-1).unflatten(-1, (len(rows), len(rows[0])))


def translate(x: Tensor | float, y: Tensor | float) -> Tensor:
    """(N, 3, 3), homogeneous."""
    return matrix([[1, 0, x], [0, 1, y], [0, 0, 1]])


def scale(x: Tensor | float, y: Tensor | float) -> Tensor:
    """(N, 3, 3), homogeneous."""
    return matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def rotate(angle: Tensor) -> Tensor:
    """(N, 3, 3), homogeneous."""
    return matrix([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0], [0, 0, 1]])


def shift_colours(b: Tensor) -> Tensor:
    """(N, 4, 4), homogeneous: b added to each colour."""
    return matrix([[1, 0, 0, b], [0, 1, 0, b], [0, 0, 1, b], [0, 0, 0, 1]])


def scale_colours(c: Tensor) -> Tensor:
    """(N, 4, 4), homogeneous."""
    return matrix([[c, 0, 0, 0], [0, c, 0, 0], [0, 0, c, 0], [0, 0, 0, 1]])


def turn_colours(angle: Tensor) -> Tensor:
    """(N, 4, 4): rotation about the grey axis v, R = v v^T (1 - cos) + I cos + [v]_x sin (Rodrigues)."""
    v = LUMA[:3]
    cross = torch.tensor([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    cos = angle.cos()[:, None, None]
    sin = angle.sin()[:, None, None]
    whole = torch.eye(4).repeat(len(angle), 1, 1)
    whole[:, :3, :3] = torch.outer(v, v) * (1 - cos) + torch.eye(3) * cos + cross * sin
    return whole


def resampling(inverse: Tensor, width: int, height: int, taps: int) -> tuple[list[int], Tensor]:
    """What :func:`resample` needs so that output pixel x shows input pixel ``inverse`` x.

    Args:
        inverse: (N, 3, 3) on the CPU, in pixels from the centre.
        width, height: of the images.
        taps: of the low-pass filter.

    Returns:
        Margins [x0, y0, x1, y1], and matrices (N, 2, 3) of its grid, on the CPU.
    """
    pad = taps // 4
    x0, y0, x1, y1 = _margins(inverse, width, height, pad)
    # the matrix of pixels becomes one of the padded, of the doubled, and at last of grid_sample's [-1, 1]
    inverse = translate((x0 - x1) / 2, (y0 - y1) / 2) @ inverse
    inverse = scale(2, 2) @ inverse @ scale(0.5, 0.5)
    inverse = translate(-0.5, -0.5) @ inverse @ translate(0.5, 0.5)  # centres of the finer pixels
    finer = scale(2 / (2 * (width + x0 + x1)), 2 / (2 * (height + y0 + y1)))
    inverse = finer @ inverse @ scale(width + 2 * pad, height + 2 * pad)
    return [x0, y0, x1, y1], inverse[:, :2]


def resample(images: Tensor, margins: list[int], theta: Tensor, lowpass: Tensor) -> Tensor:
    """Images (N, C, H, W) seen at the places of :func:`resampling`, mirrored at the edges by its margins.

    Against aliasing they are up-sampled by 2, resampled bilinearly and down-sampled by 2, both with the
    ``lowpass`` filter (n,).
    """
    n, channels, height, width = images.shape
    pad = len(lowpass) // 4
    x0, y0, x1, y1 = margins
    images = upsample2d(F.pad(images, [x0, x1, y0, y1], mode="reflect"), lowpass)
    shape = [n, channels, (height + 2 * pad) * 2, (width + 2 * pad) * 2]
    images = sample_at(images, F.affine_grid(theta, shape, align_corners=False))
    return downsample2d(images, lowpass, padding=-2 * pad, flip_filter=True)


def sample_at(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear ``grid_sample`` with zeros outside, twice differentiable in the images.

    torch's own is not, in every release; R1 needs it. No gradient reaches the grid.
    """
    sampled: Tensor = _Gather.apply(images, grid)
    return sampled


class _Gather(torch.autograd.Function):
    """y = A x for the sparse matrix A that the grid describes."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(images, grid)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Scatter.apply(gradient, *ctx.saved_tensors), None


class _Scatter(torch.autograd.Function):
    """x = A^T y, whose own gradient is A again."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, like: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(like, grid)
        bilinear = zeros = 0  # torch's numbers of these modes
        wanted = (True, False)  # the gradient of the images alone
        scattered: Tensor
        scattered, _ = torch.ops.aten.grid_sampler_2d_backward(
            values, like, grid, bilinear, zeros, False, wanted
        )
        return scattered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        _, grid = ctx.saved_tensors
        return _Gather.apply(gradient, grid), None, None


def _margins(inverse: Tensor, width: int, height: int, pad: int) -> list[int]:
    """How far beyond its edges [x0, y0, x1, y1] some image is looked at; at most one reflection."""
    cx = (width - 1) / 2
    cy = (height - 1) / 2
    corners = torch.tensor([[-cx, -cy, 1], [cx, -cy, 1], [cx, cy, 1], [-cx, cy, 1]]).t()  # (3, 4)
    x, y = (inverse @ corners)[:, :2].transpose(0, 1).flatten(1)  # each (4 N,)
    reach = torch.stack([(-x).max(), (-y).max(), x.max(), y.max()])  # from the centre
    reach = reach + torch.tensor([2 * pad - cx, 2 * pad - cy] * 2)
    most = torch.tensor([width - 1, height - 1] * 2)
    return [int(value) for value in reach.clamp(min=0).minimum(most).ceil()]


def recolour(images: Tensor, change: Tensor) -> Tensor:
    """Colours of images (N, 3 or 1, H, W) under affine maps (N, 4, 4); grey: the mean over the three rows.

    Raises:
        ValueError: for another number of channels.
    """
    change = change.to(images)
    if images.shape[1] == 3:
        turned = torch.einsum("nij,njhw->nihw", change[:, :3, :3], images)
        return turned + change[:, :3, 3, None, None]
    if images.shape[1] == 1:
        mean = change[:, :3].mean(dim=1)  # (N, 4)
        gain = mean[:, :3].sum(dim=1)
        return images * gain[:, None, None, None] + mean[:, 3, None, None, None]
    raise ValueError(f"images have {images.shape[1]} channels; colours of 3 (RGB) or 1 (grey) can be changed")


def filter_images(images: Tensor, filters: Tensor) -> Tensor:
    """Each image (N, C, H, W) under its own filter (N, n), along both axes, mirrored at the edges.

    Raises:
        ValueError: for images that are smaller than half the filter.
    """
    n, channels, height, width = images.shape
    length = filters.shape[1]
    half = length // 2
    if min(height, width) <= half:
        raise ValueError(
            f"images of {height}x{width} pixels are too small for 'imgfilter', whose {length} taps need more "
            f"than {half}: leave it out (pipeline='bgc')"
        )
    # images and channels are channels of one convolution, each a group with a kernel of its own
    kernels = filters.to(images).repeat_interleave(channels, dim=0)  # (N C, n)
    x = F.pad(images, [half] * 4, mode="reflect").flatten(0, 1)[None]  # (1, N C, H', W')
    x = F.conv2d(x, kernels[:, None, None, :], groups=n * channels)
    x = F.conv2d(x, kernels[:, None, :, None], groups=n * channels)  # (1, N C, H, W)
    return x[0].unflatten(0, (n, channels))


def cut(images: Tensor, size: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Zeros in a rectangle of each image, centred at x, y (N,), with sides ``size`` (N,).

    All three in shares of the image.
    """
    height, width = images.shape[2:]
    columns = (torch.arange(width, device=x.device) + 0.5) / width  # centres of pixels
    rows = (torch.arange(height, device=x.device) + 0.5) / height
    kept_columns = (columns - x[:, None]).abs() >= size[:, None] / 2  # (N, W)
    kept_rows = (rows - y[:, None]).abs() >= size[:, None] / 2  # (N, H)
    return images * (kept_columns[:, None, None, :] | kept_rows[:, None, :, None]).to(images)


def lowpass_filter() -> Tensor:
    """(12,): the low-pass filter of the sym6 wavelet."""
    return setup_filter(SYM6)


def filter_bank() -> Tensor:
    """(4, 43): four octaves of the sym2 wavelet; together they are an impulse."""
    low = np.array(SYM2)
    high = low * (-1.0) ** np.arange(4)
    low, high = (np.convolve(h, h[::-1]) / 2 for h in (low, high))
    bank = np.eye(4, 1)
    for band in range(1, 4):
        finer = np.zeros((4, 2 * bank.shape[1] - 1))
        finer[:, ::2] = bank
        bank = np.stack([np.convolve(row, low) for row in finer])
        middle = bank.shape[1] // 2
        bank[band, middle - 3 : middle + 4] += high
    return torch.from_numpy(bank).float()
