"""How 8-bit images reach the Inception network: four published ways, which give four different FIDs.

Source of the comparison: Parmar et al. 2022, "On aliased resizing and surprising subtleties in GAN
evaluation".
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Resize = Callable[[Tensor, tuple[int, int]], Tensor]


def tf1_bilinear(images: Tensor, size: tuple[int, int]) -> Tensor:
    """TensorFlow 1's bilinear resize: output i looks at i * in/out (no half-pixel offset or antialiasing)."""
    enlarges = size[0] >= images.shape[-2]
    for axis in (-1, -2) if enlarges else (-2, -1):  # columns, the slower to gather, of the fewest rows
        old, length = images.shape[axis], size[axis]
        position = torch.arange(length, device=images.device, dtype=torch.float32) * (old / length)
        low = position.floor().long().clamp(max=old - 1)
        high = (low + 1).clamp(max=old - 1)
        fraction = (position - low).view([-1, 1] if axis == -2 else [-1])
        before, after = images.index_select(axis, low), images.index_select(axis, high)
        images = before + (after - before) * fraction
    return images


def pil_bicubic(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pillow's antialiased bicubic resize on float channels, without rounding; clipped to [0, 255]."""
    from PIL import Image

    resized = []
    for channel in images.flatten(0, 1).cpu().numpy().astype(np.float32):
        picture = Image.fromarray(channel).resize(size[::-1], Image.Resampling.BICUBIC)
        resized.append(np.asarray(picture))
    stacked = torch.from_numpy(np.stack(resized)).clamp(0, 255)
    return stacked.view(*images.shape[:2], *size).to(images.device)


def torch_bilinear(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Half-pixel bilinear resize without antialiasing."""
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def torch_antialiased(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Half-pixel bilinear resize with antialiasing."""
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


# protocol: (resize, offset, scale): the network's input is (v - offset) / scale for v in 0..255
PROTOCOLS: dict[str, tuple[Resize, float, float]] = {
    "tf": (tf1_bilinear, 128.0, 128.0),
    "pytorch_fid": (torch_bilinear, 127.5, 127.5),
    "clean": (pil_bicubic, 128.0, 128.0),
    "torch_aa": (torch_antialiased, 128.0, 128.0),
}


def check_protocol(protocol: str) -> str:
    """``protocol`` itself.

    Raises:
        ValueError: when it is unknown, naming the near match.
    """
    if protocol not in PROTOCOLS:
        near = get_close_matches(protocol, PROTOCOLS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"protocol={protocol!r}: allowed are {', '.join(map(repr, PROTOCOLS))}{hint}")
    return protocol


def preprocess(images: Tensor, protocol: str, size: int = 299) -> Tensor:
    """Input (N, 3, size, size) of the network, about [-1, 1].

    Args:
        images: (N, 3, H, W) uint8.
        protocol: 'tf' (TTUR, torch-fidelity, NVIDIA), 'pytorch_fid', 'clean' (clean-fid) or 'torch_aa'
            (torchmetrics).
        size: side of the network's input.
    """
    resize, offset, scale = PROTOCOLS[check_protocol(protocol)]
    return (resize(images.float(), (size, size)) - offset) / scale
