"""What is trained for the tables: encoders and generators of every loss and seed, what shares what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolbox.ranges import check_positive, check_whole

LOSSES = ("none", "scl", "unicl", "ce")
GANS = ("attngan", "dmgan", "ssagan", "galip")
PARTS = ("encoders", "gans", "placement")
#: Where SCL is: its loss in pre-training, and in the GAN phase.
PLACES = {
    "neither": ("none", "none"),
    "pre-training": ("scl", "none"),
    "GAN phase": ("none", "scl"),
    "both": ("scl", "scl"),
}
PLACED = "attngan"  # the GAN of that table
CANDIDATES = 100  # captions, or images, among which the own one is to be found
_OF_PRETRAINING = ("pretraining", "pretraining_batch")


@dataclass(frozen=True)
class Budget:
    """Equal for all rows.

    Attributes:
        pretraining, iterations: of DAMSM and of a GAN.
        pretraining_batch, batch: items of a branch; there are two branches, with and without a label loss.
        n_fake: generated images that are judged, one of each caption.
        rate: factor of the config's learning rates in the GAN phase.
    """

    pretraining: int = 300
    iterations: int = 300
    pretraining_batch: int = 24
    batch: int = 8
    n_fake: int = 500
    rate: float = 1.0

    def __post_init__(self) -> None:
        check_whole(1, pretraining=self.pretraining, iterations=self.iterations)
        check_whole(2, pretraining_batch=self.pretraining_batch, batch=self.batch)  # negatives are needed
        check_whole(20, n_fake=self.n_fake)
        check_positive(rate=self.rate)

    def of(self, cell: Cell) -> dict[str, Any]:
        """What two results of a cell must agree on to stand in one table."""
        known = asdict(self)
        return {key: known[key] for key in _OF_PRETRAINING} if cell.pretrains else known


@dataclass(frozen=True)
class Cell:
    """One thing that is trained and judged.

    Attributes:
        model: 'damsm', one of GANS, or 'heads' (the classifiers of GALIP's CLIP, for 'ce').
        pretraining: label loss of the encoders.
        loss: of the GAN phase; '' of encoders.
        seed: of everything.
    """

    model: str
    pretraining: str
    loss: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return "_".join(part for part in (self.model, self.pretraining, self.loss) if part)

    @property
    def pretrains(self) -> bool:
        """Whether it is trained before the GANs."""
        return self.model in ("damsm", "heads")

    def folder(self, out: Path) -> Path:
        """Where its run lies."""
        return out / f"seed{self.seed}" / self.name

    def needs(self) -> list[Cell]:
        """What is trained before it."""
        if self.pretrains:
            return []
        if self.model == "galip":
            return [heads(self.seed)] if self.loss == "ce" else []
        return [encoders(self.pretraining, self.seed)]


def encoders(loss: str, seed: int) -> Cell:
    """DAMSM with a label loss."""
    return Cell("damsm", loss, "", seed)


def heads(seed: int) -> Cell:
    """Classifiers of the codes of GALIP's CLIP, which has no pre-training here."""
    return Cell("heads", "ce", "", seed)


def gan(model: str, loss: str, seed: int) -> Cell:
    """A GAN with its label loss in both phases; GALIP's CLIP stays as it is."""
    return Cell(model, "none" if model == "galip" else loss, loss, seed)


def placed(place: str, seed: int) -> Cell:
    """The GAN of the placement table."""
    return Cell(PLACED, *PLACES[place], seed)


def cells(parts: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """All that the parts need, each once, seed by seed: what is there early is a table of fewer seeds."""
    found: dict[Cell, None] = {}
    for seed in seeds:
        for cell in _of_seed(parts, seed):
            found |= dict.fromkeys([*cell.needs(), cell])
    return list(found)


def _of_seed(parts: Sequence[str], seed: int) -> Iterator[Cell]:
    if "encoders" in parts:
        yield from (encoders(loss, seed) for loss in LOSSES)
    if "gans" in parts:
        yield from (gan(model, loss, seed) for model in GANS for loss in LOSSES)
    if "placement" in parts:
        yield from (placed(place, seed) for place in PLACES)
