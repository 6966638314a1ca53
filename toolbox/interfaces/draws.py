"""Draws for the rows of a batch that are at hand, when the batch itself is larger.

A batch may be spread over processes and split for gradient accumulation. What is drawn for its images is
drawn for all of them, on every process alike, and each keeps its own rows: so that the split changes no
image.

On a CPU everything is drawn there, for the whole batch. On another device what is asked for (latents,
conditions) is still drawn by the CPU, the same numbers; noise and augmentation are drawn on that device by
:func:`normal_rows` and its sisters: other numbers, but the same function of seed and iteration.
"""

from __future__ import annotations

import hashlib
import math
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
    _seed: int
    _drawn: int  # draws that were made in blocks

    @classmethod
    def of(cls, seed: int, rows: Rows) -> RowGenerator:
        """A generator for some rows, in the state of ``seed``."""
        generator = cls()
        generator.manual_seed(seed)
        generator.rows = rows
        generator._seed = seed
        generator._drawn = 0
        return generator

    def there(self, device: torch.device) -> torch.Generator:
        """A generator on ``device``, made once, whose seed follows from this one's."""
        made: dict[torch.device, torch.Generator] = self.__dict__.setdefault("_made", {})
        if device not in made:
            made[device] = _on(device, _mixed(self._seed, "there"))
        return made[device]

    def next_block(self) -> int:
        """Number of a draw that is made block by block."""
        self._drawn += 1
        return self._drawn


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
    copies = _copies(n, rows)
    whole = draw(copies * rows.total)
    return whole.view(copies, rows.total, *whole.shape[1:])[:, rows.here].flatten(0, 1)


_BLOCK = 8  # rows that are drawn together on a device
_LARGE = 256  # numbers a row from which they are drawn in blocks


def normal_rows(n: int, *shape: int, rng: torch.Generator | None, device: torch.device) -> Tensor:
    """(n, *shape) of N(0, 1) on ``device``, one row an image; see :func:`draw_rows`."""
    return _rows(torch.randn, n, shape, rng, device)


def uniform_rows(n: int, *shape: int, rng: torch.Generator | None, device: torch.device) -> Tensor:
    """(n, *shape) of U(0, 1) on ``device``, one row an image; see :func:`draw_rows`."""
    return _rows(torch.rand, n, shape, rng, device)


def whole_rows(
    low: int, high: int, n: int, *shape: int, rng: torch.Generator | None, device: torch.device
) -> Tensor:
    """(n, *shape) int64 whole numbers from low to high, both included, on ``device``.

    One row an image; see :func:`draw_rows`.
    """

    def draw(size: tuple[int, ...], **where: object) -> Tensor:
        return torch.randint(low, high + 1, size, **where)  # type: ignore[call-overload]

    return _rows(draw, n, shape, rng, device)


def _rows(
    draw: Callable[..., Tensor],
    n: int,
    shape: tuple[int, ...],
    rng: torch.Generator | None,
    device: torch.device,
) -> Tensor:
    if device.type == "cpu" or not isinstance(rng, RowGenerator):
        return draw_rows(lambda rows: draw((rows, *shape), generator=rng), n, rng).to(device)
    if math.prod(shape) < _LARGE:
        source = rng.there(device)
        return draw_rows(lambda rows: draw((rows, *shape), generator=source, device=device), n, rng)
    return _in_blocks(draw, n, shape, rng, device)


def _in_blocks(
    draw: Callable[..., Tensor], n: int, shape: tuple[int, ...], rng: RowGenerator, device: torch.device
) -> Tensor:
    """Rows drawn in blocks of a fixed size, each from a seed of its own: only those that hold rows at hand.

    So a process among many draws its own share, and the same numbers as one process would.
    """
    rows = rng.rows
    number = rng.next_block()
    parts = []
    for copy in range(_copies(n, rows)):
        first, last = rows.start // _BLOCK, -(-rows.stop // _BLOCK)
        seeds = [_mixed(rng._seed, f"{number}/{copy}/{block}") for block in range(first, last)]
        drawn = [draw((_BLOCK, *shape), generator=_on(device, seed), device=device) for seed in seeds]
        parts.append(torch.cat(drawn)[rows.start - first * _BLOCK :][: len(rows)])
    return torch.cat(parts)


def _copies(n: int, rows: Rows) -> int:
    copies, rest = divmod(n, len(rows))
    if rest:
        raise ValueError(
            f"draws for n={n} images were asked of a generator for {len(rows)} rows: n must be a multiple"
        )
    return copies


def _on(device: torch.device, seed: int) -> torch.Generator:
    """A generator for draws on ``device``; the meta device, which makes no numbers, has none of its own."""
    kind = "cpu" if device.type == "meta" else device
    return torch.Generator(kind).manual_seed(seed)


def _mixed(seed: int, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:8], "little") >> 1
