"""KLiSH: what must not change the result, streams, stopping, the record, bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import toolbox_klish
from toolbox import testing
from toolbox.plugins import host
from toolbox.registry import BuildError, build
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.newton import NotConverged
from toolbox_klish.svm.planes import Planes
from toolbox_klish.svm.working_set import train
from toolbox_klish.toy import curved_clusters
from toolbox_lcp.intra_class import IntraClassClusters
from toolbox_lcp.layout import ClusterLayout

Arrays = dict[str, np.ndarray]
CLUSTERERS = [
    dict(type="KLiSH", clusters=3),
    dict(type="KLiSH", clusters=3, first=6, filter_sigma=None, precision="float64"),
    dict(type="KLiSH", clusters=5, stop_iou=0.99, solver="joint", bias=False, metric="arccos"),
    dict(type="KLiSH", clusters=1),
    dict(type="LloydKMeans", clusters=3),
    dict(type="LloydKMeans", clusters=3, metric="arccos", restarts=2),
    dict(type="KASP", clusters=3, centres=9),
    dict(type="AHC", clusters=3, classifier_steps=50),
    dict(type="AHC", clusters=3, linkage="arccos", classifier_steps=50),
]


class Chunks:
    """Chunks that can be read again and again, as a memory map or a generator network gives them."""

    def __init__(self, features: np.ndarray, size: int) -> None:
        self.features = features
        self.size = size

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.features[i : i + self.size] for i in range(0, len(self.features), self.size))


@pytest.fixture(scope="module")
def small() -> tuple[np.ndarray, np.ndarray]:
    """900 x 12 in five curved clusters."""
    return curved_clusters(rows=900, width=12, classes=5, seed=1)


def merged(X: Any, **changes: Any) -> KLiSH:
    settings = dict(clusters=9, C=100.0, filter_sigma=None, precision="float64")
    return KLiSH(**{**settings, **changes}).fit(X)


@pytest.fixture(scope="module")
def tree(small: tuple[np.ndarray, np.ndarray]) -> KLiSH:
    """Of the small features, as an array."""
    return merged(small[0])


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = {*zip(one.tolist(), other.tolist(), strict=True)}
    return len(pairs) == len({*one.tolist()}) == len({*other.tolist()})


@pytest.mark.parametrize("config", CLUSTERERS, ids=lambda config: "-".join(map(str, config.values())))
def test_every_clusterer_keeps_the_contract(config: dict[str, Any]) -> None:
    testing.check_clusterer(build(config))


def test_the_plugin_keeps_the_contract_and_all_its_clusterers_are_checked() -> None:
    assert testing.check_plugin("toolbox_klish").paper
    entries = host().catalog.entries("clusterer")
    ours = {entry.name for entry in entries if entry.plugin == toolbox_klish.plugin_info()["name"]}
    assert ours == {config["type"] for config in CLUSTERERS}


def test_training_one_class_equals_training_all(mixture: Arrays) -> None:
    blocks = FeatureBlocks(mixture["X"], "float64")
    labels = torch.from_numpy(mixture["labels0"].astype(np.int64))
    start = Planes(torch.zeros(14, 64), torch.zeros(14))
    everyone, _ = train(blocks, labels, list(range(14)), start, C=5000.0)
    alone, _ = train(blocks, labels, [3], start[[3]], C=5000.0)
    np.testing.assert_allclose(alone.weight[0], everyone.weight[3], atol=1e-10)


def test_order_of_rows_and_names_of_clusters_do_not_matter(small: tuple[np.ndarray, np.ndarray]) -> None:
    X = small[0]
    rng = np.random.default_rng(0)
    first = build(dict(type="LloydKMeans", clusters=9)).fit(X).labels_
    reference = KLiSH(clusters=9, C=100.0, filter_sigma=None).fit(X, initial=first)
    rows, names = rng.permutation(len(X)), rng.permutation(9)
    other = KLiSH(clusters=9, C=100.0, filter_sigma=None).fit(X[rows], initial=names[first][rows])
    for k in range(2, 10):
        assert same_partition(reference.cut(k).labels_[rows], other.cut(k).labels_)


def test_every_row_twice_changes_nothing(small: tuple[np.ndarray, np.ndarray]) -> None:
    """The hinge is a mean over rows."""
    X = small[0]
    first = build(dict(type="LloydKMeans", clusters=9)).fit(X).labels_
    settings: dict[str, Any] = dict(clusters=9, C=100.0, filter_sigma=None, precision="float64")
    once = KLiSH(**settings).fit(X, initial=first)
    twice = KLiSH(**settings).fit(np.concatenate([X, X]), initial=np.concatenate([first, first]))
    np.testing.assert_array_equal(once.merges_, twice.merges_)
    np.testing.assert_allclose(once.iou_, twice.iou_)
    np.testing.assert_allclose(once.cut(4).weight_, twice.cut(4).weight_, atol=1e-8)


@pytest.mark.parametrize("form", ["chunks", "generator", "list", "memory map", "tensor", "float64"])
def test_any_form_of_features_gives_the_same_tree(
    small: tuple[np.ndarray, np.ndarray], tree: KLiSH, tmp_path: Path, form: str
) -> None:
    X = small[0]
    np.save(tmp_path / "features.npy", X)
    given: Any = {
        "chunks": Chunks(X, 137),
        "generator": (X[i : i + 100] for i in range(0, 900, 100)),
        "list": np.array_split(X, 4),
        "memory map": np.load(tmp_path / "features.npy", mmap_mode="r"),
        "tensor": torch.from_numpy(X),
        "float64": X.astype(np.float64),
    }[form]
    found, expected = merged(given), tree
    np.testing.assert_array_equal(found.merges_, expected.merges_)
    np.testing.assert_allclose(found.iou_, expected.iou_)
    np.testing.assert_array_equal(found.labels_, expected.labels_)


def test_half_precision_is_read_as_it_is(mixture: Arrays) -> None:
    halves = mixture["X"].astype(np.float16)
    found = KLiSH(clusters=14, filter_sigma=None).fit(halves, initial=mixture["labels0"])
    np.testing.assert_array_equal(found.merges_[:, 2], mixture["exact_removed"])


def test_stop_by_number_and_by_iou(small: tuple[np.ndarray, np.ndarray]) -> None:
    whole, five = merged(small[0]), merged(small[0], clusters=5, first=9)
    np.testing.assert_array_equal(five.merges_, whole.merges_[:4])
    np.testing.assert_allclose(five.iou_, whole.iou_[:5])
    assert five.n_clusters == 5 and five.labels_.max() == 4
    np.testing.assert_array_equal(five.labels_, whole.cut(5).labels_)
    threshold = float(np.nanmin(whole.iou_[3]))
    lowest = np.nanmin(whole.iou_, axis=1)
    first = int(np.argmax(lowest >= threshold))
    assert merged(small[0], stop_iou=threshold).n_clusters == 9 - first
    assert whole.n_clusters == 9 and whole.cut(1).predict(small[0]).max() == 0


def test_merging_finds_what_kmeans_does_not(small: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.metrics import adjusted_rand_score

    X, truth = curved_clusters(rows=3000, width=12, classes=5, seed=3, spread=4.0)
    ours = merged(X, clusters=5, first=20).labels_
    theirs = build(dict(type="LloydKMeans", clusters=5)).fit(X).labels_
    assert adjusted_rand_score(truth, ours) > max(0.9, adjusted_rand_score(truth, theirs) + 0.2)


def test_labels_are_unions_and_records_are_complete(small: tuple[np.ndarray, np.ndarray]) -> None:
    found = merged(small[0])
    assert found.iou_.shape == found.ecos_.shape == (8, 9)
    assert found.gaps().shape == (8, 2) and (found.gaps() >= 0).all()
    for step, (k, kept, removed) in enumerate(found.merges_):
        assert kept != removed
        assert np.isfinite(found.iou_[step, :k]).all() and np.isnan(found.iou_[step, k:]).all()
        assert found.iou_[step, removed] == np.nanmin(found.iou_[step]) and found.ecos_[step, removed] == 0
        np.testing.assert_array_equal(np.bincount(found.cut(k).labels_), found.sizes_[step, :k])
        before, after = found.cut(k).labels_, found.cut(k - 1).labels_
        assert same_partition(np.where(before == removed, kept, before), after)


def test_identical_points_and_single_rows_do_not_break_it() -> None:
    X = np.concatenate([np.zeros((30, 3)), np.ones((30, 3)), [[5.0, 0, 0]]])
    found = KLiSH(clusters=3, C=10.0, filter_sigma=None).fit(X, initial=np.repeat([0, 1, 2], [30, 30, 1]))
    assert np.isfinite(found.iou_[:, :2]).all() and found.sizes_[0].tolist() == [30, 30, 1]
    with pytest.warns(UserWarning, match="1 of 4 clusters have no row and are left out"):
        assert KLiSH(clusters=4, C=10.0, filter_sigma=None).fit(X).clusters_ == 3


def test_a_restored_tree_cuts_as_the_fitted_one(small: tuple[np.ndarray, np.ndarray]) -> None:
    found = merged(small[0])
    restored = KLiSH(clusters=9).load_state(found.state())
    for k in (2, 5, 9):
        np.testing.assert_array_equal(restored.cut(k).predict(small[0]), found.cut(k).predict(small[0]))
    with pytest.raises(AttributeError, match="labels_ of the fitted rows are not part of a saved state"):
        restored.cut(5).labels_  # noqa: B018


@pytest.mark.parametrize(
    "config",
    [
        dict(type="KLiSH", first=8, C=100.0),
        dict(type="KASP", centres=12),
        dict(type="LloydKMeans"),
        dict(type="AHC", classifier_steps=5),
    ],
    ids=lambda c: c["type"],
)
def test_any_of_them_clusters_inside_classes(config: dict[str, Any]) -> None:
    """One line of an LCP config: ``clusterer=dict(type='KLiSH', first=20)``."""
    X = curved_clusters(rows=240, width=8, classes=4)[0]
    labels = np.arange(240) % 2
    found = IntraClassClusters(ClusterLayout(["one", "other"], 3), config).fit(X, labels)
    restored = IntraClassClusters(ClusterLayout(["one", "other"], 3), config)
    restored.load_state_dict(found.state_dict())
    assert found.sizes.tolist() == [3, 3]
    np.testing.assert_array_equal(restored.membership(X, labels), found.membership(X, labels))


def test_passes_that_do_not_suffice_are_warned_of(small: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.warns(NotConverged, match="did not converge in max_passes=4"):
        merged(small[0], max_passes=4)


def refused(message: str, act: Callable[[], Any]) -> None:
    with pytest.raises((ValueError, BuildError), match=message):
        act()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(clusters=0), "clusters=0 must be a whole number of 1 or more"),
        (dict(C=-1), "C=-1 must be a number above 0"),
        (dict(solver="newtn"), "solver='newtn' is unknown.*newton"),
        (dict(metric="cosine"), "metric='cosine' is unknown.*there are: euclidean, arccos"),
        (dict(precision="float16"), "precision='float16' is unknown"),
        (dict(clusters=5, first=4), "first=4 must be a whole number of 5 or more"),
        (dict(stop_iou=90), r"stop_iou=90 must be a number in \(0, 1\]"),
        (dict(filter_sigma=-1.0), "filter_sigma=-1.0 must be a number of 0 or more"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    refused(message, lambda: build(dict(type="KLiSH", **arguments)))


def test_features_that_cannot_be_clustered() -> None:
    X = np.random.default_rng(0).standard_normal((20, 3))
    labels = np.arange(20) % 4
    broken = X.copy()
    broken[7, 1] = np.nan
    model = KLiSH(clusters=4)
    three, five, many = (KLiSH(clusters=k) for k in (3, 5, 21))
    whole = KLiSH(clusters=4, filter_sigma=None).fit(X, initial=labels)
    refused(r"20 rows of features cannot make clusters=21: ask for at most 20", lambda: many.fit(X))
    refused(r"NaN or infinite values in 1 rows or more \(first: row 7\)", lambda: model.fit(broken))
    refused(r"features are constant: all 20 rows are equal", lambda: model.fit(np.ones((20, 3))))
    refused(r"features must be \(N, D\).*got shape \(20,\)", lambda: model.fit(X[:, 0]))
    refused(r"features hold 0 rows", lambda: model.fit(iter([])))
    refused(r"a chunk after row 10 has 2 columns, those before it 3", lambda: model.fit([X[:10], X[10:, :2]]))
    refused(r"features are a int", lambda: model.fit(3))  # type: ignore[arg-type]
    refused("initial has 19 labels, the features 20 rows", lambda: model.fit(X, initial=labels[:19]))
    refused("initial has labels from 0 to 3: with clusters=3", lambda: three.fit(X, initial=labels))
    refused("initial has no row in cluster 4 .*set clusters=4", lambda: five.fit(X, initial=labels))
    refused("initial has shape .* expected whole numbers", lambda: model.fit(X, initial=labels / 2))
    refused("has found no clusters yet", lambda: model.cut(3))
    refused(r"cut\(k=9\): there is a classifier for each k from 2 to 4", lambda: whole.cut(9))
    refused(r"features have shape \(20, 2\): expected \(N, 3\)", lambda: whole.predict(X[:, :2]))
