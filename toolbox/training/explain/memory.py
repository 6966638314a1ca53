"""How much memory a game will take: weights and optimiser state counted, activations scaled up."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.run.trial import few, pixels_of, play_first, quietly

if TYPE_CHECKING:
    from toolbox.training.game.game import Game

_MOST_PIXELS = 2**17  # of the images of the smaller batch, for each factor


@dataclass(frozen=True)
class Memory:
    """Bytes.

    Attributes:
        weights: parameters and buffers of networks, objectives and the conditioner's extractor.
        conditioner: what it keeps of the training images, scaled up.
        gradients: of what one player moves, the largest.
        optimizers: state of all optimisers after their first step.
        averages: averaged copies.
        passes: an iteration's activations and temporary tensors, estimated; gradients are not in it.
    """

    weights: int
    conditioner: int
    gradients: int
    optimizers: int
    averages: int
    passes: int

    @property
    def total(self) -> int:
        """All together."""
        return sum(getattr(self, field.name) for field in fields(self))


def estimate(game: Game, optimizers: Mapping[str, Any], stream: Any, batch_size: int) -> Memory:
    """Play a game's first iteration on two small batches and scale up; the game is spent afterwards.

    Peak memory is taken to grow linearly with the batch, which terms that compare all pairs of images do not
    keep to. The allocator's own losses, loader workers and what a GPU library takes for itself (some hundred
    MB) are not in it.

    Args:
        game: a Game, not compiled.
        optimizers: the config's ``optim_wrapper``.
        stream: training data.
        batch_size: images of an iteration on one process.
    """
    with quietly():
        wrappers = PlayerOptimizers(optimizers)(game)
        sample = few(stream)
        game.train()
        game.prepare(sample)
        game.prepare_latents(trial=True)
        return estimate_prepared(game, wrappers, sample, stream, batch_size)


def estimate_prepared(game: Game, wrappers: Any, sample: Any, stream: Any, batch_size: int) -> Memory:
    """:func:`estimate` of a game that is prepared on ``sample``, a few images of ``stream``."""
    unit = game.repeats * game.plan.splits
    per_image = pixels_of(game, sample[0])
    each = min(max(_MOST_PIXELS // per_image, 1), 8)
    small = [min(unit * max(factor * each // unit, factor), batch_size) for factor in (2, 4)]
    play_first(game, wrappers, sample, small[0])  # optimisers make their state in the first step
    peaks = [peak_of(lambda n=n: play_first(game, wrappers, sample, n)) for n in small]  # type: ignore[misc]
    slope = (peaks[1] - peaks[0]) / (small[1] - small[0]) if small[1] > small[0] else 0.0
    peak = peaks[1] + slope * (batch_size - small[1])
    kept = _bytes([*game.conditioner.parameters(), *game.conditioner.buffers()])
    return _add_up(game, wrappers, round(peak), round(kept * len(stream) / len(sample)))


def _add_up(game: Game, wrappers: Any, peak: int, kept: int) -> Memory:
    gradients = max(_bytes(game.trained_parameters(player)) for player in game.players)
    weights: list[Tensor] = []
    for part in (game.networks, game.objectives, game.conditioner.extractor):
        if isinstance(part, torch.nn.Module):
            weights += [*part.parameters(), *part.buffers()]
    states: list[Any] = []
    for wrapper in wrappers.values():
        states += tree_leaves(list(wrapper.optimizer.state.values()))
    return Memory(
        weights=_bytes(weights),
        conditioner=kept,
        gradients=gradients,
        optimizers=_bytes(states),
        averages=_bytes([*game.average.parameters(), *game.average.buffers()]),
        passes=max(peak - gradients, 0),
    )


def peak_of(work: Callable[[], Any]) -> int:
    """The largest number of bytes alive at once of the tensors made during ``work``."""
    with _Tracker() as tracker:
        work()
    return tracker.peak


class _Tracker(TorchDispatchMode):
    """Sees every storage that an operation makes, and when it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = 0
        self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        known = {id(tensor.untyped_storage()) for tensor in given}
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in known:
                self._note(leaf.untyped_storage())
        return found

    def _note(self, storage: Any) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.alive -= size


def _bytes(tensors: Iterable[Any]) -> int:
    """Of all tensors among these, each once."""
    distinct = {tensor.data_ptr(): tensor for tensor in tensors if isinstance(tensor, Tensor)}
    return sum(tensor.numel() * tensor.element_size() for tensor in distinct.values())
