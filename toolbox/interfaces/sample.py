"""The two records that travel between components: what an image is asked to be, and the image itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces.transfer import to_device


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply ``function`` to every tensor inside a record, a dict, a list or a tuple."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Record):
        return value.map(function)
    if isinstance(value, dict):
        return {key: _map(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not all(isinstance(item, str) for item in value):
        return type(value)(_map(item, function) for item in value)
    return value


def _take(value: Any, rows: Any) -> Any:
    """Rows of every batched thing; a list of strings (captions) is batched too."""
    if isinstance(value, Tensor):
        return value[rows] if value.ndim else value
    if isinstance(value, Record):
        return value[rows]
    if isinstance(value, dict):
        return {key: _take(item, rows) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, (Tensor, Record)) for item in value):
            return type(value)(_take(item, rows) for item in value)  # several outputs, each of N rows
        if isinstance(rows, slice):
            return value[rows]
        if isinstance(rows, Tensor) and rows.dtype == torch.bool:
            rows = rows.nonzero().flatten()
        return [value[int(i)] for i in rows]
    return value


class Record:
    """Shared behaviour of the dataclasses below: moving, detaching and slicing all fields at once."""

    def map(self, function: Callable[[Tensor], Tensor]) -> Any:
        """A copy with ``function`` applied to every tensor."""
        return type(self)(**{name: _map(value, function) for name, value in self._values().items()})

    def to(self, device: torch.device | str) -> Any:
        """A copy on ``device``; all tensors travel at once, and nothing waits for them."""
        return moved(self, device)

    def detach(self) -> Any:
        """A copy cut from the graph."""
        return self.map(Tensor.detach)

    def __getitem__(self, rows: Any) -> Any:
        """Some rows: a slice, an index tensor or a boolean mask. All of them: the record itself."""
        if isinstance(rows, slice) and rows.indices(n := len(self)) == (0, n, 1):  # type: ignore[arg-type]
            return self
        return type(self)(**{name: _take(value, rows) for name, value in self._values().items()})

    def replace(self, **changes: Any) -> Any:
        """A copy with some fields changed."""
        return type(self)(**{**self._values(), **changes})

    def _values(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


@dataclass
class TextCodes(Record):
    """What a text encoder makes of N captions: computed once a batch, read by every text-conditioned network.

    Attributes:
        sentence: (N, D) code of each caption.
        words: (N, D, L) code of each word; what stands beyond a caption's length means nothing. None where an
            encoder gives none.
        lengths: (N,) int64 words of each caption, at most L.
    """

    sentence: Tensor
    words: Tensor | None = None
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.sentence)

    @property
    def mask(self) -> Tensor:
        """(N, L) bool: True where there is a word.

        Raises:
            ValueError: where there are no words.
        """
        if self.words is None or self.lengths is None:
            raise ValueError("these text codes have no words: take an encoder that gives word codes")
        places = torch.arange(self.words.shape[2], device=self.lengths.device)
        return places[None] < self.lengths[:, None]


@dataclass
class Condition(Record):
    """What images are conditioned on. Every field is optional; a network takes those it knows.

    Of ``labels`` and ``weights``, generators take the weights where there are both, and discriminators of
    classes the labels.

    Attributes:
        labels: (N,) int64 class of each image; -1 = hidden (an unlabelled image nobody has labelled yet).
        weights: (N, S) float rows, each summing to 1: a soft choice among S embeddings (S clusters, or S =
            classes).
        text: token ids (N, L), or a list of N captions.
        mask: (N, H, W) int64 semantic map.
        codes: what a frozen text encoder makes of ``text``, see :class:`TextCodes`; a conditioner adds them.
        extra: anything a third party needs, by name; tensors in it have N rows.
    """

    labels: Tensor | None = None
    weights: Tensor | None = None
    text: Tensor | list[str] | None = None
    mask: Tensor | None = None
    codes: TextCodes | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        for value in (self.labels, self.weights, self.text, self.mask, self.codes, *self.extra.values()):
            if value is not None:
                return len(value)
        return 0


@dataclass
class Sample(Record):
    """A batch of images with everything known about them.

    Attributes:
        images: (N, 3, H, W) RGB in [-1, 1].
        condition: what they show, or were asked to show.
        latents: (N, latent_dim) of generated images, else None.
        index: (N,) int64 position in the data set, of real images, else None.
        extras: further outputs of a generator (intermediate sizes, masks, ws, mu), or further fields of a
            data item (a second view, a caption), by name.
    """

    images: Tensor
    condition: Condition = field(default_factory=Condition)
    latents: Tensor | None = None
    index: Tensor | None = None
    extras: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


def from_bytes(images: Tensor) -> Tensor:
    """float32 (..., 3, H, W) = x / 127.5 - 1 of uint8 images, on their device; floats as they are."""
    return images.float().div_(127.5).sub_(1.0) if images.dtype == torch.uint8 else images


def moved(value: Any, device: torch.device | str) -> Any:
    """Records, dicts, lists and tuples with every tensor on ``device``, all moved in one copy."""
    found: list[Tensor] = []
    _map(value, lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
    there = iter(to_device(found, torch.device(device)))
    return _map(value, lambda tensor: next(there))


def concatenate(records: Sequence[Any]) -> Any:
    """Join records (Samples or Conditions) row-wise. A field must be present in all or in none.

    Raises:
        ValueError: when a field is there in some of the records only.
    """
    first = records[0]
    values = {f.name: _join(f.name, [getattr(record, f.name) for record in records]) for f in fields(first)}
    return type(first)(**values)


def _join(name: str, parts: list[Any]) -> Any:
    if all(part is None for part in parts):
        return None
    if any(part is None for part in parts):
        raise ValueError(f"cannot join records: field {name!r} is set in some of them only")
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], Record):
        return concatenate(parts)
    if isinstance(parts[0], dict):
        keys = set(parts[0])
        if any(set(part) != keys for part in parts):
            each = [sorted(part) for part in parts]
            raise ValueError(f"cannot join records: the entries of {name!r} differ: {each}")
        return {key: _join(f"{name}.{key}", [part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], (list, tuple)):
        return [item for part in parts for item in part]
    raise ValueError(f"cannot join records: field {name!r} holds {type(parts[0]).__name__}")
