"""Images of a data set, each told by one of its captions: what metrics compare, and what fakes show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from toolbox.randomness import rng_for


class Told:
    """The images of a set with one caption each, a function of ``seed`` and the image's number.

    Args:
        images: data set with captions.
        seed: of the captions, and of the order in which generated images take them.
        readable: whether a caption can be used: of an image's captions, the first one from the drawn one on.

    Raises:
        ValueError: for a data set without captions.
    """

    def __init__(self, images: Any, seed: int = 0, readable: Callable[[str], bool] | None = None) -> None:
        if getattr(images, "captions", None) is None or not len(images):
            title = getattr(images, "title", type(images).__name__)
            raise ValueError(f"{title} has no captions")
        self.images = images
        self.seed = seed
        self.readable = readable
        self._order = torch.randperm(len(images), generator=rng_for(seed, "told"))
        self._known: dict[tuple[int, int], str] = {}

    def caption(self, i: int, again: int = 0) -> str:
        """The caption of image i, another draw for each number of ``again``.

        Raises:
            ValueError: for an image without one that can be used.
        """
        if (i, again) not in self._known:
            self._known[i, again] = self._drawn(i, again)
        return self._known[i, again]

    def captions(self, rows: Iterable[int]) -> list[str]:
        """Captions of images by number."""
        return [self.caption(i) for i in rows]

    def labels(self, rows: Iterable[int]) -> Tensor:
        """(n,) int64 classes of images."""
        return torch.tensor([int(self.images.labels[i]) for i in rows])

    def groups(self, rows: Iterable[int]) -> Tensor:
        """(n,) int64: captions of images with equal numbers fit each other's images."""
        concepts = getattr(self.images, "concepts", None)
        return torch.tensor([int(i if concepts is None else concepts[i]) for i in rows])

    def shown_by(self, number: int) -> tuple[int, str]:
        """(image, its caption) that generated image ``number`` shows: all images, in a random order, and
        again with other captions.
        """
        again, place = divmod(number, len(self._order))
        i = int(self._order[place])
        return i, self.caption(i, again)

    def _drawn(self, i: int, again: int) -> str:
        texts = self.images.captions[i]
        n = len(texts)
        first = int(torch.randint(max(n, 1), (1,), generator=rng_for(self.seed, "caption", i, again)))
        for k in range(n):
            text = str(texts[(first + k) % n])
            if self.readable is None or self.readable(text):
                return text
        why = f"none of its {n} captions has a known word, {texts[0]!r}" if n else "it has none"
        raise ValueError(f"{self.images.title}: image {i} cannot be told: {why}")
