"""What was found, beside what the paper prints."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from toolbox_klish.separability.plan import METHODS, PUBLISHED, Budget

Values = Mapping[str, Mapping[str, Any]]  # {method: its scores}
PROTOCOL = (
    "mIoU of the authors' evaluator: IoU of each image, without pixels whose label is the background, "
    "averaged over the images where a part occurs, then over parts but the background; the teacher's labels "
    "are the truth."
)


def rows_of(found: Mapping[str, Sequence[Values]], measure: str = "miou-klish") -> list[list[str]]:
    """A row for each generator: LSE, SVM, by how much the SVM is off, centroids.

    Args:
        found: {generator: scores of each seed}.
        measure: of :meth:`toolbox.metrics.segmentation.SegmentationScores.compute`.
    """
    rows = [["generator", *METHODS, "SVM against LSE", "centroids against LSE"]]
    for name, seeds in found.items():
        values = {method: [100 * one[method][measure] for one in seeds] for method in METHODS}
        means = {method: statistics.mean(value) for method, value in values.items()}
        cells = [_cell(values[method]) for method in METHODS]
        rows.append([name, *cells, *(_off(means[other], means["LSE"]) for other in ("SVM", "centroids"))])
    return rows


def published_rows() -> list[list[str]]:
    """Tables I and III as printed; relative differences computed from their entries."""
    rows = []
    for name, (svm, lse, centroids) in PUBLISHED.items():
        far = "" if centroids is None else _off(centroids, lse)
        known = "" if centroids is None else f"{centroids:.1f}"
        rows.append([f"paper: {name}", f"{lse:.1f}", f"{svm:.1f}", known, _off(svm, lse), far])
    return rows


def per_part_rows(found: Mapping[str, Sequence[Values]], parts: Sequence[str]) -> list[list[str]]:
    """IoU of each part on the pixels of all images, mean over seeds."""
    rows = [["generator", "method", *parts]]
    for name, seeds in found.items():
        for method in METHODS:
            columns = zip(*(one[method]["iou"] for one in seeds), strict=True)
            rows.append([name, method, *(f"{100 * statistics.mean(column):.1f}" for column in columns)])
    return rows


def markdown(
    found: Mapping[str, Sequence[Values]], parts: Sequence[str], budget: Budget, teacher: str
) -> str:
    """All tables, and how they were made."""
    made = (
        f"{budget.steps:,} steps of {budget.batch_size} images (the paper: 50,000 images), judged on "
        f"{budget.test_images:,} new ones (10,000), truncation {budget.truncation:g}; teacher {teacher}."
    )
    lines = ["# Linear separability, mIoU in percent", "", *_table([*rows_of(found), *published_rows()]), ""]
    lines += [f"* {PROTOCOL}", f"* {made}", "* The paper's rows are other generators under other teachers."]
    lines += ["", "IoU of each part, all pixels together:", "", *_table(per_part_rows(found, parts))]
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float]) -> str:
    text = f"{statistics.mean(values):.1f}"
    return f"{text} ± {statistics.stdev(values):.1f}" if len(values) > 1 else text


def _off(value: float, reference: float) -> str:
    return f"{100 * (value - reference) / reference:+.1f} %" if reference else ""


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
