"""What is trained: a segmenter for each source of masks, with each seed, all by one recipe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolbox.catalog import near_miss

#: {name of a clusterer in klish/klish_embedded: row of the table}
CLUSTERERS = {
    "klish": "UFGS (KLiSH)",
    "kmeans": "UFGS (K-means)",
    "kasp": "UFGS (KASP)",
    "ahc_ward": "UFGS (AHC, Ward)",
    "ahc_arccos": "UFGS (AHC, arccos)",
    "klish_angle": "UFGS (KLiSH, first clusters by angle, no filter)",
}
ALONE = ("klish_angle",)  # none of klish/klish_embedded: fitted in runs of their own
#: Sources whose masks name the parts, so that nothing is matched.
LABELLERS = {
    "lse-1": "LSE, 1 annotation",
    "lse-10": "LSE, 10 annotations",
    "teacher": "generated images, a teacher's labels",
    "supervised": "real images, their masks",
}
METHODS = {**CLUSTERERS, **LABELLERS}
_CHANGES = "soft"  # blur and noise on what the segmenter sees in training


@dataclass(frozen=True)
class Budget:
    """Equal for all rows.

    Attributes:
        clustered: images that clusterers are fitted on.
        first: clusters that KLiSH and KASP start from.
        clusters: K of UFGS.
        ahc_rows: pixels that AHC clusters.
        pairs: images that segmenters are trained on.
        iterations, batch_size, channels: of a segmenter.
        shown: images that LSE sees, for each that is annotated.
        validation: real images with labels, by which clusters are matched.
        real, generated: test images.
    """

    clustered: int = 32
    first: int = 50
    clusters: int = 20
    ahc_rows: int = 4000
    pairs: int = 800
    iterations: int = 1000
    batch_size: int = 8
    channels: int = 8
    shown: int = 640
    validation: int = 100
    real: int = 200
    generated: int = 100


@dataclass(frozen=True)
class Cell:
    """A segmenter.

    Attributes:
        method: one of METHODS; 'kmeans@60': with that K; 'klish+soft': trained with blur and noise.
        seed: of clusters, images, annotations and training.
    """

    method: str
    seed: int

    @property
    def source(self) -> str:
        """Which masks it is trained on: the method without its changes."""
        return re.split("[@+]", self.method)[0]

    @property
    def soft(self) -> bool:
        """Whether images are blurred and noisy in training."""
        return self.method.endswith(f"+{_CHANGES}")

    def clusters(self, usual: int) -> int:
        """K."""
        found = re.search(r"@(\d+)", self.method)
        return int(found[1]) if found else usual

    @property
    def matched(self) -> bool:
        """Whether its parts are clusters."""
        return self.source in CLUSTERERS

    def folder(self, out: Path) -> Path:
        """Where it is trained."""
        return out / f"seed{self.seed}" / self.method


def cells(methods: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """All of them, a whole table of the first seed first."""
    return [Cell(method, seed) for seed in seeds for method in methods]


def check_method(method: str) -> None:
    """Refuse what is no method.

    Raises:
        ValueError: with the near miss.
    """
    name = re.split("[@+]", method)[0]
    pattern = rf"{re.escape(name)}(@[1-9]\d*)?(\+{_CHANGES})?"
    if name not in METHODS or not re.fullmatch(pattern, method) or ("@" in method and name not in CLUSTERERS):
        raise ValueError(
            f"method {method!r}{near_miss(name, METHODS)}; methods: {', '.join(METHODS)}, klish@K, ..., "
            f"and any of them with +{_CHANGES}"
        )


def in_words(method: str) -> str:
    """The row's name."""
    name, rest = re.fullmatch(r"([^@+]+)(.*)", method).groups()  # type: ignore[union-attr]
    changes = rest.replace("@", ", K = ").replace("+soft", ", blur and noise")
    return METHODS[name] + changes
