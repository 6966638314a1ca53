"""What every test gets: no network, one thread, this source tree on the import path, seeded random numbers,
experiment names of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch

from toolbox.compat import import_torchvision
from toolbox.source_tree import use_source_tree

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault(
    "TOOLBOX_TEST_SALT", "0"
)  # other salts draw other numbers; handed on to child processes
torch.set_num_threads(1)
use_source_tree(Path(__file__).resolve().parent.parent)
import_torchvision()  # before any test module imports open_clip or timm

_counter = itertools.count()


def seed_of(name: str) -> int:
    """A seed below 2^32 that depends on the name and the salt, and on nothing else."""
    text = f"{os.environ['TOOLBOX_TEST_SALT']} {name}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def seed_global_generators(name: str) -> None:
    """Python's, numpy's and torch's; the toolbox draws from generators of its own."""
    random.seed(seed_of(name))
    np.random.seed(seed_of(name))  # noqa: NPY002 (the global generator is what is meant)
    torch.manual_seed(seed_of(name))


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    """What a test draws from global generators depends on its name, not on the tests before it."""
    seed_global_generators(request.node.nodeid)


class WiderFixtures:
    """A plugin of its own, since the hooks of a conftest.py are not called for session fixtures."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """What a fixture of a wider scope draws depends on its name, whichever test asks for it first."""
        if fixturedef.scope == "function":
            return (yield)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        seed_global_generators(f"{request.node.nodeid} {fixturedef.argname} {request.param_index}")
        try:
            return (yield)
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
            torch.set_rng_state(before[2])


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(WiderFixtures())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hypothesis draws its examples by the salt, too."""
    for item in items:
        function = getattr(item, "function", None)
        if getattr(function, "is_hypothesis_test", False):
            hypothesis.seed(seed_of(item.nodeid.partition("[")[0]))(function)


@pytest.fixture
def experiment_name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses: mmengine keeps its message hubs, loggers and visualisers by experiment
    name.
    """
    return f"{re.sub(r'[^0-9a-zA-Z]+', '_', request.node.name)}_{os.getpid()}_{next(_counter)}"
