"""What every test gets: no network, one thread, this checkout on the import path, experiment names of its
own.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest
import torch

from toolbox.compat import import_torchvision
from toolbox.source_tree import use_checkout

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")
torch.set_num_threads(1)
use_checkout(Path(__file__).resolve().parent.parent)
import_torchvision()  # before any test module imports open_clip or timm

_counter = itertools.count()


@pytest.fixture
def experiment_name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses: mmengine keeps its message hubs, loggers and visualisers by experiment
    name.
    """
    return f"{re.sub(r'[^0-9a-zA-Z]+', '_', request.node.name)}_{os.getpid()}_{next(_counter)}"
