"""Table IV: k-means, KASP, AHC and KLiSH at equal numbers of clusters, judged by masks that none of them saw.

    toolbox klish table --clusters 6 8 --first 30 --seeds 0 1 2 3 4 --out runs/klish_table
    toolbox klish table --data features.npz --clusters 20 30 --first 100 --paper StyleGAN2-FFHQ

``features.npz`` holds ``fit`` (N, D), features to cluster; ``test`` (I, ..., D), features of I other images; and ``truth``
(I, ...), the class of each of their pixels. Without it a drawn set with known clusters is used.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.metrics.functional import (
    adjusted_mutual_information,
    adjusted_rand_index,
    contingency_matrix,
    matched_iou,
    matched_iou_per_image,
)
from toolbox_klish.baselines import AHC, KASP, LloydKMeans
from toolbox_klish.klish import KLiSH
from toolbox_klish.published import ALGORITHMS, published, rows_of
from toolbox_klish.toy import curved_clusters

METRICS = ("AMI", "ARI", "MIoU (official)", "MIoU (pooled)")
PROTOCOL = {
    "AMI": "adjusted mutual information, arithmetic mean, all pixels as one clustering; counts / 1000 above 5 million",
    "ARI": "adjusted Rand index, all pixels as one clustering",
    "MIoU (official)": "greedy matching of every cluster, IoU averaged over images, then over all classes (authors' evaluator)",
    "MIoU (pooled)": "greedy matching on pooled pixels, clusters may stay unmatched (eq. 6)",
}
Results = dict[int, dict[str, dict[str, list[float]]]]  # K -> algorithm -> metric -> value of each seed


@dataclass(frozen=True)
class Data:
    """Features to cluster, and images to judge by.

    Attributes:
        name: for the heading. fit: (N, D). test: (I, P, D). truth: (I, P) class of each pixel.
    """

    name: str
    fit: NDArray[Any]
    test: NDArray[Any]
    truth: NDArray[np.integer]


def drawn(rows: int = 6000, images: int = 20, pixels: int = 200, classes: int = 6) -> Data:
    """Curved clusters that planes can part, but distances to centres cannot (see :func:`toolbox_klish.toy.curved_clusters`).

    They show what the method is made for (as Fig. 2 does), not how often generators are like that.
    """
    width = classes + 2
    X, y = curved_clusters(rows + images * pixels, width, classes, seed=0, spread=8.0)
    return Data(f"drawn: {classes} curved clusters in {width} dimensions, not a generator", X[:rows],
                X[rows:].reshape(images, pixels, width), y[rows:].reshape(images, pixels))


def read_data(path: str | Path) -> Data:
    """A file as described above.

    Raises:
        ValueError: naming what is missing or does not fit.
    """
    with np.load(path, allow_pickle=False) as file:
        missing = [key for key in ("fit", "test", "truth") if key not in file]
        if missing:
            raise ValueError(f"{path} has no {missing[0]!r}: it must hold fit (N, D), test (I, ..., D) and truth (I, ...); "
                             f"it holds {', '.join(file) or 'nothing'}")
        fit, test, truth = file["fit"], file["test"], file["truth"]
    if test.shape[:-1] != truth.shape or fit.ndim != 2 or fit.shape[1] != test.shape[-1]:
        raise ValueError(f"{path}: fit {fit.shape}, test {test.shape} and truth {truth.shape} do not fit together: expected "
                         "(N, D), (I, ..., D) and (I, ...)")
    return Data(Path(path).name, fit, test.reshape(len(test), -1, test.shape[-1]), truth.reshape(len(truth), -1))


def measure(classifier: Any, data: Data) -> dict[str, float]:
    """Every metric of METRICS, in percent, for a fitted classifier."""
    shape = (int(data.truth.max()) + 1, classifier.n_clusters)
    tables = np.stack([contingency_matrix(truth, classifier.predict(image), shape)
                       for truth, image in zip(data.truth, data.test, strict=True)])
    pooled = tables.sum(axis=0)
    found = (adjusted_mutual_information(pooled), adjusted_rand_index(pooled), matched_iou_per_image(tables).miou,
             matched_iou(pooled).miou)
    return {name: 100 * value for name, value in zip(METRICS, found, strict=True)}


def algorithms(first: int, clusters: Sequence[int], seed: int, rows: int,
               settings: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    """{name: function of the features that gives a function of K that gives a classifier}."""
    most = max(clusters)
    return {
        "K-means": lambda X: lambda k: LloydKMeans(k, seed=seed).fit(X),
        "KASP": lambda X: KASP(most, centres=first, seed=seed).fit(X).cut,
        "AHC (Ward)": lambda X: AHC(most, rows=rows, seed=seed).fit(X).cut,
        "AHC (arccos)": lambda X: AHC(most, "arccos", rows=rows, seed=seed).fit(X).cut,
        "KLiSH": lambda X: KLiSH(first, seed=seed, **settings).fit(X).cut,
    }


def run(data: Data, clusters: Sequence[int], first: int, seeds: Sequence[int], rows: int, settings: Mapping[str, Any]) -> Results:
    """Fit everything with every seed, and measure every K.

    Raises:
        ValueError: when a K is not below ``first``.
    """
    if max(clusters) >= first:
        raise ValueError(f"clusters={max(clusters)} must be below first={first}, the number that KLiSH and KASP start from")
    results: Results = {k: {name: {metric: [] for metric in METRICS} for name in ALGORITHMS} for k in clusters}
    for seed in seeds:
        for name, fit in algorithms(first, clusters, seed, rows, settings).items():
            cut = fit(data.fit)
            for k in clusters:
                for metric, value in measure(cut(k), data).items():
                    results[k][name][metric].append(value)
    return results


def markdown(data: str, results: Results, paper: str | None = None) -> str:
    """Mean ± standard deviation over seeds (best), in percent; the paper's best of five beside it where it has the same K."""
    head = ["K", "metric", *ALGORITHMS]
    lines = [f"Clusters of {data}, in percent: mean ± standard deviation over seeds (best of them).", "",
             "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for k, found in results.items():
        for metric in METRICS:
            theirs = published(paper, k, metric.split()[0]) if paper and metric != "MIoU (pooled)" else {}
            cells = [_cell(found[name][metric], theirs.get(name)) for name in ALGORITHMS]
            lines.append(f"| {k} | {metric} | " + " | ".join(cells) + " |")
    lines += ["", *(f"* {name}: {words}." for name, words in PROTOCOL.items())]
    return "\n".join(lines + (_paper_lines(paper) if paper else [])) + "\n"


def _cell(values: Sequence[float], theirs: float | None) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    beside = "" if theirs is None else f"; paper {theirs:.1f}"
    return f"{statistics.mean(values):.1f} ± {spread:.1f} ({max(values):.1f}{beside})"


def _paper_lines(paper: str) -> list[str]:
    """Table IV as printed: best of five runs, on 10,000 images of the generator under a supervised segmenter."""
    head = ["K", "metric", *ALGORITHMS]
    rows = [[k, metric, *(f"{value:.1f}" for value in published(paper, k, metric).values())] for k, metric in rows_of(paper)]
    return ["", f"The paper's table for {paper}: best of five runs, 10,000 images, masks by a supervised segmenter.", "",
            *("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])]


def execute(arguments: argparse.Namespace) -> int:
    """Make the table; returns the exit code."""
    from toolbox.training.writing import write_text

    data = read_data(arguments.data) if arguments.data else drawn()
    settings = dict(C=arguments.C, filter_sigma=arguments.filter_sigma if arguments.filter_sigma >= 0 else None)
    results = run(data, arguments.clusters, arguments.first, arguments.seeds, arguments.rows, settings)
    text = markdown(data.name, results, arguments.paper)
    printed = rows_of(arguments.paper) if arguments.paper else []
    theirs = {f"{k} {metric}": published(arguments.paper, k, metric) for k, metric in printed}
    facts = dict(data=data.name, protocol=PROTOCOL, first=arguments.first, seeds=arguments.seeds, rows=arguments.rows, **settings,
                 results=results, paper=dict(generator=arguments.paper, rows=theirs))
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_text(text, arguments.out / "table.md")
    write_text(json.dumps(facts, indent=2), arguments.out / "table.json")
    print(text)  # the command's answer
    return 0
