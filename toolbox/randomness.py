"""Randomness as a function, not a state: every draw comes from (seed, what it is for, when)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mix(seed: int, *keys: str | int) -> int:
    """A 63-bit seed out of a seed and any names and counts; different keys give unrelated seeds."""
    text = "/".join(str(key) for key in (seed, *keys))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def rng_for(seed: int, *keys: str | int) -> torch.Generator:
    """A fresh CPU generator for these keys."""
    return torch.Generator().manual_seed(mix(seed, *keys))


def seed_globals(seed: int) -> None:
    """Set the global generators of Python, numpy and torch, for whatever draws from them all the same."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (theirs, not ours)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed asks every back end: 0.5 ms an iteration
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def seeded(seed: int, *keys: str | int) -> Iterator[None]:
    """Run a block under its own seed of torch's global generators, and give their state back after it."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(mix(seed, *keys))
        yield


@contextmanager
def globals_kept() -> Iterator[None]:
    """Run a block, and give back the state of the global generators of Python, numpy and torch after it."""
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (given back, not used)
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)  # noqa: NPY002
