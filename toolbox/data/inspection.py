"""Looking at every image of a data set before it is used: all broken files at once, sizes, small classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from toolbox.data.base import DataError, ImageSet

MOST_DECODED = 10_000  # images that are decoded whole; of larger sets, so many spread evenly
_MOST_LISTED = 20
_BLOCK = 2048  # images that wait for a thread at once


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        title: of the data set.
        images: how many there are.
        decoded: how many were decoded whole; of the others only the header was read.
        broken: {number of the image: what is wrong with it}.
        smallest, largest: (height, width) of the files with the fewest and most pixels; None where images
            do not lie in files.
        enlarged: images whose file is smaller than the set's ``image_size``.
        small_classes: {name: images} of the classes with fewer than were asked for.
        least: how many each class was asked to have.
    """

    title: str
    images: int
    decoded: int
    broken: Mapping[int, str]
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    enlarged: int
    small_classes: Mapping[str, int]
    least: int

    @property
    def lines(self) -> list[str]:
        """The findings for people, a line each; at most 20 broken files, then how many more."""
        found = [f"checked {self.images:,} images of {self.title}{self._how()}"]
        if self.broken:
            found.append(f"{len(self.broken):,} of them cannot be used:")
            found += _listed([f"  {fault}" for fault in self.broken.values()], "  ")
        if self.small_classes:
            names = [f"{name} ({n})" for name, n in self.small_classes.items()]
            found.append(f"classes with fewer than {self.least} images: {', '.join(_listed(names))}")
        return found

    def _how(self) -> str:
        if self.smallest is None or self.largest is None:
            return ""
        (low, narrow), (high, wide) = self.smallest, self.largest
        sizes = f"{narrow} x {low}" + ("" if self.smallest == self.largest else f" to {wide} x {high}")
        enlarged = f", {self.enlarged:,} will be enlarged" if self.enlarged else ""
        partly = f", {self.decoded:,} decoded whole" if self.decoded < self.images else ""
        return f": {sizes} pixels{enlarged}{partly}"

    def check(self) -> None:
        """Raise DataError, in one line, if there are broken files or small classes."""
        if self.broken:
            first = next(iter(self.broken.values()))
            raise DataError(
                f"{self.title}: {len(self.broken):,} images cannot be used, the first is: {first}"
            )
        if self.small_classes:
            names = [f"{name} ({n})" for name, n in self.small_classes.items()]
            raise DataError(
                f"{self.title}: classes with fewer than {self.least} images: {', '.join(_listed(names))}; "
                "add images, leave these classes out, or ask for fewer clusters"
            )


def inspect_images(source: ImageSet, least: int = 1, most_decoded: int = MOST_DECODED) -> Inspection:
    """Look at all images of a set, in threads, with a bar at the terminal; nothing is raised.

    Args:
        source: the set. Images that do not lie in files are taken as good.
        least: images that each class needs, such as its number of clusters.
        most_decoded: images to decode whole; of a larger set so many, spread evenly, and of the others only
            the header is read.
    """
    n = len(source)
    in_files = n > 0 and _look(source, 0, False) != (None, "")
    every = max(1, -(-n // max(most_decoded, 1)))
    broken: dict[int, str] = {}
    shapes: list[tuple[int, int]] = []
    enlarged = 0
    for i, (shape, fault) in enumerate(
        _in_threads(lambda i: _look(source, i, i % every == 0), n if in_files else 0)
    ):
        if fault:
            broken[i] = fault
        if shape is not None:
            shapes = _extremes([*shapes, shape])
            enlarged += min(shape) < source.image_size
    return Inspection(
        title=source.title,
        images=n,
        decoded=len(range(0, n, every)),
        broken=broken,
        smallest=shapes[0] if shapes else None,
        largest=shapes[-1] if shapes else None,
        enlarged=enlarged,
        small_classes={
            name: int(count)
            for name, count in zip(source.classes, source.counts, strict=True)
            if count < least
        },
        least=least,
    )


def check_images(source: ImageSet, least: int = 1, tell: Callable[[str], object] | None = None) -> Inspection:
    """:func:`inspect_images`, told line by line where there are files; what a run calls before it trains.

    Args:
        source: the set.
        least: images that each class needs.
        tell: takes the lines, such as :func:`toolbox.runs.terminal.say`, which is the default.

    Raises:
        DataError: when images are broken or classes too small.
    """
    from toolbox.runs.terminal import say

    found = inspect_images(source, least)
    if found.smallest is not None or found.small_classes or found.broken:
        for line in found.lines:
            (tell or say)(line)
    found.check()
    return found


def _look(source: ImageSet, i: int, whole: bool) -> tuple[tuple[int, int] | None, str]:
    try:
        return source.look_at(i, whole), ""
    except (ValueError, OSError) as error:
        return None, str(error)


def _in_threads(
    look: Callable[[int], tuple[tuple[int, int] | None, str]], n: int
) -> Iterator[tuple[tuple[int, int] | None, str]]:
    from toolbox.runs.terminal import tracked

    def in_blocks() -> Iterator[tuple[tuple[int, int] | None, str]]:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, n, _BLOCK):
                yield from pool.map(look, range(start, min(start + _BLOCK, n)))

    return tracked(in_blocks(), n, "checking images")


def _extremes(shapes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The shape of the fewest and that of the most pixels."""
    in_order = sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape))
    return [in_order[0], in_order[-1]]


def _listed(texts: Sequence[str], margin: str = "") -> list[str]:
    more = len(texts) - _MOST_LISTED
    return [*texts[:_MOST_LISTED], *([f"{margin}... and {more:,} more"] if more > 0 else [])]
