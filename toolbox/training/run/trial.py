"""One iteration on a few images, before a run: what only playing finds costs no training."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.data.stream import Stream
from toolbox.randomness import globals_kept
from toolbox.registry import BuildError
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.game.phases import PlanError

if TYPE_CHECKING:
    from toolbox.training.game.game import Game
    from toolbox.training.run.prepare import Stage

_SIZES = ((24, 4), (240, 16))  # (images a class that are prepared on, images a step); the next if one fails
_MOST_PIXELS = 2**19  # of an iteration's images: 8 of 256 x 256 pixels
_FINAL = (ConfigError, BuildError, PlanError, CheckpointError, NotImplementedError, AttributeError, TypeError)


@dataclass
class Trial:
    """What a trial leaves.

    Attributes:
        game: prepared on ``images`` and moved by one iteration; or as it was, where none was played.
        images: a few of the training data; None = no iteration was played.
        wrappers: the players' optimisers.
        remark: why no iteration was played; or ''.
    """

    game: Game
    images: Any = None
    wrappers: Any = None
    remark: str = ""

    @property
    def played(self) -> bool:
        """Whether an iteration was played."""
        return self.images is not None


def try_iteration(stage: Stage, game: Game) -> Trial:
    """Prepare a game on a few images and play its first iteration, in which every phase takes place.

    Draws, weights and data of the run are left alone. What fails on very few images is tried on more.

    Args:
        stage: checked.
        game: of it, not compiled; spent afterwards.

    Raises:
        ConfigError: for a game that cannot be played, with what it said.
        PlanError: for a network that a player moves and no loss reaches.
    """
    if ranks.running():
        return Trial(game)
    error: Exception | None = None
    for per_class, per_step in _SIZES:
        images = few(stage.loader.dataset, per_class)
        pixels = pixels_of(game, images[0])
        n = _batch(stage, game, per_step, pixels)
        if n * pixels > _MOST_PIXELS:
            break
        try:
            with quietly():
                return _play(stage, game, images, n)
        except Exception as found:
            if _lacks_memory(found):
                return Trial(game, remark=f"no iteration was tried: {found}")
            error = found
        if isinstance(error, _FINAL):
            break
        game = stage.build_game(filled_later=True, compile=False)
    if error is not None:
        raise _refusal(error) from error
    return Trial(game, remark=f"no iteration was tried: {n} images of {pixels:,} pixels take long on a CPU")


def pixels_of(game: Game, item: Any) -> int:
    """Of an item's image; of a generated one for an item without."""
    if "images" in item:
        return int(item["images"][0].numel())
    size = getattr(game.networks[game.generator], "image_size", 1) if game.generator in game.networks else 1
    return int(size) ** 2


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def _play(stage: Stage, game: Game, images: Any, n: int) -> Trial:
    wrappers = PlayerOptimizers(stage.config.optim_wrapper)(game)
    game.train()
    game.prepare(images)
    game.prepare_latents(trial=True)
    reached: set[int] = set()
    for _, wrapper in wrappers.items():
        wrapper.optimizer.register_step_pre_hook(
            lambda optimizer, *_: reached.update(_with_gradient(optimizer))
        )
    play_first(game, wrappers, images, n)
    _check_all_are_reached(game, reached)
    return Trial(game, images, wrappers)


def play_first(game: Game, wrappers: Any, images: Any, n: int) -> None:
    """The first iteration, on n images spread over the labels; what moves is marked as before."""
    game.count_from(0, int(game.images_seen))
    moving = [(parameter, parameter.requires_grad) for parameter in game.parameters()]
    items = [images[int(row)] for row in _over_labels(images, n)]
    game.train_step(torch.utils.data.default_collate(items), wrappers)
    for parameter, moves in moving:
        parameter.requires_grad_(moves)


def _over_labels(images: Any, n: int) -> np.ndarray:
    """n entries, evenly spaced when sorted by label: classes that take turns must not all be one."""
    labels = getattr(images, "entry_labels", None)
    order = np.arange(len(images)) if labels is None else np.argsort(labels, kind="stable")
    return order[np.linspace(0, len(images), n, endpoint=False).astype(int) % len(images)]


def _with_gradient(optimizer: torch.optim.Optimizer) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"] if p.grad is not None}


def _check_all_are_reached(game: Game, reached: set[int]) -> None:
    """A network that a player moves, that no loss is of and no gradient came to, would never be trained."""
    with_loss = {network for step in game.steps for _, network in step.terms}
    for player, members in game.players.items():
        for name in members:
            own = {id(parameter) for parameter in game.networks[name].parameters()}
            if name not in with_loss and not own & reached:
                raise PlanError(
                    f"model.players.{player} moves {name!r}, but no loss reaches it, so it would never be "
                    f"trained: the phases minimise losses of {', '.join(sorted(with_loss))}. Give an "
                    "objective its name, or take it out of the player"
                )


def _batch(stage: Stage, game: Game, per_step: int, pixels: int) -> int:
    """Images of a small iteration: each step has a part of what it has in the run, of large images less."""
    per_step = min(per_step, max(_MOST_PIXELS // (4 * pixels), 1))
    unit = game.repeats * game.plan.splits
    share = max(int(stage.config.train_dataloader["batch_size"]) // unit, 1)
    return unit * next((n for n in range(min(per_step, share), share) if share % n == 0), share)


def few(data: Any, per_class: int = _SIZES[0][0]) -> Any:
    """A Stream of a few images a class, and as few whose label is hidden, that takes no time to prepare.

    Data that are no Stream are given back as they are.
    """
    if not isinstance(data, Stream):
        return data
    from toolbox.data.relabelled import Subset

    visible, seen = data.visible_labels, np.unique(data.entries)
    kinds = [seen[visible[seen] == label] for label in range(-1, len(data.source.classes))]
    hidden = _spread(kinds[0], per_class)
    chosen = np.sort(np.concatenate([hidden, *(_spread(kind, per_class) for kind in kinds[1:])]))
    split = None if data.split is None else _split_of(data.split, chosen)
    return data.of(Subset(data.source, chosen), split)


def _spread(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, evenly spaced."""
    if len(numbers) <= most:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, most).astype(int)]


def _split_of(split: Any, chosen: np.ndarray) -> Any:
    """A split of all images, of the chosen ones alone."""
    from dataclasses import replace

    labelled, hidden = (np.flatnonzero(np.isin(chosen, rows)) for rows in (split.labelled, split.unlabelled))
    return replace(split, labelled=labelled, unlabelled=hidden)


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings and log lines of data that are not the run's; global generators stay as they are."""
    logging.disable(logging.INFO)
    try:
        with globals_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _refusal(error: Exception) -> Exception:
    """What is raised for an error while playing: ours as they are, others with what they come from."""
    if isinstance(error, (ConfigError, BuildError, PlanError, CheckpointError)):
        return error
    text = " ".join(str(error).split())
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    return ConfigError(f"the first iteration cannot be played: {kind}{text}")
