"""What the tests of the KLiSH plugin share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]


def load_reference(name: str) -> Arrays:
    """One of the reference runs of ``data/``, with float32 features ``X``."""
    with np.load(Path(__file__).parent / "data" / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file}
    if "X" in arrays:
        arrays["X"] = arrays["X"].astype(np.float32)
    return arrays


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Arrays]:
    """:func:`load_reference`."""
    return load_reference


@pytest.fixture(scope="session")
def mixture() -> Arrays:
    """Eight curved clusters in 64 dimensions, 14 k-means clusters of them, and the exact merges."""
    return load_reference("mix64_k14")
