"""What is to be said of a run's clusters: too few, or badly separable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import is_cut


def warnings_of(run: ClusterRun) -> list[str]:
    """Clusters of the final classifiers with a low IoU; numbers of clusters that a tree does not reach."""
    final = run.config.final
    threshold = run.config.warn_iou
    found = []
    for name in run.clusterers:
        for seed in run.seeds:
            model: Any = run.model(name, seed)
            words = _unreached(model, run.numbers[0], final) if isinstance(model, KLiSH) else []
            words += _fewer(run, name, seed)
            low = low_clusters(model, final, threshold)
            if low:
                words.append(_low_in_words(low, final, threshold))
            found += [f"{name}, seed {seed}: {each}" for each in words]
    return found


def low_clusters(model: Any, k: int, threshold: float) -> dict[int, float]:
    """{cluster: IoU} of those below a threshold where there are ``k``; empty for a clusterer without IoU."""
    if not isinstance(model, KLiSH) or not model.clusters_ - len(model.iou_) < k <= model.clusters_:
        return {}
    iou = model.iou_[model.clusters_ - k, :k]
    return {int(cluster): float(iou[cluster]) for cluster in np.flatnonzero(iou < threshold)}


def _fewer(run: ClusterRun, name: str, seed: int) -> list[str]:
    """A clusterer that is fitted for each number, and has found fewer clusters than it was asked for."""
    if is_cut(run.config.clusterers[name]):
        return []
    found = {k: run.model(name, seed, k).n_clusters for k in run.numbers}
    return [f"found {many} clusters, {k} were asked for" for k, many in found.items() if many < k]


def _unreached(model: KLiSH, most: int, final: int) -> list[str]:
    """A filter that left too few clusters, a threshold that ended merging too early."""
    words = []
    first = model.clusters_
    last = first - len(model.iou_) + 1
    if first < most:
        words.append(
            f"the filter left {first} clusters, {most} were asked for: "
            "start from more, or weaken filter_sigma"
        )
    if max(final, 2) < last:  # a single cluster needs no merge
        words.append(
            f"merging stopped at {last} clusters, above final={final}: raise stop_iou, or leave it out"
        )
    return words


def _low_in_words(low: Mapping[int, float], clusters: int, threshold: float) -> str:
    worst = sorted(low.items(), key=lambda item: item[1])[:8]
    words = ", ".join(f"{cluster} ({iou:.2f})" for cluster, iou in worst)
    more = ", ..." if len(low) > len(worst) else ""
    return f"low separability, IoU below {threshold:g}, of {len(low)} of {clusters} clusters: {words}{more}"
