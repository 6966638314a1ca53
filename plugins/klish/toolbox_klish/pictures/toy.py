"""Fig. 2: three sets of points in the plane, and what four algorithms make of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.metrics.functional import adjusted_rand_index, contingency_matrix
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.baselines import AHC, KASP, LloydKMeans
from toolbox_klish.pictures.canvas import FAINT, INK, new_figure, save_figure
from toolbox_klish.pictures.palette import distinct_colours, matched_colours
from toolbox_klish.svm.planes import LinearClassifier
from toolbox_klish.toy import three_sets

_PARTS = 3


def draw_toy(
    path: str | Path, seed: int = 0, first: int = 8, rows: int = 2400, C: float = 100.0
) -> tuple[Path, dict[str, float]]:
    """The sets, k-means, AHC (Ward), KASP and KLiSH at three clusters, each with its adjusted Rand index.

    The paper shows such a toy, but not its points nor K0 nor KASP; C = 100 is that of the authors'
    demonstration.

    Args:
        path: PNG to write.
        seed: of the points and of k-means.
        first: K0 of KLiSH and KASP: unknown in the paper.
        rows: number of points.
        C: weight of the hinge.

    Returns:
        Path of the picture, and the index of each algorithm.
    """
    X, truth = three_sets(rows, seed)
    found = toy_clusterings(X, seed, first, C)
    title = (
        "Three sets that lines can part and centres cannot describe (after Fig. 2), "
        f"{_PARTS} clusters each; K0 = {first}, seed {seed}"
    )
    figure, panels = new_figure(13.5, 3.5, title, (1, 1 + len(found)))
    colours = distinct_colours(_PARTS)
    _draw(panels[0], X, colours[truth], "the three sets")
    scores = {name: agreement(truth, labels.labels_) for name, labels in found.items()}
    for axes, (name, classifier) in zip(panels[1:], found.items(), strict=True):
        labels = classifier.labels_
        matched = matched_colours(labels, _PARTS, truth, colours)
        _draw(axes, X, matched[labels], f"{name}\nARI {scores[name]:.2f}")
    _draw_lines(panels[-1], found["KLiSH"], X)
    return save_figure(figure, path), scores


def toy_clusterings(X: NDArray[np.floating], seed: int, first: int, C: float = 100.0) -> Mapping[str, Any]:
    """{algorithm: classifier of three clusters of X (N, 2), with ``labels_``}."""
    return {
        "K-means": LloydKMeans(_PARTS, seed=seed).fit(X),
        "AHC (Ward)": AHC(_PARTS, seed=seed).fit(X),
        "KASP": KASP(_PARTS, centres=first, seed=seed).fit(X),
        "KLiSH": KLiSH(first, C=C, filter_sigma=None, seed=seed).fit(X).cut(_PARTS),
    }


def agreement(truth: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Adjusted Rand index of two partitions."""
    shape = (int(truth.max()) + 1, int(labels.max()) + 1)
    return float(adjusted_rand_index(contingency_matrix(truth, labels, shape)))


def _draw(axes: Any, X: NDArray[np.floating], colours: NDArray[np.uint8], title: str) -> None:
    axes.scatter(X[:, 0], X[:, 1], c=colours / 255, s=3, linewidths=0)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_lines(axes: Any, classifier: LinearClassifier, X: NDArray[np.floating]) -> None:
    """Where each plane's score is 0, within the frame of the points."""
    frame = [(X[:, i].min() - 1, X[:, i].max() + 1) for i in (0, 1)]
    grid = np.meshgrid(*(np.linspace(*ends, 50) for ends in frame))
    scores = classifier.scores(np.stack([axis.ravel() for axis in grid], axis=1))
    for k in range(scores.shape[1]):
        axes.contour(*grid, scores[:, k].reshape(50, 50), levels=[0.0], colors=FAINT, linewidths=0.9)
