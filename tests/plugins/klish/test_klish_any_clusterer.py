"""A clusterer that knows nothing of planes or trees goes through a whole run: fit, pictures, names, table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import read_config
from toolbox_klish.segment import score_maps, segment

PLUGIN = '''
"""Clusters by the first feature alone: what the interface asks for, and nothing else."""
import numpy as np
from toolbox import hookimpl
from toolbox.interfaces import Clusterer


class Slices(Clusterer):
    """Quantiles of one feature.

    Args:
        clusters: how many.
        extra: clusters to find beside those that were asked for.
    """

    def __init__(self, clusters=2, extra=0):
        self.clusters = clusters + extra
        self.weight = "heavy"  # a stranger's own word

    @property
    def n_clusters(self):
        return self.clusters

    def fit(self, features, y=None):
        rows = np.asarray(features, dtype=np.float64)
        shares = (np.arange(self.clusters) + 0.5) / self.clusters
        self.middles = np.quantile(rows[:, -1], shares)
        self.labels_ = self.predict(rows)
        return self

    def scores(self, features):
        return -np.abs(np.asarray(features)[:, -1:] - self.middles)

    def state(self):
        return {"middles": self.middles}

    def load_state(self, state):
        self.middles = np.asarray(state["middles"])
        self.clusters = len(self.middles)
        return self


@hookimpl
def register_components(register):
    register("clusterer", "Slices", "slices_plugin:Slices")
'''
CONFIG = """
command = 'klish fit'
title = 'A clusterer of a stranger'
plugins = [PLUGIN]
generator = dict(
    type='StyleGAN2Generator', image_size=16, latent_dim=8, style_dim=8, channel_base=128, channel_max=8)
features = dict(images=3, size=16)
clusterers = dict(mine=dict(type='Slices'))
shown = [6]
final = 4
truth = dict(type='EmbeddedSegmenter')
pictures = dict(samples=2, pool=3)
device = 'cpu'
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    plugin = folder / "slices_plugin.py"
    plugin.write_text(PLUGIN)
    path = folder / "config.py"
    path.write_text(CONFIG.replace("PLUGIN", repr(str(plugin))))
    return path


@pytest.fixture(scope="module")
def fitted(config: Path) -> Path:
    run = config.parent / "run"
    assert main(["klish", "fit", str(config), "--work-dir", str(run)]) == 0
    return run


def test_its_clusters_are_drawn_and_what_needs_planes_is_left_out_with_a_line(fitted: Path) -> None:
    drawn = {path.stem for path in (fitted / "pictures").glob("*.png")}
    assert drawn == {"clusters", "maps-4", "maps-6"}
    page = (fitted / "report.html").read_text()
    assert "mine keeps no tree of merges and no planes, as KLiSH does" in page
    assert "A clusterer of a stranger" in page


def test_maps_are_its_own_predictions(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbox_klish import segment as module

    monkeypatch.setattr(module, "_ROWS", 100)  # rows are asked about in parts
    run = ClusterRun.open(fitted)
    classifier = run.classifier(4)
    stream = run.stream(2, seed=5)
    rows = np.concatenate([chunk.numpy() for chunk in stream])
    maps = [torch.cat(both) for both in zip(stream.maps(0), stream.maps(1), strict=True)]
    found = segment(classifier, maps, 16)
    assert found.shape == (2, 16, 16) and found.dtype == torch.int64
    np.testing.assert_array_equal(found.ravel(), classifier.predict(rows))
    scored = score_maps(classifier, maps, 16)
    assert scored.shape == (2, 4, 16, 16)
    expected = classifier.scores(rows).reshape(2, 16, 16, 4)
    np.testing.assert_allclose(scored.movedim(1, -1), expected, rtol=1e-6)


def test_its_clusters_take_names(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "name", str(fitted), "--set", "hair=0,3"]) == 0
    assert "3 hair" in capsys.readouterr().out
    run = ClusterRun.open(fitted)
    named = run.named
    rows = next(iter(run.stream(1, seed=5))).numpy()
    np.testing.assert_array_equal(named.predict(rows), run.names.apply(run.classifier().predict(rows)))
    np.testing.assert_array_equal(
        segment(named, run.stream(1, seed=5).maps(0), 16).ravel(), named.predict(rows)
    )


def test_it_has_a_table(fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "table", str(fitted), "--test-images", "2", "--out", str(tmp_path)]) == 0
    assert "| K | metric | mine |" in capsys.readouterr().out
    results = json.loads((tmp_path / "table.json").read_text())["results"]
    assert len(results["4"]["mine"]["AMI"]) == 1


def test_one_fit_cannot_answer_for_all_numbers_without_a_cut(config: Path) -> None:
    words = r"clusterers.mine: Slices has no method cut\(k\).*leave 'clusters' out.*each of \[6, 4\]"
    with pytest.raises(ConfigError, match=words):
        read_config(config, options={"clusterers.mine.clusters": 6})


def test_more_clusters_than_asked_for_are_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--cfg-options", "clusterers.mine.extra=1", "--work-dir", str(tmp_path / "run")]
    assert main(["klish", "fit", str(config), *words]) == 1
    assert "mine was asked for clusters=6 and has found 7" in capsys.readouterr().err
