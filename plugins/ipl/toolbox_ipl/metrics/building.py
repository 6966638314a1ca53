"""Extractors by config."""

from __future__ import annotations

from typing import Any

from toolbox.interfaces import FeatureExtractor
from toolbox.registry import build


def built_extractor(extractor: FeatureExtractor | dict[str, Any]) -> FeatureExtractor:
    """An extractor, or the one of a config."""
    if isinstance(extractor, FeatureExtractor):
        return extractor
    made: FeatureExtractor = build(extractor, "extractor", "extractor")
    return made
