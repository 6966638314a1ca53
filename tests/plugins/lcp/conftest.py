"""What the tests of the LCP plugin share."""

from __future__ import annotations

import numpy as np
import pytest


def make_mixture(modes: int, each: int = 60, width: int = 32, spread: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative features (modes * each, width) around ``modes`` centres, and the mode of each."""
    rng = np.random.default_rng(seed)
    centres = np.abs(rng.standard_normal((modes, width))) + 0.5
    mode = np.repeat(np.arange(modes), each)
    return np.abs(centres[mode] + spread * rng.standard_normal((len(mode), width))), mode


def compute_purity(found: np.ndarray, mode: np.ndarray) -> float:
    """Share of samples in the majority mode of their cluster."""
    return sum(np.bincount(mode[found == cluster]).max() for cluster in np.unique(found)) / len(mode)


@pytest.fixture
def mixture():
    """:func:`make_mixture`."""
    return make_mixture


@pytest.fixture
def purity():
    """:func:`compute_purity`."""
    return compute_purity
