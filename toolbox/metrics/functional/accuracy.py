"""Accuracy of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import as_features, as_labels


def accuracy_scores(logits: ArrayLike, labels: ArrayLike, top: int = 5) -> dict[str, float]:
    """Share of rows whose label has the largest logit or one of the ``top`` largest; mean recall of classes.

    Args:
        logits: (N, C).
        labels: (N,) whole numbers, 0 to C-1.
        top: the k of top-k; cut down to C.

    Returns:
        'top1', 'top{k}' and 'balanced' (mean over the classes that occur of the share found), each in [0, 1].
    """
    rows, truth = as_features(logits, "logits", at_least=1), as_labels(labels, "labels")
    if len(rows) != len(truth):
        raise ValueError(f"{len(rows)} logits for {len(truth)} labels")
    if truth.max() >= rows.shape[1]:
        raise ValueError(f"label {int(truth.max())}: the classifier knows classes 0 to {rows.shape[1] - 1}")
    top = min(top, rows.shape[1])
    hit = rows.argmax(axis=1) == truth
    in_top = (np.argpartition(-rows, top - 1, axis=1)[:, :top] == truth[:, None]).any(axis=1)
    recalls = [hit[truth == c].mean() for c in np.unique(truth)]
    return {"top1": float(hit.mean()), f"top{top}": float(in_top.mean()), "balanced": float(np.mean(recalls))}
