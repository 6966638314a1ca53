"""What paired data is made of, and how: the paper's values where it names them."""

from __future__ import annotations

from dataclasses import dataclass

from toolbox.features import NOISES
from toolbox.interfaces import Generator
from toolbox.ranges import check_in, check_whole, given
from toolbox_klish.checks import check_choice
from toolbox_klish.runs.settings import check_seed

SIZE = 512  # pixels of a side (the authors')
_PIXELS = 2**20  # at a time
TRUNCATION = 0.7  # the authors'; clusters are fitted at 0.5


@dataclass(frozen=True)
class PairSettings:
    """How pairs are made.

    Args:
        images: how many.
        size: pixels of a side; None = 512, at most the generator's.
        seed: of the images; image i is a function of (seed, i).
        truncation: in (0, 1]; None = 0.7, or none where the generator does not truncate.
        noise: 'const' = that of the weights, as the authors' images have; 'random' = drawn for each image, as
            while clustering.
        label: class of all images, of a class-conditional generator; None = as the run's config says.
        batch_size: images at a time; with random noise always one. Rounding may depend on it. None = as many
            as have a million pixels at the generator's size, at most 16.
        jpeg: quality of JPEG files, 1 to 100; None = PNG, without loss.
        border_rows: rows at the top and at the bottom that are cut off; clusters that have more than half of
            their pixels there become the background, part 0. 0 = none. (Authors: 64 for cars, black bars.)
        border_images: first images that those pixels are counted in.
        shard: images of a file.
    """

    images: int = 50_000
    size: int | None = None
    seed: int = 1113
    truncation: float | None = None
    noise: str = "const"
    label: int | None = None
    batch_size: int | None = None
    jpeg: int | None = None
    border_rows: int = 0
    border_images: int = 100
    shard: int = 512

    def __post_init__(self) -> None:
        check_whole(1, images=self.images, shard=self.shard, border_images=self.border_images)
        check_whole(1, **given(size=self.size, jpeg=self.jpeg, batch_size=self.batch_size))
        check_whole(0, border_rows=self.border_rows)
        check_seed(self.seed, "seed")
        check_in("(0, 1]", **given(truncation=self.truncation))
        check_choice("noise", self.noise, NOISES)
        if self.jpeg is not None and self.jpeg > 100:
            raise ValueError(f"jpeg={self.jpeg} must be a quality from 1 to 100; 95 is nearly without loss")

    @property
    def suffix(self) -> str:
        """Of the images' files."""
        return ".png" if self.jpeg is None else ".jpg"

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.images // self.shard)

    def size_for(self, generator: Generator) -> int:
        """Pixels of a side.

        Raises:
            ValueError: for borders that leave nothing.
        """
        size = min(SIZE, generator.image_size) if self.size is None else self.size
        if 2 * self.border_rows >= size:
            raise ValueError(
                f"border_rows={self.border_rows} leaves none of {size} rows: take at most {(size - 1) // 2}"
            )
        return size

    def batch_size_for(self, generator: Generator) -> int:
        """Images at a time, on whatever machine."""
        return self.batch_size or max(1, min(16, _PIXELS // generator.image_size**2))

    def truncation_for(self, generator: Generator) -> float:
        """Truncation acts on w; a generator without one is not truncated, as in its clustering."""
        if self.truncation is not None:
            return self.truncation
        return 1.0 if type(generator).truncated is Generator.truncated else TRUNCATION
