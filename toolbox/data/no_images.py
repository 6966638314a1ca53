"""What stands for the training data of a game without images (``train_dataloader.dataset=None``)."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Dataset

from toolbox.interfaces.described import Described

ROW = "row"
"""Field of an item without an image: its number."""


class NoImagesError(AttributeError):
    """Something asks a game without images for what only images have."""


class NoImages(Described, Dataset[dict[str, int]]):
    """Rows for which a game generates images: an item is a number, and nothing else is known of it.

    Whatever else it is asked for (``source``, labels) it has not, as :func:`getattr` finds, and says why.

    Args:
        n: rows of an iteration.
    """

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, key: tuple[int, int] | int) -> dict[str, int]:
        return {ROW: key[0] if isinstance(key, tuple) else key}

    def __getattr__(self, name: str) -> Any:
        raise NoImagesError(
            f"this game has no real images (train_dataloader.dataset=None), and {name!r} of them is needed"
        )
