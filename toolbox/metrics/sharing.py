"""What the ranks of a run do together for a metric: each its share, one result or one error for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from toolbox import ranks

T = TypeVar("T")


def share_of_batches(number: int) -> bool:
    """Whether batch ``number`` is this rank's: they go round, so that batches are the same for any number of ranks."""
    return number % ranks.world() == ranks.rank()


def together(work: Callable[[], T]) -> T:
    """``work()`` on every rank; when it fails on one, all fail with its error instead of waiting for that rank.

    Raises:
        Exception: this rank's own, or the first other rank's, of its class and text.
    """
    if not ranks.running():
        return work()
    result, error = None, None
    try:
        result = work()
    except Exception as own:
        error = own
    errors = ranks.gather_objects(None if error is None else (type(error), str(error)))
    if error is not None:
        raise error
    for other, found in enumerate(errors):
        if found is not None:
            raise _as_raised(found[0], found[1], other)
    return result  # type: ignore[return-value]


def on_main(work: Callable[[], T]) -> T:
    """``work()`` on rank 0 alone; its result, or its error, on all."""
    found = together(lambda: work() if ranks.is_main() else None)
    return ranks.from_main(found)


def gather_to_main(value: Any) -> list[Any]:
    """Every rank's ``value`` (picklable), in the order of the ranks, on rank 0; an empty list on the others."""
    if not ranks.running():
        return [value]
    values: list[Any] | None = [None] * ranks.world() if ranks.is_main() else None
    torch.distributed.gather_object(value, values)
    return values or []


def _as_raised(kind: type[Exception], text: str, rank: int) -> Exception:
    try:
        return kind(text)
    except Exception:  # its class wants other arguments
        return RuntimeError(f"{kind.__name__} of rank {rank}: {text}")
