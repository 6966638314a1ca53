"""Images of a generator with a linear extractor's parts as masks: what ``toolbox klish pairs`` writes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from toolbox.features import feature_stream
from toolbox.interfaces import Generator
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.lse.extractors import LSE
from toolbox_klish.lse.planes import Planes
from toolbox_klish.pairs.make import write_pairs
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.pairs.source import PairSource


class ExtractorPairs(PairSource):
    """Pairs of a generator and an extractor, in place of a run and one of its clusterers.

    Args:
        generator: in eval mode.
        extractor: of its layers; its parts become the classes.
        settings: how they are made.
    """

    def __init__(self, generator: Generator, extractor: LSE, settings: PairSettings) -> None:
        self.settings = settings
        self.generator = generator
        self._classifier = Planes.of(extractor)
        self.size = settings.size_for(generator)
        self.batch_size = settings.batch_size_for(generator)
        self.stream = feature_stream(
            generator,
            settings.images,
            layers=list(extractor.layers),
            size=self.size,
            truncation=settings.truncation_for(generator),
            seed=settings.seed,
            noise=settings.noise,
            label=settings.label,
            keep=0,
        )
        self.part_names = list(extractor.part_names)
        self.groups = {name: [number] for number, name in enumerate(self.part_names)}
        self._numbers = np.arange(len(self.part_names), dtype=np.uint8)
        if settings.border_rows:
            self._cut_border()

    @property
    def origin(self) -> dict[str, Any]:
        """Whose images and parts these are."""
        planes = self._classifier
        return dict(
            generator=type(self.generator).__name__,
            weights=fingerprint(self.generator),
            layers=list(self.stream.layers),
            clusterer="LSE",
            classifier=hashlib.sha256(planes.weight.tobytes() + planes.bias.tobytes()).hexdigest(),
        )

    @property
    def classes(self) -> list[str]:
        """Names of the generator's classes; [] for an unconditional one."""
        return [f"class {number}" for number in range(self.generator.n_conditions)]


def make_extractor_pairs(
    generator: Generator,
    extractor: LSE,
    out: str | Path,
    settings: PairSettings | None = None,
    resume: bool = False,
) -> Path:
    """Write them; see :func:`toolbox_klish.pairs.make.make_pairs`."""
    settings = settings or PairSettings()
    return write_pairs(lambda: ExtractorPairs(generator, extractor, settings), out, settings, resume)
