"""From host to device: everything that goes together goes in one copy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_ALIGNED = 16  # bytes: where a tensor of any type may begin


def to_device(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """The tensors on ``device``; those on the CPU are packed and copied at once, without waiting for it.

    They keep shapes and types; packed ones become contiguous. Nothing is copied that is there already.
    """
    found = [tensor if tensor.device == device else None for tensor in tensors]
    packed = [
        number
        for number, tensor in enumerate(tensors)
        if found[number] is None and tensor.device.type == "cpu"
    ]
    if len(packed) > 1:
        for number, moved in zip(packed, _packed([tensors[n] for n in packed], device), strict=True):
            found[number] = moved
    return [
        tensor.to(device, non_blocking=device.type == "cuda") if moved is None else moved
        for tensor, moved in zip(tensors, found, strict=True)
    ]


def _packed(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """CPU tensors through one buffer, page-locked where that lets the copy run beside other work."""
    starts, end = [], 0
    for tensor in tensors:
        starts.append(end)
        size = tensor.numel() * tensor.element_size()
        end += -(-size // _ALIGNED) * _ALIGNED
    buffer = torch.empty(end, dtype=torch.uint8, pin_memory=device.type == "cuda")
    for tensor, start in zip(tensors, starts, strict=True):
        _window(buffer, start, tensor).copy_(tensor)
    there = buffer.to(device, non_blocking=device.type == "cuda")
    return [_window(there, start, tensor) for tensor, start in zip(tensors, starts, strict=True)]


def _window(buffer: Tensor, start: int, like: Tensor) -> Tensor:
    """The bytes from ``start`` on as a tensor of ``like``'s type and shape."""
    size = like.numel() * like.element_size()
    return buffer[start : start + size].view(like.dtype).view(like.shape)
