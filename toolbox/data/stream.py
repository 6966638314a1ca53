"""The training side of a data set: labels hidden by a split, randomness a function of (seed, position)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from toolbox.data.base import Image, ImageSet, Mask, as_bytes, checked_mask
from toolbox.data.split import Split, make_split
from toolbox.data.transforms import MASK, Transform, check_keeps_masks
from toolbox.interfaces.described import Described
from toolbox.ranges import check_in, check_seed, check_whole, given

HIDDEN = -1
_EPOCH = 1  # these two keep the draws of sampler and transforms apart
_ITEM = 2


def generator(*key: int) -> np.random.Generator:
    """PCG64, a function of the numbers (at least 0) in ``key``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


class Stream(Described, Dataset[dict[str, Any]]):
    """What training sees of a data set.

    An entry is an image with the label that may be seen: one for each image, fewer with
    ``unlabelled='none'``, and the labelled images a second time with ``unlabelled='all'``. Item (position,
    entry) is a function of ``seed``, position and entry, in whatever process it is made.

    Args:
        source: the data set, or its config.
        split: a :class:`Split`, the arguments of :func:`make_split`, or None = all labels are seen.
        transforms: applied in this order, each with its own draws; configs or objects.
        seed: of the transforms' randomness.
        masks: items have the field ``mask`` too, moved by the transforms as the image is.

    Raises:
        DataError: for ``masks`` of a data set without them.
        ValueError: for ``masks`` and a transform that would leave them where they were.

    Attributes:
        source: the data set with its true labels: evaluation only.
        split: the split in use, or None.
        visible_labels: (images,) int64, -1 where the label is hidden, by image number.
        entries, entry_labels: (entries,) int64 image number and visible label of each entry.
    """

    def __init__(
        self,
        source: ImageSet | Mapping[str, Any],
        split: Split | Mapping[str, Any] | None = None,
        transforms: Sequence[Transform | Mapping[str, Any]] = (),
        seed: int = 0,
        masks: bool = False,
    ) -> None:
        from toolbox.registry import build

        check_seed(seed=seed)
        self.source: ImageSet = build(source, "dataset", "source")
        self.split = make_split(self.source, **split) if isinstance(split, Mapping) else split
        self.transforms: list[Transform] = [
            build(transform, "transform", f"transforms.{i}") for i, transform in enumerate(transforms)
        ]
        self.seed = seed
        self.masks = masks
        if masks:
            checked_mask(self.source, 0)
            check_keeps_masks(self.transforms)
        self.visible_labels, self.entries, self.entry_labels = _seen(self.source, self.split)

    def of(self, source: ImageSet, split: Split | None = None) -> Stream:
        """The same of other images, such as a few of these."""
        made = copy(self)  # a subclass keeps what it has
        made.source, made.split = source, split
        made.visible_labels, made.entries, made.entry_labels = _seen(source, split)
        return made

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int] | int) -> dict[str, Any]:
        """dict(images uint8 (3, H, W), labels (-1 = hidden), index = image number, other views as images).

        Bytes, as they are in files: a quarter of what floats take on their way to a game, which makes them
        [-1, 1] where it plays.

        With ``masks``, also mask int64 (H, W), indices of ``source.part_names``.
        ``key`` is (position, entry), as the sampler gives it, or an entry, whose position is then its number.
        """
        position, entry = key if isinstance(key, tuple) else (key, key)
        index = int(self.entries[entry])
        views: dict[str, Image | Mask] = {"images": self.source.image(index)}
        if self.masks:
            views[MASK] = checked_mask(self.source, index)
        for number, transform in enumerate(self.transforms):
            transform.apply(views, generator(self.seed, _ITEM, position, number))
        mask = views.pop(MASK) if self.masks else None
        item: dict[str, Any] = {name: as_bytes(view) for name, view in views.items()}
        if mask is not None:
            item[MASK] = torch.from_numpy(mask.astype(np.int64))
        item["labels"] = int(self.entry_labels[entry])
        item["index"] = index
        return item


def _seen(
    source: ImageSet, split: Split | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Visible labels by image; image and visible label of each entry."""
    images = np.arange(len(source))
    if split is None:
        return source.labels.copy(), images, source.labels.copy()
    visible = np.full(len(source), HIDDEN)
    visible[split.labelled] = source.labels[split.labelled]
    twice = np.intersect1d(split.labelled, split.unlabelled)
    once = np.union1d(split.labelled, split.unlabelled)
    entries = np.concatenate([once, twice])
    return visible, entries, np.concatenate([visible[once], np.full(len(twice), HIDDEN)])


class StreamSampler(Sampler[tuple[int, int]]):
    """An endless shuffled stream of (position, entry): epoch e is a permutation that (seed, e) determines.

    Any position is found without replaying the earlier ones. Of each global batch of ``batch_size`` x
    ``world`` items, rank r takes the r-th contiguous slice, so that several processes together see what one
    would see.

    Args:
        dataset: the :class:`Stream` (anything with a length, without ``labelled_fraction``).
        batch_size: items of a batch on one rank; needed with several ranks.
        seed: of the permutations (None: 0).
        start: items that this rank has already seen (iterations x batch size).
        rank, world: this process and their number; None: torch.distributed's, if it runs.
        parts: equal parts that a batch is used in, one after the other; each is sliced by rank for itself.
        labelled_fraction: share of labelled entries in the stream, evenly spread; None: as they come. Entries
            with and without a label are then shuffled each for themselves.

    Raises:
        ValueError: for an empty data set, several ranks without a batch size, or a fraction that cannot be
            kept.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        seed: int | None = 0,
        start: int = 0,
        rank: int | None = None,
        world: int | None = None,
        labelled_fraction: float | None = None,
        parts: int = 1,
    ) -> None:
        check_whole(1, parts=parts, **given(batch_size=batch_size))
        check_whole(0, start=start, **given(seed=seed))
        check_in("(0, 1)", **given(labelled_fraction=labelled_fraction))
        self.parts = parts
        self.seed = seed or 0
        self.start = start
        self.batch_size = batch_size
        self.rank, self.world = _place(rank, world)
        self.labelled_fraction = labelled_fraction
        if not len(dataset):
            raise ValueError("the data set is empty: there is nothing to sample")
        if self.world > 1 and (not batch_size or batch_size % parts):
            raise ValueError(
                f"with {self.world} ranks the sampler needs a batch_size that is a multiple of "
                f"parts={parts}, to give each rank its slice of a batch: got {batch_size}"
            )
        self._length = len(dataset)
        self._pools = _pools(dataset, labelled_fraction)
        self._epochs: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        """Items of one epoch; the stream itself never ends."""
        return self._length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        drawn = self.start
        while True:
            position = self._position(drawn)
            yield position, self.entry(position)
            drawn += 1

    def _position(self, drawn: int) -> int:
        """Position in the global stream of this rank's item number ``drawn``."""
        if self.world == 1 or not self.batch_size:
            return drawn
        size = self.batch_size // self.parts
        part, offset = divmod(drawn, size)
        return (part * self.world + self.rank) * size + offset  # parts lie (part, rank, offset)

    def entry(self, position: int) -> int:
        """The entry at a position of the global stream."""
        if self.labelled_fraction is None:
            return self._draw(0, position)
        before = int(position * self.labelled_fraction)  # labelled ones up to here
        after = int((position + 1) * self.labelled_fraction)
        return self._draw(1, before) if after > before else self._draw(0, position - before)

    def _draw(self, pool: int, number: int) -> int:
        epoch, offset = divmod(number, len(self._pools[pool]))
        if self._epochs.get(pool, (-1,))[0] != epoch:  # the last permutation of each pool is kept
            order = generator(self.seed, _EPOCH, pool, epoch).permutation(self._pools[pool])
            self._epochs[pool] = (epoch, order)
        return int(self._epochs[pool][1][offset])

    def set_epoch(self, epoch: int) -> None:
        """Nothing: epochs follow from the position. Runners call it."""


def _pools(dataset: Any, labelled_fraction: float | None) -> list[NDArray[np.int64]]:
    """Entry numbers: all of them, or [unlabelled, labelled]."""
    entries = np.arange(len(dataset))
    if labelled_fraction is None:
        return [entries]
    labelled = dataset.entry_labels != HIDDEN
    if not 0 < labelled_fraction < 1 or labelled.all() or not labelled.any():
        raise ValueError(
            f"labelled_fraction={labelled_fraction}: it must lie between 0 and 1, and the stream must "
            f"have both labelled ({labelled.sum()}) and unlabelled ({(~labelled).sum()}) entries"
        )
    return [entries[~labelled], entries[labelled]]


def _place(rank: int | None, world: int | None) -> tuple[int, int]:
    running = torch.distributed.is_available() and torch.distributed.is_initialized()
    if rank is None:
        rank = torch.distributed.get_rank() if running else 0
    if world is None:
        world = torch.distributed.get_world_size() if running else 1
    if not 0 <= rank < world:
        raise ValueError(f"rank={rank} of world={world}: ranks run from 0 to world - 1")
    return rank, world
