"""Checks, in a run of several processes, that whatever a game holds is the same on all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from toolbox import ranks

REDUCE = "reduce what moves it first (game.gather, toolbox.ranks)"


class RanksDifferError(RuntimeError):
    """Processes of one run hold different values of what must be one; the message names them."""


def check_same_on_ranks(game: Any) -> None:
    """Compare a game's parameters and buffers over ranks by digests (collective).

    Networks that come from outside the run never move and are left out.

    Raises:
        RanksDifferError: on all ranks, naming what differs and what to do.
    """
    if not ranks.running():
        return
    digests = {name: _digest(value) for name, value in _entries(game)}
    differing = differences(ranks.gather_objects(digests))
    if not differing:
        return
    lines = [explain(name, game) for name in differing[:5]]
    if len(differing) > 5:
        lines.append(f"and {len(differing) - 5} more")
    raise RanksDifferError("; ".join(lines))


def differences(by_rank: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names whose values are not the same on all ranks, or missing on some."""
    names = dict.fromkeys(name for values in by_rank for name in values)
    return [name for name in names if any(values.get(name) != by_rank[0].get(name) for values in by_rank)]


def explain(name: str, game: Any) -> str:
    """What went wrong with a parameter or buffer, and what to do."""
    if name in dict(game.named_parameters()):
        return (
            f"parameter {name!r} differs between ranks: each must take part in the same optimiser steps, and "
            "nothing else may move a parameter"
        )
    return f"buffer {name!r} differs between ranks: {REDUCE}"


def _entries(game: Any) -> Iterator[tuple[str, Tensor]]:
    outside = tuple(f"networks.{name}." for name in game.from_outside)
    for entries in (game.named_parameters(), game.named_buffers()):
        for name, value in entries:
            if not (outside and name.startswith(outside)):
                yield name, value


def _digest(value: Tensor) -> str:
    data = value.detach().cpu().contiguous()
    head = f"{data.dtype} {tuple(data.shape)} ".encode()
    content = data.reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.blake2b(head + content, digest_size=16).hexdigest()
