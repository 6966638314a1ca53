"""Sums that come out the same in whatever order their terms are added: two float64 numbers a sum, some 106
bits.

Several processes add the terms of a sum in another order than one does. With 53 bits the results would differ
in the last digits; here the order moves them by about 1e-32 of the sum, and both round to the same float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS = 64  # of a matrix at a time: what is added stays in the processor's cache
_SPLIT = 2.0**33 + 1  # leaves 20 bits above, so that a product of two, times a count below 2^13, is exact


class ExactSum:
    """A running sum of float64 tensors of one shape, as ``high + low``.

    Args:
        shape: of the terms.

    Attributes:
        parts: (2, *shape) float64: high and low.
    """

    def __init__(self, *shape: int) -> None:
        self.parts = torch.zeros(2, *shape, dtype=torch.float64)

    def add(self, *terms: Tensor) -> None:
        """Add tensors of the shape, each exactly: the rounding error of ``high`` goes into ``low`` (Knuth's
        TwoSum).
        """
        for term in terms:
            for high, low, value in zip(
                self.parts[0].split(_ROWS), self.parts[1].split(_ROWS), term.split(_ROWS), strict=True
            ):
                total, error = two_sum(high, value)
                high.copy_(total)
                low += error

    def merge(self, parts: Tensor) -> None:
        """Add the ``parts`` of another sum."""
        self.add(parts[0])
        self.parts[1] += parts[1]

    @property
    def settled(self) -> tuple[Tensor, Tensor]:
        """(high, low) with high = the sum rounded to float64: the same whatever the order of the
        terms was.
        """
        return two_sum(self.parts[0], self.parts[1])


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """fl(a + b) and its rounding error: their sum is a + b exactly (Knuth, The Art of Computer Programming 2,
    4.2.2).
    """
    total = a + b
    of_b = total - a
    error = (a - (total - of_b)).add_(b - of_b)
    return total, error


def split(value: Tensor) -> tuple[Tensor, Tensor]:
    """value = upper + lower exactly, with 20 and 33 bits (Dekker 1971)."""
    scaled = value * _SPLIT
    upper = scaled - (scaled - value)
    return upper, value - upper
