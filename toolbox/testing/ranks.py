"""The conformance check of state beside the optimiser: several processes must end as one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.testing.common import close, require
from toolbox.testing.processes import run_ranks
from toolbox.training.game.same_on_ranks import REDUCE, differences, explain

NETWORKS = ("networks.", "average.")
_RATE = 0.01


def check_ranks(
    make_game: Callable[[], Any],
    make_data: Callable[[], Any] | None = None,
    iterations: int = 3,
    batch_size: int = 8,
    world: int = 2,
    tolerance: float = 1e-4,
    compare_networks: bool = True,
) -> None:
    """Play a game in ``world`` processes that see different images, and in one that sees them all.

    - every parameter and buffer (prototypes, banks, running statistics, counters) ends the same on all ranks;
    - and as in the run of one process, up to rounding.

    Args:
        make_game: gives the Game; a function of a module or ``functools.partial`` of one, to be pickled.
        make_data: gives the training set (a Stream); likewise. Default: the embedded fashion images in the
            size of the game's generator.
        iterations: how many are played, with plain gradient descent.
        batch_size: of the whole batch; a multiple of ``world`` times the game's repeats.
        world: number of processes.
        tolerance: of the comparison with one process, relative to the largest value.
        compare_networks: compare networks and their averages with one process's, too; False for games with
            BatchNorm, where each process normalises by its own images.

    Raises:
        AssertionError: naming the buffer or parameter, and what to do.
        RuntimeError: when a process fails.
    """
    arguments = make_game, make_data, iterations, batch_size
    by_rank = run_ranks(_play, *arguments, world=world)
    game = make_game()
    as_bytes = [{key: _bytes(value) for key, value in values.items()} for values in by_rank]
    for name in differences(as_bytes):
        raise AssertionError(explain(name, game))
    (alone,) = run_ranks(_play, *arguments, world=1)
    for name, value in alone.items():
        if compare_networks or not name.startswith(NETWORKS):
            require(_alike(value, by_rank[0].get(name), tolerance), _explain_one(name, game, world))


def _explain_one(name: str, game: Any, world: int) -> str:
    kind, advice = "buffer", REDUCE
    if name in dict(game.named_parameters()):
        kind = "parameter"
        advice = (
            "does a loss couple the images of a batch (toolbox.ranks.gather_rows_with_gradient), take the "
            "mean of some of them (toolbox.losses.selected), or draw for them without draw_rows?"
        )
    if name.startswith(NETWORKS):
        advice += "; with BatchNorm networks do differ: compare_networks=False"
    return f"{kind} {name!r} differs between {world} processes and one: {advice}"


def _play(
    make_game: Callable[[], Any], make_data: Callable[[], Any] | None, iterations: int, batch_size: int
) -> dict[str, Tensor]:
    """Parameters and buffers after some iterations, of this rank's rows of each batch."""
    from torch.utils.data import default_collate

    from toolbox.data.stream import StreamSampler
    from toolbox.training.game.optimizers import PlayerOptimizers

    game = make_game()
    data = _default_data(game) if make_data is None else make_data()
    own = batch_size // ranks.world()
    entries = iter(StreamSampler(data, batch_size=own, parts=game.repeats))
    settings = {player: dict(optimizer=dict(type="SGD", lr=_RATE)) for player in game.players}
    wrappers = PlayerOptimizers(settings)(game)
    game.prepare(data)
    game.share_start()
    game.train()
    for _ in range(iterations):
        game.train_step(default_collate([data[next(entries)] for _ in range(own)]), wrappers)
    return {name: value.detach().clone() for name, value in [*game.named_parameters(), *game.named_buffers()]}


def _default_data(game: Any) -> Any:
    from toolbox.data.stream import Stream

    return Stream(dict(type="EmbeddedFashion", image_size=game.network(game.generator).image_size))


def _bytes(value: Tensor) -> tuple[Any, ...]:
    content = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return value.dtype, tuple(value.shape), content


def _alike(one: Tensor, other: Tensor | None, tolerance: float) -> bool:
    if other is None or one.shape != other.shape:
        return False
    return close(one, other, tolerance) if one.is_floating_point() else torch.equal(one, other)
