"""What a metric could not do, kept so that the others go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from toolbox import ranks
from toolbox.interfaces import Metric


class Faults:
    """The metrics of a pass, without those that failed on the way.

    Args:
        metrics: all of them.
        borne: go on without a metric that fails; False = its error is raised.

    Attributes:
        reasons: {place of a metric in ``metrics``: why it failed}.
    """

    def __init__(self, metrics: Sequence[Metric], borne: bool) -> None:
        self.metrics = metrics
        self.borne = borne
        self.reasons: dict[int, str] = {}

    @contextmanager
    def watched(self, metric: Metric) -> Iterator[None]:
        """A block that is one metric's own: what it raises is that metric's failure."""
        try:
            yield
        except Exception as error:
            if not self.borne:
                raise
            self.reasons.setdefault(self._place(metric), in_a_line(error))

    def hit(self, metric: Metric) -> bool:
        """Whether a metric has failed."""
        return self._place(metric) in self.reasons

    def agree(self) -> None:
        """What fails on one rank has failed on all (collective)."""
        if self.borne:
            for reasons in ranks.gather_objects(self.reasons):
                self.reasons = {**reasons, **self.reasons}

    def by_name(self) -> dict[str, str]:
        """{metric's name: why it failed}."""
        return {name_of(self.metrics[place]): reason for place, reason in sorted(self.reasons.items())}

    def _place(self, metric: Metric) -> int:
        return next(place for place, other in enumerate(self.metrics) if other is metric)


def name_of(metric: Metric) -> str:
    """Its name with protocol, or its class's where that cannot be said."""
    try:
        return metric.name
    except Exception:  # a plugin's, which has failed
        return type(metric).__name__


def in_a_line(error: Exception) -> str:
    """An error's message; with its type where that is not plain from it."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
