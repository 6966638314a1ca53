"""Table IV: k-means, KASP, AHC and KLiSH at equal numbers of clusters, judged by masks that none of them saw.

toolbox klish table runs/klish_embedded                       # a run, on new images, under its teacher
toolbox klish table --clusters 6 8 --first 30 --fits 0 1 2   # a drawn set with known clusters
toolbox klish table --features features.npz --clusters 20 30 --first 100 --paper StyleGAN2-FFHQ
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.metrics.functional import (
    adjusted_mutual_information,
    adjusted_rand_index,
    matched_iou,
    matched_iou_per_image,
)
from toolbox_klish.table.published import ALGORITHMS, published, rows_of

METRICS = ("AMI", "ARI", "MIoU (official)", "MIoU (pooled)")
PROTOCOL = {
    "AMI": "adjusted mutual information, arithmetic mean, all pixels as one clustering; "
    "counts / 1000 above 5 million",
    "ARI": "adjusted Rand index, all pixels as one clustering",
    "MIoU (official)": "greedy matching of every cluster, IoU averaged over images, then over all classes "
    "(authors' evaluator)",
    "MIoU (pooled)": "greedy matching on pooled pixels, clusters may stay unmatched (eq. 6)",
}
BEST = (
    "Whoever takes the best of several seeds by these numbers has looked at the truth: the best is printed "
    "since the paper prints it, and is no result of an unsupervised method; the mean is."
)
Results = dict[int, dict[str, dict[str, list[float]]]]  # K -> algorithm -> metric -> value of each seed


@dataclass(frozen=True)
class Table:
    """What was measured, and what has to be said about it.

    Attributes:
        title: the heading.
        results: {K: {algorithm: {metric: percent of each seed}}}; an empty list where there is none.
        notes: further lines below the protocol.
        paper: the generator whose rows of the paper are printed beside ours.
        algorithm_of: {column: its name in the paper, if it is in there}.
        details: further entries of the JSON file.
    """

    title: str
    results: Results
    notes: Sequence[str] = ()
    paper: str | None = None
    algorithm_of: Mapping[str, str] = field(default_factory=lambda: {name: name for name in ALGORITHMS})
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """What is seen, in a line."""
        return f"{self.title}, in percent: mean ± standard deviation over seeds (best of them)"

    def rows(self) -> list[list[Any]]:
        """The names of the columns, then K, metric and a cell for each algorithm."""
        rows: list[list[Any]] = [["K", "metric", *self.algorithm_of]]
        for k, found in self.results.items():
            for metric in METRICS:
                cells = [
                    _cell(found[name][metric], self._theirs(k, metric, name)) for name in self.algorithm_of
                ]
                rows.append([k, metric, *cells])
        return rows

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from toolbox.visual.markup import element, join
        from toolbox.visual.run_folder import Table as Cells
        from toolbox.visual.tables import data_table

        columns, *rows = self.rows()
        protocol = [element("li", f"{name}: {words}.") for name, words in PROTOCOL.items()]
        notes = [element("li", note) for note in [BEST, *self.notes]]
        return str(join([data_table(Cells(self.heading, columns, rows)), element("ul", [*protocol, *notes])]))

    def markdown(self) -> str:
        """Mean ± standard deviation over seeds (best), in percent; the paper's best of five beside it."""
        lines = [
            f"{self.heading}.",
            "",
            *_rows(self.rows()),
            "",
            *(f"* {name}: {words}." for name, words in PROTOCOL.items()),
            *(f"* {note}" for note in [BEST, *self.notes]),
        ]
        if self.paper:
            lines += _paper_lines(self.paper)
        return "\n".join(lines) + "\n"

    def record(self) -> dict[str, Any]:
        """The JSON file: everything that the text says, and the values of single seeds.

        ``columns`` and ``rows`` are what the run's report shows.
        """
        columns, *rows = self.rows()
        printed = rows_of(self.paper) if self.paper else []
        theirs = {f"{k} {metric}": published(str(self.paper), k, metric) for k, metric in printed}
        return dict(
            title=self.heading,
            columns=columns,
            rows=rows,
            protocol=PROTOCOL,
            notes=[BEST, *self.notes],
            **self.details,
            results=self.results,
            summary={k: _summaries(found) for k, found in self.results.items()},
            paper=dict(generator=self.paper, rows=theirs),
        )

    def write(self, folder: Path) -> None:
        """``table.md`` and ``table.json``, whole or not at all."""
        from toolbox.runs.files import write_text

        folder.mkdir(parents=True, exist_ok=True)
        write_text(self.markdown(), folder / "table.md")
        write_text(json.dumps(self.record(), indent=2) + "\n", folder / "table.json")

    def _theirs(self, k: int, metric: str, column: str) -> float | None:
        """The paper's value; its MIoU is the official one."""
        if self.paper is None or metric == "MIoU (pooled)":
            return None
        return published(self.paper, k, metric.split()[0]).get(self.algorithm_of[column])


def no_results(clusters: Sequence[int], algorithms: Sequence[str]) -> Results:
    """Empty lists, to be filled seed by seed."""
    results: Results = {}
    for k in clusters:
        results[k] = {name: {metric: [] for metric in METRICS} for name in algorithms}
    return results


def scores(tables: NDArray[np.integer]) -> dict[str, float]:
    """Every metric of METRICS, in percent.

    Args:
        tables: (I, R, K) pixels of each truth class and cluster in each image.
    """
    pooled = tables.sum(axis=0, dtype=np.int64)
    found = {
        "AMI": adjusted_mutual_information(pooled),
        "ARI": adjusted_rand_index(pooled),
        "MIoU (official)": matched_iou_per_image(tables).miou,
        "MIoU (pooled)": matched_iou(pooled).miou,
    }
    return {name: 100 * found[name] for name in METRICS}


def _summaries(found: Mapping[str, Mapping[str, list[float]]]) -> dict[str, dict[str, Any]]:
    """{algorithm: {metric: mean, deviation, best}}, of those with a value."""
    summaries = {}
    for name, metrics in found.items():
        summaries[name] = {metric: _summary(values) for metric, values in metrics.items() if values}
    return summaries


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    """A single seed has no deviation."""
    return dict(
        mean=statistics.mean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        best=max(values),
    )


def _cell(values: Sequence[float], theirs: float | None) -> str:
    """``mean ± deviation (best; paper x)``, without what there is not."""
    text = f"{statistics.mean(values):.1f}" if values else "none"
    beside = []
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.1f}"
        beside.append(f"{max(values):.1f}")
    if theirs is not None:
        beside.append(f"paper {theirs:.1f}")
    return f"{text} ({'; '.join(beside)})" if beside else text


def _rows(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table: the first one as its head."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _paper_lines(paper: str) -> list[str]:
    """Table IV as printed."""
    rows = [["K", "metric", *ALGORITHMS]]
    for k, metric in rows_of(paper):
        rows.append([k, metric, *(f"{value:.1f}" for value in published(paper, k, metric).values())])
    return [
        "",
        f"The paper's table for {paper}: best of five runs, 10,000 images, masks by a supervised segmenter.",
        "",
        *_rows(rows),
    ]
