"""Draws for the rows of a batch that are at hand, when the batch itself is larger.

A batch may be spread over processes and split for gradient accumulation. What is drawn for its images is
drawn for all of them, on every process alike, and each keeps its own rows: so that the split changes no
image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Rows ``start`` to ``stop`` of a batch of ``total``."""

    start: int
    stop: int
    total: int

    @classmethod
    def all(cls, n: int) -> Rows:
        """The whole of a batch of n."""
        return cls(0, n, n)

    def __len__(self) -> int:
        return self.stop - self.start

    def fewer(self, shrink: int) -> Rows:
        """The part, at the same place, of a batch with one row for every ``shrink`` of these (rounded up)."""
        size = -(-len(self) // shrink)
        part = self.start // len(self)  # which of the equal parts of the whole these rows are
        parts = self.total // len(self)
        return Rows(part * size, (part + 1) * size, parts * size)

    @property
    def here(self) -> slice:
        """To index what was drawn for the whole batch."""
        return slice(self.start, self.stop)


class RowGenerator(torch.Generator):
    """A CPU generator that knows for which rows it draws; pass it to :func:`draw_rows`."""

    rows: Rows

    @classmethod
    def of(cls, seed: int, rows: Rows) -> RowGenerator:
        """A generator for some rows, in the state of ``seed``."""
        generator = cls()
        generator.manual_seed(seed)
        generator.rows = rows
        return generator


def draw_rows(draw: Callable[[int], Tensor], n: int, rng: torch.Generator | None) -> Tensor:
    """(n, ...) draws, one row an image: ``draw(n)``, or the rows at hand of a draw for the whole batch.

    Args:
        draw: number of rows -> tensor of so many rows, drawn from ``rng``:
            ``draw_rows(lambda n: torch.rand(n, 1, generator=rng), len(images), rng)``.
        n: images at hand; with a :class:`RowGenerator` a multiple k of its rows (real and generated ones
            joined).
        rng: any generator.

    Raises:
        ValueError: when n is no multiple of the generator's rows.
    """
    if not isinstance(rng, RowGenerator):
        return draw(n)
    rows = rng.rows
    copies, rest = divmod(n, len(rows))
    if rest:
        raise ValueError(
            f"draws for n={n} images were asked of a generator for {len(rows)} rows: n must be a multiple"
        )
    whole = draw(copies * rows.total)
    return whole.view(copies, rows.total, *whole.shape[1:])[:, rows.here].flatten(0, 1)
