"""How well clusters agree with parts, and which parts the pairs of pixels belong to that cost the most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolbox.metrics.functional import adjusted_rand_index, contingency_matrix
from toolbox_klish.algorithm.kmeans import centre_planes, class_means
from toolbox_klish.algorithm.measures import Separability
from toolbox_klish.algorithm.solvers import NewtonSolver
from toolbox_klish.baselines import LloydKMeans
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.table.table import scores
from toolbox_klish.why.samples import Labels, Sample

Table = NDArray[np.int64]  # (R, K) pixels of each part and cluster
PIECES = 4  # of the wall, where its separability is measured: as many as KLiSH leaves of 11 clusters
_WORST = 4  # pairs of parts that are named


def measured(classifier: Any, sample: Sample) -> dict[str, Any]:
    """Metrics in percent, and what is lost where.

    Returns:
        dict: the METRICS of Table IV; 'ARI without wall', of the pixels of other parts; 'ARI, wall joined',
        after clusters that show mostly wall became one, and 'ARI, parts joined', of all parts likewise: both
        by the truth; 'pieces', the clusters that show mostly wall; 'torn' and 'mixed' of :func:`losses`.
    """
    shape = (len(sample.part_names), classifier.n_clusters)
    tables = np.stack(
        [
            contingency_matrix(truth, np.asarray(classifier.predict(rows)), shape)
            for rows, truth in zip(sample.test, sample.truth, strict=True)
        ]
    )
    pooled = tables.sum(axis=0, dtype=np.int64)
    found: dict[str, Any] = dict(scores(_of_parts_that_occur(tables)))
    found["ARI, parts joined"] = 100 * adjusted_rand_index(joined(pooled, range(len(pooled))))
    if sample.wall is not None:
        found["ARI without wall"] = 100 * adjusted_rand_index(np.delete(pooled, sample.wall, axis=0))
        found["ARI, wall joined"] = 100 * adjusted_rand_index(joined(pooled, [sample.wall]))
        found["pieces"] = int((_mostly(pooled) == sample.wall).sum())
    return found | losses(pooled, sample.part_names)


def joined(table: Table, parts: Sequence[int]) -> Table:
    """The table after all clusters that show mostly one of ``parts`` became one cluster for each of these."""
    mostly = _mostly(table)
    whole = [table[:, mostly == part].sum(axis=1) for part in parts]
    left = table[:, (table.sum(axis=0) > 0) & ~np.isin(mostly, list(parts))]
    return np.column_stack([*whole, left])


def losses(table: Table, names: Sequence[str]) -> dict[str, Any]:
    """Where pairs of pixels are lost, in percent.

    Returns:
        dict(torn: {part: share of all pairs of one part but of two clusters}; mixed: {'one + other': share of
        all pairs of one cluster but of two parts}; 'torn pairs', 'mixed pairs': both in percent of all pairs
        of one part). Shares below the largest few are left out.
    """
    table = table.astype(np.float64)
    same = table.sum(axis=1) ** 2
    torn = (same - (table**2).sum(axis=1)) / 2
    shared = table @ table.T  # (R, R) pairs of a pixel of each part that are in one cluster
    mixed = {
        f"{names[i]} + {names[j]}": float(shared[i, j])
        for i in range(len(table))
        for j in range(i + 1, len(table))
    }
    pairs = same.sum() / 2
    return {
        "torn": _shares({name: float(lost) for name, lost in zip(names, torn, strict=True)}),
        "mixed": _shares(mixed),
        "torn pairs": 100 * float(torn.sum()) / pairs,
        "mixed pairs": 100 * sum(mixed.values()) / pairs,
    }


def facts(sample: Sample) -> dict[str, float]:
    """What can be said of the data before any clustering, in percent; {} where there is no wall.

    Returns:
        dict('wall': its share of the pixels; 'pairs of wall': of all pairs of pixels of one part; 'place in
        wall', 'place in parts': how much of the variance of a pixel's place (R^2, in rows that the map was
        not fitted on) a linear map finds in the rows of the wall, or of other parts; 'spread in wall', 'in
        parts': mean angle in degrees between a row of a part and its mean; 'between parts': least angle
        between the mean of the wall and that of another part; and of :func:`separability`).
    """
    if sample.wall is None or sample.place is None:
        return {}
    wall = sample.parts == sample.wall
    sizes = np.bincount(sample.parts).astype(np.float64) ** 2
    means = {part: _unit(sample.fit[sample.parts == part]).mean(axis=0) for part in np.unique(sample.parts)}
    of_wall = means.pop(sample.wall)
    away = [_degrees(of_wall, mean[None])[0] for mean in means.values()]
    spread = [_degrees(mean, sample.fit[sample.parts == part]).mean() for part, mean in means.items()]
    return {
        "wall": 100 * float(wall.mean()),
        "pairs of wall": 100 * float(sizes[sample.wall] / sizes.sum()),
        "place in wall": 100 * _explained(sample.fit[wall], sample.place[wall]),
        "place in parts": 100 * _explained(sample.fit[~wall], sample.place[~wall]),
        "spread in wall": float(_degrees(of_wall, sample.fit[wall]).mean()),
        "spread in parts": float(np.mean(spread)),
        "between parts": float(min(away)),
        **separability(sample, wall),
    }


def separability(sample: Sample, wall: NDArray[np.bool_]) -> dict[str, float]:
    """IoU (eq. 4) of machines of the true parts, where k-means has cut the wall, the rest is left whole.

    What KLiSH would merge first, had it nothing left but the parts and pieces of the wall: those of the
    lowest IoU.

    Returns:
        dict('IoU of wall pieces', 'lowest IoU of pieces', 'IoU of parts', 'lowest IoU of parts'), in percent;
        'less separable': number of parts whose IoU is below that of every piece.
    """
    pieces = LloydKMeans(PIECES, seed=0).fit(sample.fit[wall]).labels_
    labels = sample.parts + PIECES
    labels[wall] = pieces
    numbers, labels = np.unique(labels, return_inverse=True)
    blocks, given = FeatureBlocks(sample.fit), torch.from_numpy(labels)
    classes = list(range(len(numbers)))
    start = centre_planes(class_means(blocks, given, len(classes)))
    measured = Separability(blocks, given, len(classes))
    measured.renew(given, [(classes, NewtonSolver(5000.0).train(blocks, given, classes, start))])
    iou = 100 * measured.iou(classes).numpy()
    of_wall = numbers < PIECES
    return {
        "IoU of wall pieces": float(iou[of_wall].mean()),
        "lowest IoU of pieces": float(iou[of_wall].min()),
        "IoU of parts": float(iou[~of_wall].mean()),
        "lowest IoU of parts": float(iou[~of_wall].min()),
        "less separable": float((iou[~of_wall] < iou[of_wall].min()).sum()),
    }


def _of_parts_that_occur(tables: Table) -> Table:
    """Without rows of parts that no image shows: they would count as IoU 0."""
    return tables[:, tables.sum(axis=(0, 2)) > 0]


def _mostly(table: Table) -> Labels:
    """(K) the part that most pixels of each cluster show; -1 for a cluster without pixels."""
    return np.where(table.sum(axis=0) > 0, table.argmax(axis=0), -1)


def _shares(lost: dict[str, float]) -> dict[str, float]:
    total = sum(lost.values()) or 1.0
    largest = sorted(lost, key=lambda name: -lost[name])[:_WORST]
    return {name: 100 * lost[name] / total for name in largest}


def _explained(rows: NDArray[Any], place: NDArray[np.float64]) -> float:
    """R^2 of a linear map of the first half of the rows, on the second: that of other images."""
    half = len(rows) // 2
    known = np.column_stack([rows, np.ones(len(rows))]).astype(np.float64)
    found = np.linalg.lstsq(known[:half], place[:half], rcond=None)[0]
    wrong = ((known[half:] @ found - place[half:]) ** 2).sum()
    return float(1 - wrong / ((place[half:] - place[half:].mean(axis=0)) ** 2).sum())


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _degrees(one: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    return np.degrees(np.arccos(np.clip(_unit(rows) @ _unit(one), -1, 1)))
