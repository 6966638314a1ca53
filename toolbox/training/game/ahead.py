"""What an iteration draws by the CPU; on another device, sent along with the batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

Draw = Callable[[], Any]


class AskedAhead:
    """Draws of an iteration: what its fakes are asked to be, how discriminators see their images.

    A draw is a function of seed, iteration and key, so it may be made early: what the last iteration of the
    same kind (the same steps due) asked for is drawn when the next such begins, and goes to the device in the
    batch's own copy. What was not asked for before makes a copy of its own.
    """

    def __init__(self) -> None:
        self._asked: dict[Hashable, dict[Hashable, Draw]] = {}  # by the last iteration of each kind, in order
        self._now: dict[Hashable, Draw] = {}
        self._expected: list[Hashable] = []
        self._there: dict[Hashable, Any] = {}

    def begin(self, kind: Hashable) -> list[Any]:
        """What an iteration of this kind will ask for, to be moved and handed to :meth:`arrived`."""
        expected = self._asked.get(kind, {})
        self._asked[kind] = self._now = {}
        self._expected, self._there = list(expected), {}
        return [draw() for draw in expected.values()]

    def begin_lazily(self) -> None:
        """An iteration on the CPU: each draw is made when it is asked for, and nothing has to travel."""
        self._now, self._there = {}, {}

    def arrived(self, drawn: Sequence[Any]) -> None:
        """The draws of :meth:`begin`, on the device."""
        self._there = dict(zip(self._expected, drawn, strict=True))

    def ask(self, key: Hashable, draw: Draw, move: Callable[[Any], Any]) -> Any:
        """The draw of a key, on the device; ``draw`` makes it on the CPU, for the iteration under way."""
        self._now[key] = draw
        if key not in self._there:
            self._there[key] = move(draw())
        return self._there[key]
