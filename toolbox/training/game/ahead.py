"""What generated images are asked to be, drawn by the CPU; on another device, sent along with the batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import Tensor

from toolbox.interfaces import Condition, Rows

Key = tuple[Hashable, Rows, tuple[str, ...]]  # which step asks, for which rows, of which branch
Drawn = tuple[Tensor, Condition]


class AskedAhead:
    """Latents and conditions of an iteration's fakes.

    A draw is a function of seed, iteration and key, so it may be made early: what an iteration of the same
    kind (the same steps due) asked for before is drawn when the next such begins, and goes to the device in
    the batch's own copy. What is asked for the first time makes a copy of its own.

    Args:
        draw: key to latents and condition, on the CPU.
    """

    def __init__(self, draw: Callable[[Key], Drawn]) -> None:
        self._draw = draw
        self._asked: dict[Hashable, dict[Key, None]] = {}  # of each kind of iteration, in order
        self._now: dict[Key, None] = {}
        self._there: dict[Key, Drawn] = {}

    def begin(self, kind: Hashable) -> list[Drawn]:
        """What an iteration of this kind will ask for, to be moved and handed to :meth:`arrived`."""
        self._now = self._asked.setdefault(kind, {})
        self._there = {}
        return [self._draw(key) for key in self._now]

    def begin_lazily(self) -> None:
        """An iteration on the CPU: each draw is made when it is asked for, and nothing has to travel."""
        self._now, self._there = {}, {}

    def arrived(self, drawn: Sequence[Drawn]) -> None:
        """The draws of :meth:`begin`, on the device."""
        self._there = dict(zip(self._now, drawn, strict=True))

    def ask(self, key: Key, move: Callable[[Any], Any]) -> Drawn:
        """Latents and condition of a key on the device."""
        if key not in self._there:
            self._now[key] = None
            self._there[key] = move(self._draw(key))
        return self._there[key]
