"""``KLiSH(drop_place=...)``: beside the paper's algorithm, which stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import toolbox
from toolbox.features import feature_stream
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.algorithm.place import DIRECTIONS, place_code, place_directions
from toolbox_klish.runs.fitting import fit
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.why.samples import Size, drawn_wall

SMALL = Size(images=6, pixels=400, test_images=1)


def test_without_it_nothing_changes(mixture: dict[str, np.ndarray]) -> None:
    """Places that are given anyway are not looked at."""
    places = np.zeros((len(mixture["X"]), 2))
    plain = KLiSH(6, seed=0).fit(mixture["X"])
    given = KLiSH(6, seed=0, drop_place=None).fit(mixture["X"], places=places)
    for name, value in plain.state().items():
        assert np.array_equal(value, given.state()[name], equal_nan=True), name
    assert np.array_equal(plain.labels_, given.labels_)


def test_the_directions_are_those_of_place() -> None:
    """In drawn features place has six directions: what is left of a row says nothing of its place."""
    sample = drawn_wall(2.0, 0, SMALL)
    blocks, places = FeatureBlocks(sample.fit), torch.from_numpy(sample.place)
    found = place_directions(blocks, places, torch.from_numpy(sample.parts), len(sample.part_names), 6)
    assert torch.allclose(found.T @ found, torch.eye(6, dtype=torch.float64), atol=1e-9)
    left = torch.from_numpy(sample.fit).double()
    left = (left - left @ found @ found.T)[torch.from_numpy(sample.parts) == 0]
    code = place_code(places)[torch.from_numpy(sample.parts) == 0]
    left, code = left - left.mean(dim=0), code - code.mean(dim=0)
    explained = code @ torch.linalg.lstsq(code, left).solution
    assert explained.square().sum() / left.square().sum() < 0.02
    assert place_code(places).shape[1] == DIRECTIONS


def test_planes_do_not_look_at_place() -> None:
    """Features as they are, and without their part in the directions, are scored alike."""
    sample = drawn_wall(2.0, 0, SMALL)
    model = KLiSH(12, seed=0, drop_place=6, filter_sigma=None).fit(sample.fit, places=sample.place)
    again = KLiSH(12, seed=0, drop_place=6, filter_sigma=None).fit(sample.fit, places=sample.place)
    assert np.array_equal(model.state()["weight"], again.state()["weight"])
    weight = model.cut(7).weight
    assert np.linalg.matrix_rank(model.state()["weight"], tol=1e-4 * np.abs(weight).max()) <= 32 - 6


def test_chunks_and_a_checkpoint_give_the_same_tree(tmp_path: Path) -> None:
    sample = drawn_wall(2.0, 0, SMALL)
    settings = dict(clusters=8, seed=0, drop_place=6)
    whole = KLiSH(**settings).fit(sample.fit, places=sample.place)
    file = tmp_path / "fit.npz"
    KLiSH(**settings).fit(sample.fit, places=sample.place, checkpoint=file)
    resumed = KLiSH(**settings).fit(sample.fit, places=sample.place, checkpoint=file)
    assert np.array_equal(whole.state()["weight"], resumed.state()["weight"])
    with pytest.raises(ValueError, match="drop_place was 6, and is 5"):
        KLiSH(clusters=8, seed=0, drop_place=5).fit(sample.fit, places=sample.place, checkpoint=file)


def test_what_does_not_fit_is_refused() -> None:
    X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="drop_place=14"):
        KLiSH(4, drop_place=14)
    with pytest.raises(ValueError, match="needs the place of each row"):
        KLiSH(4, drop_place=1).fit(X)
    with pytest.raises(ValueError, match=r"expected \(40, 2\)"):
        KLiSH(4, drop_place=1).fit(X, places=np.zeros((39, 2)))
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]"):
        KLiSH(4, drop_place=1).fit(X, places=np.full((40, 2), 2.0))


def test_a_stream_says_where_its_rows_lie() -> None:
    generator = toolbox.build(dict(type="PGGANGenerator", image_size=8, channel_max=8, latent_dim=8)).eval()
    every = feature_stream(generator, 2, size=4)
    some = feature_stream(generator, 2, size=4, pixels=3)
    assert every.places().shape == (32, 2) and some.places().shape == (6, 2)
    assert every.places()[:2].tolist() == [[-1.0, -1.0], [pytest.approx(-1 / 3), -1.0]]
    where = {
        tuple(place): row for place, row in zip(every.places().tolist(), torch.cat(list(every)), strict=False)
    }
    first = torch.cat(list(every))[:16]
    places = [tuple(place) for place in every.places()[:16].tolist()]
    for place, row in zip(some.places()[:3].tolist(), torch.cat(list(some))[:3], strict=True):
        assert torch.allclose(first[places.index(tuple(place))], row, atol=1e-6)
    assert len(where) == 16


def test_a_run_knows_where_its_pixels_lie(tmp_path: Path) -> None:
    """Some random pixels of each image, or all: the fit is that of the stream's own rows and places."""
    config = tmp_path / "small.py"
    config.write_text(
        "command = 'klish fit'\n"
        "generator = dict(type='PGGANGenerator', image_size=8, channel_max=8, latent_dim=8)\n"
        "features = dict(images=4, size=8, pixels=40)\n"
        "clusterers = dict(klish=dict(type='KLiSH', clusters=5, drop_place=2))\n"
        "final = 3\ndevice = 'cpu'\n"
    )
    run = ClusterRun.open(fit(config, tmp_path / "run", pictures=False))
    stream = run.stream(seed=0)
    rows = torch.cat(list(stream)).numpy()
    expected = KLiSH(clusters=5, drop_place=2, seed=0, device="cpu").fit(rows, places=stream.places())
    assert np.array_equal(run.model().state()["weight"], expected.state()["weight"])
