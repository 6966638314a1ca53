"""Several processes as one: what is summed, gathered and agreed on over the ranks of a run.

Without a process group every function is the identity, so that callers need not ask. All of them are
collective: every rank must call them, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def running() -> bool:
    """Whether this process belongs to a group of several."""
    return world() > 1


def rank() -> int:
    """Number of this process, 0 first."""
    return torch.distributed.get_rank() if _grouped() else 0


def world() -> int:
    """How many processes play the game together."""
    return torch.distributed.get_world_size() if _grouped() else 1


def is_main() -> bool:
    """Whether this process is the one that speaks and writes files."""
    return rank() == 0


def is_mine(number: int) -> bool:
    """Whether batch ``number`` is this rank's: dealt in turn, so that batches do not depend on the world."""
    return number % world() == rank()


def sum_over_ranks(value: Tensor) -> Tensor:
    """Elementwise sum of every rank's ``value`` (of one shape and dtype); a new tensor, without gradient."""
    total = value.detach().clone()
    if running():
        torch.distributed.all_reduce(total)
    return total


def mean_over_ranks(value: Tensor) -> Tensor:
    """Elementwise mean of every rank's floating ``value``; a new tensor, without gradient."""
    return sum_over_ranks(value) / world()


def gather_rows(value: Tensor) -> Tensor:
    """(world * n, ...) of every rank's rows (n, ...), n equal on all; in rank order, without gradient."""
    if not running():
        return value.detach()
    parts = [torch.empty_like(value) for _ in range(world())]
    torch.distributed.all_gather(parts, value.detach().contiguous())
    return torch.cat(parts)


def gather_rows_with_gradient(value: Tensor) -> Tensor:
    """:func:`gather_rows` for terms that couple the images of a batch (contrastive losses, batch statistics).

    The gradient of the gathered rows flows back to the rank that made them. A loss computed from gathered
    rows on every rank is the same number on all, and its gradient comes back summed over ranks; as gradients
    are averaged over ranks afterwards, the result is that of one process.
    """
    if not running():
        return value
    from torch.distributed.nn.functional import all_gather

    parts = all_gather(value)
    for part in parts:
        if part.requires_grad:
            part.register_hook(Tensor.contiguous)  # torch sends a transposed gradient in the wrong order
    return torch.cat(parts)


def gather_objects(value: Any) -> list[Any]:
    """Every rank's ``value`` (picklable), in rank order, on all ranks; between processes of one run only."""
    if not running():
        return [value]
    values: list[Any] = [None] * world()
    torch.distributed.all_gather_object(values, value)
    return values


def from_main(value: Any) -> Any:
    """Rank 0's ``value`` (picklable) on every rank: how one decision becomes everybody's."""
    if not running():
        return value
    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


@torch.no_grad()
def copy_from_main(tensors: Sequence[Tensor]) -> None:
    """Overwrite tensors in place with rank 0's."""
    if running():
        for tensor in tensors:
            torch.distributed.broadcast(tensor, src=0)


def together(work: Callable[[], T]) -> T:
    """``work()`` on every rank; when it fails on one, all fail with its error instead of waiting for it.

    Raises:
        Exception: this rank's own, or the first other rank's, of its class and text.
    """
    if not running():
        return work()
    result, error = None, None
    try:
        result = work()
    except Exception as own:
        error = own
    errors = gather_objects(None if error is None else (type(error), str(error)))
    if error is not None:
        raise error
    for other, found in enumerate(errors):
        if found is not None:
            raise _as_raised(found[0], found[1], other)
    return result  # type: ignore[return-value]


def on_main(work: Callable[[], T]) -> T:
    """``work()`` on rank 0 alone; its result, or its error, on all."""
    found = together(lambda: work() if is_main() else None)
    return from_main(found)


def gather_to_main(value: Any) -> list[Any]:
    """Every rank's ``value`` (picklable), in rank order, on rank 0; an empty list on the others."""
    if not running():
        return [value]
    values: list[Any] | None = [None] * world() if is_main() else None
    torch.distributed.gather_object(value, values)
    return values or []


def _grouped() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _as_raised(kind: type[Exception], text: str, rank: int) -> Exception:
    try:
        return kind(text)
    except Exception:  # its class wants other arguments
        return RuntimeError(f"{kind.__name__} of rank {rank}: {text}")
