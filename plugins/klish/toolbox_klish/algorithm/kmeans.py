"""K-means over blocks: greedy k-means++ on a sample, Lloyd's steps on all rows (KLiSH, initialisation)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from toolbox.ranks import from_main
from toolbox_klish.svm.blocks import FeatureBlocks
from toolbox_klish.svm.planes import Planes

METRICS = ("euclidean", "arccos")


def kmeans(
    blocks: FeatureBlocks,
    clusters: int,
    seed: int,
    metric: str = "euclidean",
    steps: int = 20,
    tolerance: float = 1e-3,
    restarts: int = 1,
    sample: int = 65_536,
) -> Tensor:
    """(K, D) centres, those of the restart with the smallest mean distance.

    Args:
        blocks: features of this rank. The result does not depend on how rows are spread over ranks.
        clusters: K.
        seed: of the sample and of the seeding.
        metric: 'euclidean', or 'arccos': the angle between features scaled to unit length.
        steps, tolerance: Lloyd's steps end after ``steps``, or when no coordinate moves by more than
            ``tolerance``.
        restarts: seedings to try.
        sample: rows that centres are seeded from.

    Raises:
        ValueError: for fewer rows than clusters.
    """
    blocks.need(clusters)
    found = []
    for trial in range(restarts):
        seeded = seed_centres(blocks, clusters, seed + trial, metric, sample)
        found.append(lloyd(blocks, seeded, metric, steps, tolerance))
    if restarts == 1:
        return found[0]  # no pass over the features to compare it with itself
    costs = [float(_step(blocks, centres, metric)[2]) for centres in found]
    return found[int(np.argmin(costs))]


def seed_centres(blocks: FeatureBlocks, clusters: int, seed: int, metric: str, sample: int) -> Tensor:
    """(K, D) by scikit-learn's greedy k-means++ on a random sample of the rows of all ranks."""
    from sklearn.cluster import kmeans_plusplus

    rng = np.random.default_rng(seed)
    size = min(blocks.total, max(sample, clusters))
    rows = np.sort(rng.choice(blocks.total, size=size, replace=False))  # the same on every rank
    taken = _measured(torch.from_numpy(blocks.take(rows)), metric).numpy()
    centres, _ = kmeans_plusplus(taken, clusters, random_state=seed)
    return torch.from_numpy(np.asarray(from_main(centres), dtype=np.float64)).to(blocks.device)


def lloyd(
    blocks: FeatureBlocks,
    centres: Tensor,
    metric: str = "euclidean",
    steps: int = 20,
    tolerance: float = 1e-3,
) -> Tensor:
    """(K, D) centres (float64) after Lloyd's steps; one without rows stays where it is."""
    for _ in range(steps):
        sums, counts, _ = _step(blocks, centres, metric)
        moved = torch.where(counts[:, None] > 0, sums / counts[:, None].clamp_min(1), centres)
        moved = _measured(moved, metric)
        shift = float((moved - centres).abs().max())
        centres = moved
        if shift < tolerance:
            break
    return centres


def nearest(blocks: FeatureBlocks, centres: Tensor, metric: str = "euclidean") -> Tensor:
    """(N of this rank) number of the nearest centre, int64."""
    planes = centre_planes(centres, metric)
    return torch.cat([planes(_measured(x, metric)).argmax(dim=1) for _, x in blocks])


def class_means(blocks: FeatureBlocks, labels: Tensor, classes: int) -> Tensor:
    """(K, D) mean of the rows of each class, over all ranks, float64; 0 for a class without rows."""
    sums = torch.zeros(classes, blocks.width + 1, dtype=torch.float64, device=blocks.device)
    for at, x in blocks:
        sums += _sums(labels[at], x, classes)
    sums = blocks.sum(sums)
    return sums[:, :-1] / sums[:, -1:].clamp_min(1)


def centre_planes(centres: Tensor, metric: str = "euclidean") -> Planes:
    """Planes whose highest score is the nearest centre's.

    |x - c_k|^2 = |x|^2 - 2 (x . c_k - |c_k|^2 / 2), so w_k = c_k / m and b_k = -|c_k|^2 / 2m, where
    m = max_k |c_k|^2 makes the largest bias 1/2. Under 'arccos', w_k is the unit centre and there is no bias.
    """
    if metric == "arccos":
        return Planes(_measured(centres, metric), centres.new_zeros(len(centres)))
    squares = centres.square().sum(dim=1)
    largest = squares.max().clamp_min(1e-30)
    return Planes(centres / largest, -squares / (2 * largest))


def _measured(x: Tensor, metric: str) -> Tensor:
    """Rows as the metric sees them: 'arccos' is euclidean between rows of unit length."""
    return torch.nn.functional.normalize(x, dim=1) if metric == "arccos" else x


def _step(blocks: FeatureBlocks, centres: Tensor, metric: str) -> tuple[Tensor, Tensor, Tensor]:
    """(K, D) sums and (K) numbers of the rows nearest to each centre, and the sum of squared distances.

    All are over all ranks.
    """
    squares = centres.square().sum(dim=1)
    found = torch.zeros(len(centres), blocks.width + 1, dtype=torch.float64, device=blocks.device)
    cost = torch.zeros((), dtype=torch.float64, device=blocks.device)
    for _, raw in blocks:
        x = _measured(raw, metric)
        half = Planes(centres, -squares / 2)(x)  # (|x|^2 - |x - c|^2) / 2
        best, which = half.max(dim=1)
        cost += (x.square().sum(dim=1) - 2 * best).clamp_min(0).sum()
        found += _sums(which, x, len(centres))
    found = blocks.sum(found)
    return found[:, :-1], found[:, -1], blocks.sum(cost)


def _sums(labels: Tensor, x: Tensor, classes: int) -> Tensor:
    """(K, D + 1) sum of the rows of each class, and their number."""
    members = torch.nn.functional.one_hot(labels, classes).to(x)
    return torch.cat([members.T @ x, members.sum(dim=0)[:, None]], dim=1)
