"""Feature extractors whose weights or preprocessing define a published protocol."""

from toolbox.metrics.extractors.inception import FIDInception

__all__ = ["FIDInception"]
