"""What the readers of picture files share: decoding on demand, one size, an optional memory cache."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from toolbox.data.base import DataError, Image, ImageSet, digest
from toolbox.data.pictures import RESIZE, Color, decode, picture_shape, resize

T = TypeVar("T")


class FileSet(ImageSet):
    """Images in named files, decoded when asked for.

    Args:
        path: the folder or archive, named in errors.
        names: the file of each image.
        labels, classes, title: see :class:`ImageSet`.
        image_size: pixels, resized to; None: as the first image is, and the others must agree.
        background: what lies under transparent pixels; None refuses them.
        cache: keep decoded images in memory, uint8 (each loader worker keeps its own).
        known: further attributes of :class:`ImageSet`.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        labels: ArrayLike,
        classes: Sequence[str],
        title: str,
        image_size: int | None,
        background: Color | None,
        cache: bool,
        **known: Any,
    ) -> None:
        self.path = path
        self._names = list(names)
        self._background = background
        self._cache: dict[int, Image] | None = {} if cache else None
        self._pictures: dict[int, Image] | None = {} if cache else None
        self._native = image_size is None
        size = min(self._decode(0).shape[:2]) if image_size is None else image_size
        super().__init__(labels, classes, size, title, **known)

    @abstractmethod
    def _read(self, name: str) -> bytes | Path:
        """The file's bytes, or where it lies."""

    @abstractmethod
    def _checksum(self, name: str) -> object:
        """Something cheap that changes with the file's content."""

    def _decode(self, i: int) -> Image:
        return self._reading(i, lambda file, name: decode(file, name, self._background))

    def _reading(self, i: int, read: Callable[[bytes | Path, str], T]) -> T:
        """What ``read`` makes of file i and its name in errors, which become DataErrors."""
        name = self._names[i]
        try:
            return read(self._read(name), f"{self.path}: {name}")
        except FileNotFoundError:
            raise DataError(f"{self.path}: {name} has gone since the data set was opened") from None
        except DataError:
            raise
        except ValueError as error:
            raise DataError(str(error)) from None

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        if self.embedded:
            return None
        if not whole:
            return self._reading(i, lambda file, name: picture_shape(file, name, stored=True))
        image = self._decode(i)
        self._check_size(i, image)
        return image.shape[0], image.shape[1]

    def image(self, i: int) -> Image:
        if self._cache is None:
            return self._sized(i)
        if i not in self._cache:
            self._cache[i] = self._sized(i)
        return self._cache[i].copy()

    def picture(self, i: int) -> Image:
        if self._pictures is None:
            return self._decode(i)
        if i not in self._pictures:
            self._pictures[i] = self._decode(i)
        return self._pictures[i].copy()

    def _sized(self, i: int) -> Image:
        image = self._decode(i)
        self._check_size(i, image)
        return resize(image, self.image_size)

    def _check_size(self, i: int, image: Image) -> None:
        if self._native and image.shape[:2] != (self.image_size, self.image_size):
            raise DataError(
                f"{self.path}: {self._names[i]} is {image.shape[1]} x {image.shape[0]}, not "
                f"{self.image_size} x {self.image_size} as the first image gave: set image_size to resize "
                "all"
            )

    def fingerprint(self) -> str:
        checks = [self._checksum(name) for name in self._names]
        return digest(
            self._names, checks, self.labels, self.classes, self.image_size, self._background, RESIZE
        )


def check_class_count(title: str, names: Sequence[str], wanted: int | None) -> None:
    """Raise DataError unless there are ``wanted`` classes (None: any number)."""
    if wanted is not None and len(names) != wanted:
        listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise DataError(f"{title} has {len(names)} classes, not {wanted}: {listed}")
