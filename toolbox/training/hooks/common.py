"""What hooks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolbox.training.game.game import Game


def game_of(runner: Any) -> Game:
    """The Game inside a runner, unwrapped."""
    game: Game = getattr(runner.model, "module", runner.model)
    return game
