"""Table IV on features at hand, a file of them or a drawn set with known clusters: all is fitted here."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.metrics.functional import contingency_matrix
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.baselines import AHC, KASP, LloydKMeans
from toolbox_klish.progress import Heartbeat
from toolbox_klish.table.published import ALGORITHMS
from toolbox_klish.table.table import Results, no_results, scores
from toolbox_klish.toy import curved_clusters


@dataclass(frozen=True)
class Data:
    """Features to cluster, and images to judge by.

    Attributes:
        name: for the heading.
        fit: (N, D).
        test: (I, P, D) features of each pixel of I images.
        truth: (I, P) class of each pixel.
    """

    name: str
    fit: NDArray[Any]
    test: NDArray[Any]
    truth: NDArray[np.integer]


def drawn(rows: int = 6000, images: int = 20, pixels: int = 200, classes: int = 6) -> Data:
    """Curved clusters that planes can part, but distances to centres cannot.

    They are those of :func:`toolbox_klish.toy.curved_clusters`. They show what the method is made for (as
    Fig. 2 does), not how often generators are like that.
    """
    width = classes + 2
    X, y = curved_clusters(rows + images * pixels, width, classes, seed=0, spread=8.0)
    name = f"drawn: {classes} curved clusters in {width} dimensions, not a generator"
    test = X[rows:].reshape(images, pixels, width)
    return Data(name, X[:rows], test, y[rows:].reshape(images, pixels))


def read_data(path: str | Path) -> Data:
    """A file of features to cluster, and of others to judge by.

    Args:
        path: npz with ``fit`` (N, D); ``test`` (I, ..., D), features of I other images; ``truth`` (I, ...),
            the class of each of their pixels.

    Raises:
        ValueError: naming what is missing or does not fit.
    """
    with _opened(path) as file:
        missing = [key for key in ("fit", "test", "truth") if key not in file]
        if missing:
            raise ValueError(
                f"{path} has no {missing[0]!r}: it must hold fit (N, D), test (I, ..., D) and truth "
                f"(I, ...); it holds {', '.join(file) or 'nothing'}"
            )
        fit = file["fit"]
        test = file["test"]
        truth = file["truth"]
    if test.shape[:-1] != truth.shape or fit.ndim != 2 or fit.shape[1] != test.shape[-1]:
        raise ValueError(
            f"{path}: fit {fit.shape}, test {test.shape} and truth {truth.shape} do not fit together: "
            "expected (N, D), (I, ..., D) and (I, ...)"
        )
    test = test.reshape(len(test), -1, test.shape[-1])
    return Data(Path(path).name, fit, test, truth.reshape(len(truth), -1))


def _opened(path: str | Path) -> Any:
    """An npz file; numpy would also take, or take exception to, other files."""
    if not zipfile.is_zipfile(path) and Path(path).exists():
        raise ValueError(f"{path} is no npz file: write it by np.savez(FILE, fit=..., test=..., truth=...)")
    return np.load(path, allow_pickle=False)


def measure(classifier: Any, data: Data) -> dict[str, float]:
    """Every metric of METRICS, in percent, for a fitted classifier."""
    shape = (int(data.truth.max()) + 1, classifier.n_clusters)
    tables = []
    for truth, image in zip(data.truth, data.test, strict=True):
        tables.append(contingency_matrix(truth, classifier.predict(image), shape))
    return scores(np.stack(tables))  # of (I, R, K)


def algorithms(
    first: int, clusters: Sequence[int], seed: int, rows: int, settings: Mapping[str, Any]
) -> dict[str, Callable[[Any], Any]]:
    """{name: function of the features that gives a function of K that gives a classifier}."""
    most = max(clusters)
    return {
        "K-means": lambda X: lambda k: LloydKMeans(k, seed=seed).fit(X),
        "KASP": lambda X: KASP(most, centres=first, seed=seed).fit(X).cut,
        "AHC (Ward)": lambda X: AHC(most, rows=rows, seed=seed).fit(X).cut,
        "AHC (arccos)": lambda X: AHC(most, "arccos", rows=rows, seed=seed).fit(X).cut,
        "KLiSH": lambda X: KLiSH(first, seed=seed, **settings).fit(X).cut,
    }


def fit_all(
    data: Data,
    clusters: Sequence[int],
    first: int,
    seeds: Sequence[int],
    rows: int,
    settings: Mapping[str, Any],
) -> Results:
    """Fit everything with every seed, and measure every K.

    Raises:
        ValueError: when a K is not below ``first``.
    """
    if max(clusters) >= first:
        raise ValueError(
            f"clusters={max(clusters)} must be below first={first}, the number that KLiSH and KASP start from"
        )
    results = no_results(clusters, ALGORITHMS)
    fits = len(seeds) * len(ALGORITHMS)
    with Heartbeat("table") as progress:
        for turn, seed in enumerate(seeds):
            for place, (name, fit) in enumerate(algorithms(first, clusters, seed, rows, settings).items()):
                progress(f"{name}, seed {seed}", turn * len(ALGORITHMS) + place, fits)
                cut = fit(data.fit)
                for k in clusters:
                    for metric, value in measure(cut(k), data).items():
                        results[k][name][metric].append(value)
    return results
