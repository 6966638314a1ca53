"""Inception Score. Source: Salimans et al. 2016, "Improved techniques for training GANs", section 4."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from toolbox.metrics.functional.checks import Floats, as_features

SplitRule = Literal["boundaries", "drop", "ceil"]


def inception_score(
    logits: ArrayLike,
    splits: int = 10,
    rule: SplitRule = "boundaries",
    shuffle_seed: int | None = 2020,
    ddof: int = 0,
) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp(mean_i KL(p(c|x_i) || p(c))), from 1 to C.

    Args:
        logits: (N, C), one row for each generated image.
        splits: number of parts; each is scored against its own mean prediction.
        rule: how N is cut. 'boundaries': i*N//S to (i+1)*N//S (OpenAI, StyleGAN, torch-fidelity); 'drop':
            N//S each, the rest unused (BigGAN-PyTorch, MMagic); 'ceil': ceil(N/S) each, the last shorter
            (torchmetrics).
        shuffle_seed: of the permutation before splitting (2020: torch-fidelity's); None keeps the order,
            which destroys the score of samples ordered by class.
        ddof: of the standard deviation (1: torchmetrics).

    Raises:
        ValueError: for an unknown rule, or fewer images than splits.

    >>> round(inception_score(np.eye(4) * 100, splits=1)[0], 6)
    4.0
    """
    rows = as_features(logits, "logits", at_least=1)
    if not 1 <= splits <= len(rows):
        raise ValueError(f"splits={splits}: allowed are 1 to {len(rows)} (the number of images)")
    if shuffle_seed is not None:
        rows = rows[np.random.RandomState(shuffle_seed).permutation(len(rows))]
    scores = np.array([_score(part) for part in _split(rows, splits, rule)])
    spread = float(scores.std(ddof=ddof)) if len(scores) > ddof else 0.0
    return float(scores.mean()), spread


def _split(rows: Floats, splits: int, rule: str) -> list[Floats]:
    n = len(rows)
    if rule == "boundaries":
        return [rows[i * n // splits : (i + 1) * n // splits] for i in range(splits)]
    if rule == "drop":
        return [rows[i * (n // splits) : (i + 1) * (n // splits)] for i in range(splits)]
    if rule == "ceil":
        size = -(-n // splits)
        return [rows[start : start + size] for start in range(0, n, size)]
    raise ValueError(f"rule={rule!r}: allowed are {', '.join(map(repr, get_args(SplitRule)))}")


def _score(logits: Floats) -> float:
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    mean = p.mean(axis=0)
    log_mean = np.log(mean, where=mean > 0, out=np.zeros_like(mean))  # a class nobody shows contributes p = 0
    return float(np.exp((p * (log_p - log_mean)).sum(axis=1).mean()))
