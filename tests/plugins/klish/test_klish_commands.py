"""``toolbox klish``: the table and the estimate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toolbox.cli.main import main
from toolbox_klish.cost import MACHINES, estimate
from toolbox_klish.published import ALGORITHMS, GENERATORS, published, rows_of
from toolbox_klish.table import METRICS, drawn, read_data, run

SMALL = dict(rows=700, images=4, pixels=60, classes=4)


def test_the_table_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = drawn(**SMALL)
    np.savez(tmp_path / "features.npz", fit=data.fit, test=data.test.reshape(4, 6, 10, -1), truth=data.truth.reshape(4, 6, 10))
    words = ["klish", "table", "--data", str(tmp_path / "features.npz"), "--clusters", "20", "--first", "24", "--seeds", "0", "1",
             "--rows", "150", "--paper", "StyleGAN2-FFHQ", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert text.count("; paper ") == 15 and "| 20 | AMI | 64.8 | 61.9 | 62.9 | 65.2 | 70.6 |" in text
    facts = json.loads((tmp_path / "out" / "table.json").read_text())
    assert facts["seeds"] == [0, 1] and set(facts["protocol"]) == set(METRICS) and facts["C"] == 5000
    assert set(facts["results"]["20"]) == set(ALGORITHMS) and len(facts["results"]["20"]["KLiSH"]["AMI"]) == 2


def test_klish_finds_the_drawn_clusters() -> None:
    found = run(drawn(rows=3000, images=4, pixels=100), [6], 30, [0], 300, dict(filter_sigma=1.0))[6]
    for metric in METRICS:
        assert found["KLiSH"][metric][0] > 95 > 60 > found["K-means"][metric][0]


def test_files_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", fit=np.zeros((5, 2)), test=np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match=r"has no 'truth': it must hold fit \(N, D\)"):
        read_data(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", fit=np.zeros((5, 2)), test=np.zeros((2, 3, 2)), truth=np.zeros((2, 4), dtype=int))
    with pytest.raises(ValueError, match=r"test \(2, 3, 2\) and truth \(2, 4\) do not fit together"):
        read_data(tmp_path / "b.npz")
    assert main(["klish", "table", "--clusters", "30", "--first", "30", "--out", str(tmp_path)]) == 1
    assert "error: clusters=30 must be below first=30" in capsys.readouterr().err


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


def test_listing_commands_imports_no_torch() -> None:
    code = "import sys; from toolbox.cli.main import build_parser; build_parser(['plugins']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, timeout=60).returncode == 0
