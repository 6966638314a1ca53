"""Inception Score (Salimans et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.classifier import LogitMetric
from toolbox.metrics.functional.inception_score import SplitRule, inception_score
from toolbox.ranges import check_whole, given


class InceptionScore(LogitMetric):
    """exp(mean KL(p(c|x) || p(c))), mean over splits; from 1 to the number of classes, higher is better.

    Args:
        extractor: see :class:`LogitMetric`. For the usual score the Inception network's ``logits_unbiased``.
        n_fake: how many generated images; None: as many as are fed. The score rises with it.
        probe: train a classifier on the real images: a score of the data set's own classes.
        splits: number of parts.
        rule: how N is cut into parts: 'boundaries', 'drop' or 'ceil'.
        shuffle_seed: of the order before splitting; None keeps the order of the index.

    ``compute`` gives the mean ('') and the standard deviation over splits ('std').
    """

    title = "is"
    needs: tuple[str, ...] = ("fake",)
    higher_is_better = True

    def __init__(
        self,
        extractor: FeatureExtractor | dict[str, Any],
        n_fake: int | None = None,
        probe: bool = False,
        splits: int = 10,
        rule: SplitRule = "boundaries",
        shuffle_seed: int | None = 2020,
    ) -> None:
        super().__init__(extractor, n_fake, probe)
        if probe:
            self.needs = ("real", "fake")
        check_whole(1, splits=splits)
        check_whole(0, **given(shuffle_seed=shuffle_seed))
        if rule not in get_args(SplitRule):
            raise ValueError(f"rule={rule!r} must be one of {', '.join(get_args(SplitRule))}")
        self.splits = splits
        self.rule: SplitRule = rule
        self.shuffle_seed = shuffle_seed

    def options(self) -> list[str]:
        options = super().options()
        if self.splits != 10:
            options.append(f"{self.splits}splits")
        if self.rule != "boundaries":
            options.append(self.rule)
        if self.shuffle_seed is None:
            options.append("unshuffled")
        return options

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        if n_fake < self.splits:
            return f"cannot be computed of {n_fake} generated images in {self.splits} splits"
        return super().shortage(n_real, per_class, n_fake)

    def compute(self) -> dict[str, float]:
        self._check_ready()
        mean, std = inception_score(self.logits(), self.splits, self.rule, self.shuffle_seed)
        return {"": mean, "std": std}
