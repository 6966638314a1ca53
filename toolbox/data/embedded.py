"""The two data sets that are shipped with the toolbox: they need no network and no download."""

from __future__ import annotations

from pathlib import Path

from toolbox.data.base import chosen_split
from toolbox.data.zipped import ZippedImages

FOLDER = Path(__file__).parent / "embedded"


class EmbeddedFashion(ZippedImages):
    """A class-balanced part of Fashion-MNIST: 10 classes, 800 training and 200 test images each.

    28 x 28 pixels, padded to 32 x 32.

    Args:
        split: 'train' or 'test'; ``train`` overrules it.
        image_size: pixels.
        cache: keep decoded images in memory (25 MB).
    """

    embedded = True

    def __init__(
        self, split: str = "train", train: bool | None = None, image_size: int = 32, cache: bool = True
    ) -> None:
        split = chosen_split(split, train)
        super().__init__(FOLDER / "fashion_mnist.zip", split, image_size=image_size, cache=cache)


class EmbeddedEmoji(ZippedImages):
    """1,906 Noto emoji on white; class = category (9), factors 'subcategory' and 'gender'.

    Captions are the name and keywords.

    Args:
        split: 'train', or 'test' = a tenth of each category's concepts, held out with all their variants;
            ``train`` overrules it.
        image_size: 64 as drawn, or less.
        cache: keep decoded images in memory (23 MB at 64 pixels).
    """

    embedded = True

    def __init__(
        self, split: str = "train", train: bool | None = None, image_size: int = 64, cache: bool = True
    ) -> None:
        split = chosen_split(split, train)
        super().__init__(FOLDER / "noto_emoji.zip", split, image_size=image_size, cache=cache)
