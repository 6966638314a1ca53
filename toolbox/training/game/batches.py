"""A collated batch as records: what was loaded, on its way from the host to where the game plays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox.data.no_images import ROW
from toolbox.interfaces import Condition, Sample, from_bytes
from toolbox.training.game.phases import PlanError

_CONDITION = ("labels", "text", "mask")


def as_sample(data: Mapping[str, Any], branches: Collection[str] = ()) -> Sample:
    """A collated batch as a Sample, as it was loaded.

    A branch may be another view of the same items (images (N, 3, H, W)), or items of its own: a dict of the
    same fields, which becomes a Sample in ``extras``.

    A batch of mere numbers, of a game without images, has images (N, 0): see :func:`has_images`.

    Raises:
        PlanError: for a batch of anything else without images.
    """
    if set(data) == {ROW}:
        return Sample(torch.empty(len(data[ROW]), 0))
    known = dict(data)
    images = known.pop("images", None)
    if images is None:
        raise PlanError(f"the data set gives {sorted(data)}, a game needs 'images' (N, 3, H, W)")
    condition = Condition(**{name: known.pop(name, None) for name in _CONDITION})
    index = known.pop("index", None)
    for name in branches:
        if isinstance(known.get(name), Mapping):
            known[name] = as_sample(known[name])
    return Sample(images, condition, index=index, extras=known)


def has_images(batch: Sample) -> bool:
    """Whether a batch is more than rows for which images are generated."""
    return batch.images.ndim == 4


def refuse_no_images(batch: Sample, asked: str) -> None:
    """Raise PlanError where there are none, and something reads ``asked`` of a turn."""
    if not has_images(batch):
        raise PlanError(
            f"this game has no real images (train_dataloader.dataset=None), and something reads turn.{asked}"
        )


def items(batch: Sample) -> list[Sample]:
    """The batch, and the branches of it that are items of their own."""
    return [batch, *(value for value in batch.extras.values() if isinstance(value, Sample))]


def with_conditions(batch: Sample, complete: Callable[[Sample], Condition]) -> Sample:
    """The batch with the condition of each of its items replaced."""
    return _each(batch, lambda item: item.replace(condition=complete(item)))


def with_images(batch: Sample, channels_last: bool) -> Sample:
    """Bytes (N, 3, H, W) of any field as images in [-1, 1], in the game's layout."""

    def convert(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim != 4:
            return value
        images = from_bytes(value)
        return images.contiguous(memory_format=torch.channels_last) if channels_last else images

    def of_item(item: Sample) -> Sample:
        extras = {name: convert(value) for name, value in item.extras.items()}
        return item.replace(images=convert(item.images), extras=extras)

    return _each(batch, of_item)


def with_index_of(batch: Sample, host: Sample) -> Sample:
    """The batch with the numbers of its images as they are on the host."""
    numbers = iter([item.index for item in items(host)])
    return _each(batch, lambda item: item.replace(index=next(numbers)))


def branch_of(batch: Sample, name: str) -> Sample:
    """What one branch of the game sees of a batch.

    Raises:
        PlanError: for a field that the batch has not.
    """
    if name == "images":
        return batch
    if not has_images(batch):
        return batch.replace()  # rows of its own, for which it draws its own fakes
    if name not in batch.extras:
        fields = sorted(["images", *batch.extras])
        raise PlanError(f"model.branches names {name!r}, the batch has {fields}")
    value = batch.extras[name]
    if isinstance(value, Sample):
        return value
    branch: Sample = batch.replace(images=value)
    return branch


def _each(batch: Sample, change: Callable[[Sample], Sample]) -> Sample:
    """The batch first, then the items in its extras, in order."""
    changed = change(batch)
    extras = {name: change(v) if isinstance(v, Sample) else v for name, v in changed.extras.items()}
    result: Sample = changed.replace(extras=extras)
    return result
