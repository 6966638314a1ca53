"""``toolbox klish``: what the paper prints, and the estimate."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toolbox.cli.main import main
from toolbox_klish.cost import MACHINES, estimate
from toolbox_klish.table.published import GENERATORS, published, rows_of


def test_the_published_table() -> None:
    """AMI and MIoU of KLiSH are the highest of every row, as the paper says; ARI is not always."""
    for generator in GENERATORS:
        for clusters, metric in rows_of(generator):
            row = published(generator, clusters, metric)
            assert metric == "ARI" or max(row, key=lambda name: row[name]) == "KLiSH"
    assert published("StyleGAN2-FFHQ", 25, "AMI") == {}


def test_the_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "cost", "--rows", "2000000", "--width", "256", "--gpu", "core"]) == 0
    assert "estimate, not a measurement: 2,000,000 x 256, 100 first clusters, core" in capsys.readouterr().out
    core = estimate(2_000_000, 256, 100, MACHINES["core"], bytes_each=4)
    assert core.memory < 6e9
    once, twice = (estimate(n, 64, 50, MACHINES["core"]) for n in (10**5, 2 * 10**5))
    assert 1.5 < twice.merges / once.merges <= 2 and twice.features == 2 * once.features


@pytest.mark.slow  # as tests/test_imports.py finds of all plugins
def test_listing_commands_imports_no_torch() -> None:
    code = (
        "import sys; from toolbox.cli.main import build_parser; build_parser(['plugins']); "
        "sys.exit('torch' in sys.modules)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60)
    assert done.returncode == 0
