"""What every function of feature arrays asks of its input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def as_features(values: ArrayLike, name: str, at_least: int = 2) -> Floats:
    """A float64 array (n, D), finite, n >= ``at_least``.

    Raises:
        ValueError: naming the argument and what is wrong (for a NaN: the row).
    """
    return np.asarray(as_single_or_double(values, name, at_least), dtype=np.float64)


def as_single_or_double(values: ArrayLike, name: str, at_least: int = 2) -> NDArray[Any]:
    """:func:`as_features`, but a float32 array stays one: half the memory of a large set.

    Raises:
        ValueError: naming the argument and what is wrong (for a NaN: the row).
    """
    array = np.asarray(values)
    if array.dtype != np.float32:
        array = array.astype(np.float64, copy=False)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}: expected (n, D), one row for each image")
    if len(array) < at_least:
        raise ValueError(f"{name} has {len(array)} rows: at least {at_least} images are needed")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name}: row {int(bad.argmax())} is not finite ({int(bad.sum())} of {len(array)} rows)"
        )
    return array


def same_width(first: NDArray[Any], second: NDArray[Any], names: tuple[str, str]) -> None:
    """Both sets must come from one extractor."""
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{names[0]} has {first.shape[1]} features and {names[1]} has {second.shape[1]}: "
            f"compute both with the same extractor"
        )


def as_labels(values: Any, name: str) -> Integers:
    """An int64 array (n,) of non-negative labels."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"{name} has shape {array.shape} and type {array.dtype}: expected whole numbers (n,)"
        )
    if len(array) and array.min() < 0:
        raise ValueError(
            f"{name}: label {int(array.min())} in row {int(array.argmin())}: labels count from 0 "
            f"(-1 marks a hidden one: leave those rows out)"
        )
    return array.astype(np.int64)
