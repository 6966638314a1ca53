"""K-means, KASP and AHC: against scikit-learn, their cuts, bad input; features on the disk."""

from __future__ import annotations

import warnings
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score

from toolbox.registry import BuildError, build
from toolbox_klish.algorithm.kmeans import lloyd
from toolbox_klish.baselines import check_memory, cut_tree
from toolbox_klish.softmax import mean_planes, train_softmax
from toolbox_klish.storage import save_features
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.toy import curved_clusters


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return curved_clusters(rows=400, width=8, classes=4, seed=0)[0]


def test_lloyd_is_that_of_scikit_learn(features: np.ndarray) -> None:
    start = features[:6].astype(np.float64)
    model = KMeans(6, init=start, n_init=1, max_iter=300, tol=0, algorithm="lloyd")
    theirs = model.fit(features.astype(np.float64))
    ours = lloyd(FeatureBlocks(features, "float64"), torch.from_numpy(start), steps=300, tolerance=1e-12)
    np.testing.assert_allclose(ours, theirs.cluster_centers_, atol=1e-8)


def test_a_centre_without_rows_stays() -> None:
    X = np.concatenate([np.zeros((5, 2)), np.ones((5, 2))])
    start = torch.tensor([[0.0, 0], [1, 1], [50, 50]], dtype=torch.float64)
    centres = lloyd(FeatureBlocks(X, "float64"), start)
    assert centres.tolist() == [[0, 0], [1, 1], [50, 50]]


@pytest.mark.parametrize("linkage", ["ward", "arccos"])
def test_cuts_of_the_tree_are_those_of_scikit_learn(features: np.ndarray, linkage: str) -> None:
    model = build(dict(type="AHC", clusters=5, linkage=linkage, classifier_steps=5)).fit(features)
    ways: dict[str, Any] = dict(linkage="ward")
    if linkage == "arccos":
        ways = dict(linkage="average", metric="cosine")
    for k in (1, 2, 5, 30):
        theirs = AgglomerativeClustering(n_clusters=k, **ways).fit_predict(features)
        assert adjusted_rand_score(theirs, cut_tree(model.children_, k)) == 1


def test_the_classifier_of_ahc_repeats_its_clusters() -> None:
    X = np.random.default_rng(0).standard_normal((300, 5)) * 0.2
    truth = np.arange(300) % 3
    X[np.arange(300), truth] += 3
    model = build(dict(type="AHC", clusters=3)).fit(X)
    assert adjusted_rand_score(truth, model.labels_) == 1
    assert not build(dict(type="AHC", clusters=3, linkage="arccos")).fit(X).cut(3).bias_.any()


def test_planes_through_class_means() -> None:
    features = torch.tensor([[2.0, 0], [4, 0], [0, 1]])
    labels = torch.tensor([0, 0, 1])
    weight, bias = mean_planes(features, labels)
    torch.testing.assert_close(weight, torch.eye(2))
    torch.testing.assert_close(bias, torch.tensor([(-4.5 + 2.5) / 3, -0.5 + 2.5]))
    planes = train_softmax(features, labels, biased=False, steps=3)
    assert not planes.bias.any() and float((planes.weight - weight).abs().max()) <= 3e-3 + 1e-6
    with torch.no_grad():  # as a game prepares its conditioner
        again = train_softmax(features, labels, biased=False, steps=3)
    assert torch.equal(again.weight, planes.weight)


def test_kasp_groups_the_centres_of_kmeans(features: np.ndarray) -> None:
    model = build(dict(type="KASP", clusters=4, centres=20)).fit(features)
    first = build(dict(type="LloydKMeans", clusters=20)).fit(features).labels_
    pairs = {*zip(first.tolist(), model.labels_.tolist(), strict=True)}
    assert len(pairs) == 20 and len(np.unique(model.labels_)) == 4
    np.testing.assert_array_equal(model.predict(features), model.labels_)
    assert model.cut(7).predict(features).max() == 6


Usage = namedtuple("Usage", "total used free")


def test_features_on_the_disk(features: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "features.npy"
    stored = save_features(file, np.array_split(features, 3), 400, 8, "float16")
    assert isinstance(stored, np.memmap) and stored.dtype == np.float16
    np.testing.assert_array_equal(stored, features.astype(np.float16))
    before = file.read_bytes()
    with pytest.raises(ValueError, match="the chunks had 400 rows, rows=401 were announced"):
        save_features(file, [features], 401, 8)
    with pytest.raises(ValueError, match=r"a chunk of shape \(400, 8\) does not fit at row 0 of \(399, 8\)"):
        save_features(file, [features], 399, 8)
    with pytest.raises(ValueError, match="beyond 65504: float16 cannot hold them; use float32"):
        save_features(file, [features * 1e5], 400, 8, "float16")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(2**31, 2**31 - 2**30, 2**30))
    words = r"50,000,000 x 8 features of float32 need 1.5 GiB, .* has 1.0 GiB free: take fewer images"
    with pytest.raises(OSError, match=words):
        save_features(file, [features], 50_000_000, 8)
    assert [entry.name for entry in file.parent.iterdir()] == ["features.npy"] and file.read_bytes() == before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(type="KASP", clusters=20, centres=20), "clusters=20 must be below centres=20"),
        (dict(type="KASP", clusters=2, centres=5, neighbours=5), r"neighbours=5 must lie in 1..4"),
        (dict(type="AHC", linkage="wrad"), "linkage='wrad' is unknown.*ward"),
        (dict(type="AHC", clusters=10, rows=9), "rows=9 cannot make clusters=10"),
        (dict(type="LloydKMeans", metric="cosine"), "metric='cosine' is unknown.*arccos"),
        (dict(type="LloydKMeans", clusters=-1), "clusters=-1 must be a whole number of 1 or more"),
    ],
)
def test_arguments_that_make_no_sense(config: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        build(config)


def test_what_cannot_be_answered(features: np.ndarray) -> None:
    def refused(message: str, act: Callable[[], Any]) -> None:
        with pytest.raises(ValueError, match=message):
            act()

    kmeans, kasp, ahc = (build(dict(type=name, clusters=3)) for name in ("LloydKMeans", "KASP", "AHC"))
    refused("LloydKMeans has found no clusters yet", lambda: kmeans.predict(features))
    large = build(dict(type="KASP", centres=500))
    refused("400 rows of features cannot make centres=500", lambda: large.fit(features))
    kmeans.fit(features)
    refused("k-means was fitted with clusters=3 and knows no other number", lambda: kmeans.cut(4))
    kasp.fit(features)
    refused("100 centres make 1 to 99 groups", lambda: kasp.cut(100))
    ahc.fit(features)
    refused("a tree over 400 rows has 1 to 400 clusters", lambda: ahc.cut(401))
    restored = build(dict(type="AHC", clusters=3)).load_state(ahc.state())
    refused("after load_state only k=", lambda: restored.cut(4))
    refused(r"rows=\d+ need .* GiB for their distances", lambda: check_memory(10**8))


def test_no_warning_reaches_the_user(features: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(dict(type="KASP", clusters=4, centres=20)).fit(features)
        build(dict(type="AHC", clusters=4, classifier_steps=2)).fit(features)
