"""Several processes as one: what is summed, gathered and agreed on over the ranks of a run.

Without a process group every function is the identity, so that callers need not ask. All of them are collective: every
rank must call them, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


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


def sum_over_ranks(value: Tensor) -> Tensor:
    """Elementwise sum of every rank's ``value`` (same shape and dtype on all); a new tensor, without gradient."""
    total = value.detach().clone()
    if running():
        torch.distributed.all_reduce(total)
    return total


def mean_over_ranks(value: Tensor) -> Tensor:
    """Elementwise mean of every rank's floating ``value``; a new tensor, without gradient."""
    return sum_over_ranks(value) / world()


def gather_rows(value: Tensor) -> Tensor:
    """(world * n, ...): every rank's rows (n, ...), in the order of the ranks, without gradient. n must be equal on all."""
    if not running():
        return value.detach()
    parts = [torch.empty_like(value) for _ in range(world())]
    torch.distributed.all_gather(parts, value.detach().contiguous())
    return torch.cat(parts)


def gather_rows_with_gradient(value: Tensor) -> Tensor:
    """:func:`gather_rows` for terms that couple the images of a batch (contrastive losses, batch statistics).

    The gradient of the gathered rows flows back to the rank that made them. A loss computed from gathered rows on every
    rank is the same number on all, and its gradient comes back summed over ranks; as gradients are averaged over ranks
    afterwards, the result is that of one process.
    """
    if not running():
        return value
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(value))


def gather_objects(value: Any) -> list[Any]:
    """Every rank's ``value`` (picklable; between processes of one run only), in the order of the ranks, on all ranks."""
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


def wait_for_all() -> None:
    """Return when every rank is here."""
    if running():
        torch.distributed.barrier()


def _grouped() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
