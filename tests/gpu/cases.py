"""What the parts of ``make gpu`` share: cases that are played one by one, and how far numbers may lie apart.

float32 rounds at 6e-8. Another device adds up the same products in another order; sums of thousands of them
through tens of layers then differ by 1e-6 to 2e-5. A value may be off by ``FORWARD``, five times that. Where
the input of a ReLU is within rounding of 0, a gradient is there on one device and not on the other. A share e
of them, as large as the values are off, moves a whole gradient by the root of e. So one may be off by
``GRADIENT``, the root of ``FORWARD`` (6e-3 were found between two libraries of one CPU). A wrong kernel or
layout is off by far more, and TF32, which rounds products at 5e-4, by more than ``FORWARD``.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from toolbox.tf32 import tf32 as allowed

FORWARD = 1e-4  # relative to the largest value
GRADIENT = 1e-2  # relative to the length of a parameter's gradient
KEPT = 1e-3  # of statistics that are kept: differences of sums


@dataclass(frozen=True)
class Found:
    """What a case found.

    Attributes:
        says: in words, for the table.
        wrong: what is not as it must be; '' = all is well.
        values: numbers, for ``gpu.json``.
    """

    says: str
    wrong: str = ""
    values: dict[str, Any] = field(default_factory=dict)


class LeftOutError(Exception):
    """A case that cannot be played here, and why."""


Case = tuple[str, Callable[[], Found]]
Write = Callable[[dict[str, Any]], None]


def play(
    cases: Iterable[Case], write: Write, deadline: float, only: str = "", done: Iterable[str] = ()
) -> None:
    """Play cases in order, and write a line before and after each.

    Args:
        cases: (name, what to call).
        write: keeps a record: ``name`` and ``state``, which is 'begun', then 'fine', 'wrong' (numbers),
            'failed' (an error), 'left out' or 'no time'.
        deadline: of ``time.monotonic``; later cases are not begun.
        only: part of the names to play.
        done: names to pass over.

    Raises:
        RuntimeError: of a device that answers no more; what is left needs another process.
    """
    passed = set(done)
    for name, case in cases:
        if only not in name or name in passed:
            continue
        if time.monotonic() >= deadline:
            write(dict(name=name, state="no time"))
            continue
        write(dict(name=name, state="begun"))
        write(dict(name=name, **_played(case)))
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # raises where an illegal access has spoilt the device


def _played(case: Callable[[], Found]) -> dict[str, Any]:
    start = time.monotonic()
    try:
        found = case()
        state = "wrong" if found.wrong else "fine"
        record = dict(state=state, says=found.wrong or found.says, values=found.values)
    except LeftOutError as reason:
        record = dict(state="left out", says=str(reason))
    except Exception as error:
        says = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        record = dict(state="failed", says=says, trace=traceback.format_exc())
    return dict(record, seconds=round(time.monotonic() - start, 2))


@contextmanager
def multiplying(tf32: bool) -> Iterator[None]:
    """Products of float32, in matrix products and in convolutions, with or without TF32, games included."""
    with allowed(tf32), patch("toolbox.training.game.game.tf32", lambda _: allowed(tf32)):
        yield


def off(here: Tensor, there: Tensor) -> float:
    """Largest difference, relative to the largest value of the CPU's, ``there``; inf for another shape."""
    here, there = here.detach().cpu().double(), there.detach().double()
    if here.shape != there.shape or not bool(here.isfinite().all()):
        return float("inf")
    if not there.numel():
        return 0.0
    return float((here - there).abs().max() / there.abs().max().clamp(min=1e-30))


def gradients_off(here: dict[str, Tensor | None], there: dict[str, Tensor | None]) -> tuple[float, str]:
    """(how far off, of which parameter) the worst gradient is: |a - b| / |b|.

    One that is little but rounding (of a bias before a BatchNorm, of a single gain) is measured by a
    hundredth of the longest one.
    """
    lengths = {name: float(value.double().norm()) for name, value in there.items() if value is not None}
    least = 1e-2 * max(lengths.values(), default=0.0) + 1e-30
    worst, whose = 0.0, ""
    for name, value in there.items():
        other = here[name]
        if value is None and other is None:
            continue
        apart = float("inf")
        if value is not None and other is not None:
            apart = float((other.detach().cpu().double() - value.double()).norm()) / max(lengths[name], least)
        if not apart <= worst:  # NaN, too
            worst, whose = apart if apart == apart else float("inf"), name
    return worst, whose
