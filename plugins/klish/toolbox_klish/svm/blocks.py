"""Features as blocks of rows: from an array, a memory map, or chunks that need not fit in memory together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox.interfaces import Features
from toolbox.ranks import gather_objects, rank, sum_over_ranks, together
from toolbox_klish.svm.products import second_moments

DTYPES = {"float32": torch.float32, "float64": torch.float64}
BLOCK_BYTES = {"cpu": 16 * 2**20, "cuda": 2**30}
_CONVERT_ONCE = 2 * 2**30  # bytes up to which an array of another type is converted once, not in every pass


class FeatureBlocks:
    """This rank's rows of features, read block by block as often as needed, and checked once.

    Args:
        features: array (N, D), memory map, or an iterable of chunks (n_i, D). One that can be iterated again
            and again is never held as a whole; a generator, which can be read only once, is.
        precision: 'float32' or 'float64', of the blocks.
        rounded: whether second moments may be of products rounded to TF32
            (:func:`toolbox_klish.svm.products.second_moments`).
        device: where the blocks are needed. On a GPU the features stay there if they fill less than 80 % of
            what is free.

    Attributes:
        rows: N on this rank.
        total: N over all ranks.
        first: number of this rank's first row among all.
        width: D.
        fingerprint: of this rank's rows: their number, the first block, the range of each column.
        same: whether all ranks hold the very same rows, which then count once (always so in a single
            process).

    Raises:
        ValueError: for a wrong shape, no rows, NaN or infinite values, or rows that are all equal.
    """

    def __init__(
        self,
        features: Features,
        precision: str = "float32",
        device: torch.device | str = "cpu",
        rounded: bool = False,
    ) -> None:
        self.dtype = DTYPES[precision]
        self.device = torch.device(device)
        self.rounded = rounded
        self._source = self._hold(_as_source(features))
        self.rows, lowest, highest = together(self._check)
        self.width = len(lowest)
        self.fingerprint = _fingerprint(self.rows, next(iter(self))[1], lowest, highest)
        self.same = len(set(gather_objects(self.fingerprint))) == 1
        # rows are numbered over all ranks, one rank after the other; ranks with the same rows count as one
        everyone = [self.rows] if self.same else gather_objects(self.rows)
        self.total = sum(everyone)
        self.first = 0 if self.same else sum(everyone[: rank()])
        if self.rows > 1 and not int(self.sum((lowest < highest).any().long())):
            raise ValueError(
                f"features are constant: all {self.rows} rows are equal, so that no cluster can be told from "
                "another; check the layers they were taken from"
            )
        self._moments: Tensor | None = None

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """(rows of this rank, their features (n, D) on the device), in order."""
        start = 0
        for block in self._raw():
            yield slice(start, start + len(block)), self._on_device(block)
            start += len(block)

    def need(self, number: int, argument: str = "clusters") -> None:
        """Raise a ValueError if there are fewer rows than ``number``."""
        if self.total < number:
            raise ValueError(
                f"{self.total} rows of features cannot make {argument}={number}: ask for at most {self.total}"
            )

    def take(self, wanted: NDArray[np.integer]) -> NDArray[np.floating]:
        """Features of rows by their sorted numbers over all ranks, on every rank."""
        mine = wanted[(wanted >= self.first) & (wanted < self.first + self.rows)] - self.first
        parts = []
        for at, block in self:
            inside = mine[(mine >= at.start) & (mine < at.stop)] - at.start
            parts.append(block[torch.from_numpy(inside).to(self.device)].cpu().numpy())
        own = np.concatenate(parts)
        return own if self.same else np.concatenate(gather_objects(own))

    def sum(self, value: Tensor) -> Tensor:
        """Elementwise sum of every rank's value, a new tensor; its own where all hold the same rows."""
        return value.clone() if self.same else sum_over_ranks(value)

    def moments(self) -> Tensor:
        """(D + 1, D + 1) sum of [x 1] [x 1]^T over this rank's rows, float64; computed once."""
        if self._moments is None:
            size = self.width + 1
            self._moments = torch.zeros(size, size, dtype=torch.float64, device=self.device)
            for _, x in self:
                self._moments += second_moments(x, self.rounded)
        return self._moments

    def _raw(self) -> Iterator[Any]:
        chunks = [self._source] if _is_whole(self._source) else self._source
        for chunk in chunks:
            chunk = chunk if isinstance(chunk, (np.ndarray, Tensor)) else np.asarray(chunk)
            if chunk.ndim != 2:
                raise ValueError(f"features must be (N, D), or chunks (n, D): got shape {tuple(chunk.shape)}")
            step = self._rows_in_a_block(chunk.shape[1])
            yield from (chunk[start : start + step] for start in range(0, len(chunk), step))

    def _rows_in_a_block(self, width: int) -> int:
        size = BLOCK_BYTES["cuda" if self.device.type == "cuda" else "cpu"]
        return max(1024, size // max(1, width * self.dtype.itemsize))

    def _on_device(self, block: Any) -> Tensor:
        if isinstance(block, np.ndarray):
            if block.dtype.name not in ("float16", "float32", "float64"):
                block = block.astype(np.float64)
            if isinstance(block, np.memmap) or not block.flags.writeable:
                block = np.array(block)  # torch warns of arrays that must not be written to
            block = torch.from_numpy(block)
        return block.to(self.device, self.dtype)

    def _hold(self, source: Any) -> Any:
        """The source, converted once or moved to the GPU once where there is room for it."""
        if not _is_whole(source) or source.ndim != 2:
            return source
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            tensor = torch.as_tensor(source)
            return tensor.to(self.device) if tensor.nbytes < 0.8 * free else source
        small = source.shape[0] * source.shape[1] * self.dtype.itemsize <= _CONVERT_ONCE
        return self._on_device(source) if small and not isinstance(source, np.memmap) else source

    def _check(self) -> tuple[int, Tensor, Tensor]:
        """Rows, and (D) lowest and highest value of each column."""
        rows = 0
        width = None
        lowest = highest = torch.zeros(0)
        for block in map(self._on_device, self._raw()):
            if width not in (None, block.shape[1]):
                raise ValueError(
                    f"features: a chunk after row {rows} has {block.shape[1]} columns, "
                    f"those before it {width}"
                )
            width = block.shape[1]
            if not len(block):
                continue
            low = block.amin(dim=0)
            high = block.amax(dim=0)
            if not bool(torch.isfinite(low + high).all()):
                _say_not_finite(block, rows)
            lowest = torch.minimum(lowest, low) if rows else low
            highest = torch.maximum(highest, high) if rows else high
            rows += len(block)
        if not rows or not width:
            raise ValueError(
                f"features hold {rows} rows of {width or 0} numbers: there is nothing to cluster "
                "(an iterator that was read before gives no rows)"
            )
        return rows, lowest, highest


def _fingerprint(rows: int, *parts: Tensor) -> str:
    content = b"".join(part.cpu().numpy().tobytes() for part in parts)
    return f"{hashlib.sha256(content).hexdigest()} {rows}"


def _say_not_finite(block: Tensor, before: int) -> None:
    bad = ~torch.isfinite(block).all(dim=1)
    if bool(bad.any()):
        first = before + int(bad.long().argmax())
        raise ValueError(
            f"features hold NaN or infinite values in {int(bad.sum())} rows or more (first: row {first}); "
            "half precision overflows above 65504: use bfloat16 or float32"
        )


def _is_whole(source: Any) -> bool:
    return isinstance(source, (np.ndarray, Tensor))


def _as_source(features: Features) -> Any:
    """An array or chunks that can be iterated again as they are; an iterator and nested lists as an array."""
    if _is_whole(features):
        return features
    if isinstance(features, (list, tuple)):
        chunks = bool(features) and all(_is_whole(chunk) and chunk.ndim == 2 for chunk in features)
        return features if chunks else np.asarray(features, dtype=np.float64)
    if hasattr(features, "__array__"):
        return np.asarray(features)
    if isinstance(features, Iterable) and iter(features) is features:
        chunks_read = [np.asarray(chunk) for chunk in features]
        return np.concatenate(chunks_read) if chunks_read else np.empty((0, 0))
    if isinstance(features, Iterable):
        return features
    raise ValueError(
        f"features are a {type(features).__name__}: expected an array (N, D) or an iterable of chunks (n, D)"
    )
