"""Masks as pictures: a colour for each part."""

from __future__ import annotations

import colorsys
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PARTS = 256
_FIRST = (
    (0, 0, 0),
    (255, 255, 0),
    (28, 230, 255),
    (255, 52, 255),
    (255, 74, 70),
    (0, 137, 65),
    (0, 111, 166),
)
_GOLDEN = 0.61803398875  # of a turn: hues that follow each other lie far apart


@cache
def part_colours() -> NDArray[np.uint8]:
    """(256, 3) RGB, a colour of each part; part 0, by habit the background, is black."""
    colours = [tuple(colour) for colour in _FIRST]
    for number in range(_PARTS - len(_FIRST)):
        hue, ring = (0.1 + number * _GOLDEN) % 1.0, number % 3
        red, green, blue = colorsys.hsv_to_rgb(hue, (0.55, 0.9, 0.35)[ring], (0.85, 0.6, 1.0)[ring])
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return np.array(colours, dtype=np.uint8)


def picture_of_mask(mask: Tensor) -> Tensor:
    """(..., 3, H, W) float32 in [-1, 1] of masks (..., H, W) of parts 0 to 255."""
    colours = torch.from_numpy(part_colours()).float() / 127.5 - 1
    return colours[mask.cpu().long()].movedim(-1, -3)
