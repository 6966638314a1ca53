"""KLiSH against other solvers of the same problem, and against other ways of clustering.

    make bench ARGS="-k klish"

'full' is N = 32,768, D = 256, K0 = 100; its joint side takes many minutes on a CPU, so it is left out unless
it is asked for (``-k full``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.cluster import AgglomerativeClustering
from sklearn.svm import LinearSVC

from tests.benchmarks.pairs import measure, pair
from toolbox.registry import build
from toolbox_klish.toy import curved_clusters

SIZES = {
    "small": dict(rows=8192, width=64, classes=12, clusters=30),
    "full": dict(rows=32_768, width=256, classes=30, clusters=100),
}
SOME = dict(rows=8192, width=64, classes=12)


def klish(clusters: int, **settings: Any) -> Any:
    return build(dict(type="KLiSH", clusters=clusters, filter_sigma=None, **settings))


def first_clusters(X: np.ndarray, clusters: int) -> np.ndarray:
    labels: np.ndarray = build(dict(type="LloydKMeans", clusters=clusters)).fit(X).labels_
    assert len(np.unique(labels)) == clusters
    return labels


@pytest.mark.parametrize("size", SIZES)
def test_one_machine_a_merge_against_all_jointly(
    benchmark: BenchmarkFixture, size: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """The authors' way, L-BFGS of all machines after each merge, as our solver 'joint' repeats it."""
    if size == "full" and "full" not in request.config.option.keyword:
        pytest.skip("takes many minutes: -k full")
    settings = dict(SIZES[size])
    clusters = settings.pop("clusters")
    X, _ = curved_clusters(**settings)
    initial = first_clusters(X, clusters)
    fitted: dict[str, Any] = {}

    def fit(solver: str) -> Callable[[], None]:
        return lambda: fitted.update({solver: klish(clusters, solver=solver).fit(X, initial=initial)})

    ratio = benchmark.pedantic(pair, args=(fit("newton"), fit("joint"), 1, 0), rounds=1)
    equal = int((fitted["newton"].merges_ == fitted["joint"].merges_).all(axis=1).sum())
    title = f"KLiSH, {len(X):,} x {X.shape[1]}, {clusters} clusters; the authors' joint L-BFGS"
    benchmark.extra_info.update(
        title=title, ratio=ratio.median, quartiles=list(ratio.quartiles), equal_merges=equal
    )
    benchmark.extra_info.update(ours=ratio.ours[0], theirs=ratio.theirs[0])
    with capsys.disabled():
        print(f"\n{title}: {ratio}; {equal} of {clusters - 1} merges equal")
    assert ratio.median < 0.2


def test_first_training_against_liblinear(
    benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A support vector machine a cluster; liblinear's minimises the same squared hinge."""
    X, _ = curved_clusters(**SOME)
    labels = first_clusters(X, 20)
    ours = klish(20, stop_iou=1e-9)  # stops after the first training
    theirs = LinearSVC(C=5000 / len(X), dual=False, tol=1e-3)
    title = "KLiSH's first training, 8,192 x 64, 20 clusters; scikit-learn's LinearSVC (liblinear)"
    measure(title, lambda: ours.fit(X, initial=labels), lambda: theirs.fit(X, labels), benchmark, capsys, 5)


def test_the_whole_against_ward(benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """k-means, training and all merges, against a tree of all rows."""
    X, _ = curved_clusters(**SOME)
    theirs = AgglomerativeClustering(n_clusters=12, linkage="ward")
    title = "KLiSH, 8,192 x 64, 30 clusters, k-means too; scikit-learn's AHC (Ward)"
    measure(title, lambda: klish(30).fit(X), lambda: theirs.fit(X), benchmark, capsys, 5)


def test_k_means_against_scikit_learn(
    benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten steps of Lloyd from one k-means++ start."""
    from sklearn.cluster import KMeans

    X, _ = curved_clusters(**SOME)
    ours = build(dict(type="LloydKMeans", clusters=30, steps=10, tolerance=0.0))
    theirs = KMeans(30, n_init=1, max_iter=10, tol=0.0, algorithm="lloyd", random_state=0)
    title = "k-means, 8,192 x 64, 30 clusters, 10 steps; scikit-learn's KMeans"
    measure(title, lambda: ours.fit(X), lambda: theirs.fit(X), benchmark, capsys)
