"""Feature extractors whose weights or preprocessing define a published protocol."""

from toolbox.metrics.extractors.inception import FIDInception
from toolbox.metrics.extractors.torchvision_inception import TorchvisionInception

__all__ = ["FIDInception", "TorchvisionInception"]
