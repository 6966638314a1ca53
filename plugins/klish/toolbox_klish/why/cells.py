"""What one fit is called, and where its results are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """A fit.

    Attributes:
        data: name or path, of :func:`toolbox_klish.why.samples.sample_of`.
        variant: one of VARIANTS.
        seed: of the clustered images and of the fit.
    """

    data: str
    variant: str
    seed: int

    def file(self, out: Path) -> Path:
        """Its result."""
        return out / "cells" / f"{short(self.data)}-{self.variant}-{self.seed}.json"

    def pictures(self, out: Path) -> Path:
        """Clusters of a few whole images, beside the images and their parts."""
        return self.file(out).with_suffix(".npz")


def short(data: str) -> str:
    """A sample's name in files and tables."""
    return Path(data).stem if "/" in data else data
