"""Which images of a batch an optimiser step looks at, on this rank, one split after the other."""

from __future__ import annotations

from collections.abc import Iterator

from toolbox import ranks
from toolbox.interfaces import Rows
from toolbox.training.game.phases import Phase, PlanError


def splits(n: int, repeats: int, phase: Phase, part: int) -> Iterator[tuple[int, Rows]]:
    """What is computed at a time: the first image in this rank's batch, and the rows in the part of all
    ranks.

    A rank's batch of n images is cut into ``repeats`` parts, one for each repetition of a phase; a phase that
    does not repeat sees the last. Rank r holds the r-th slice of a part; ``accumulate`` cuts that slice
    again:

        part of all ranks   | rank 0: split 0, split 1 | rank 1: split 0, split 1 | ...

    Args:
        n: images of an iteration on this rank.
        repeats: parts of the batch.
        phase: whose step it is.
        part: number of the repetition.

    Raises:
        PlanError: where n cannot be cut equally.
    """
    size = n // repeats  # images of a part on this rank
    at_once, rest = divmod(size, phase.accumulate)
    if rest or n % repeats:
        needed = repeats * phase.accumulate * ranks.world()
        raise PlanError(
            f"{n} images on each process cannot be split into {repeats} equal parts (phases repeat) "
            f"times {phase.accumulate} (accumulate): make train_dataloader.batch_size a multiple of {needed}"
        )
    index = part if phase.repeat > 1 else repeats - 1
    for split in range(phase.accumulate):
        first = split * at_once
        start = ranks.rank() * size + first
        yield index * size + first, Rows(start, start + at_once, size * ranks.world())
