"""What hooks share."""

from __future__ import annotations

from typing import Any


def game_of(runner: Any) -> Any:
    """The Game inside a runner, unwrapped."""
    return getattr(runner.model, "module", runner.model)
