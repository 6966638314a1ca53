"""What every data set of the toolbox is: images by number, and what is known about them."""

from __future__ import annotations

import hashlib
import reprlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from toolbox.data.pictures import resize, resize_name
from toolbox.interfaces.described import Described
from toolbox.interfaces.sample import from_bytes
from toolbox.ranges import check_whole

if TYPE_CHECKING:
    from toolbox.data.vocabulary import Vocabulary

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Mask = NDArray[np.uint8]  # (H, W) number of the part that each pixel shows
SPLITS = ("train", "test")


class DataError(ValueError):
    """A data set that is missing, torn or not what was asked for; the message names file and remedy."""


class ImageSet(Described, Dataset[dict[str, Any]], ABC):
    """N square RGB images of one size with their true classes: the evaluation side's view of the data.

    Training reads a :class:`toolbox.data.Stream` of it, which hides what a split hides.

    Attributes:
        labels: (N,) int64 true class of each image.
        classes: names, by class number; fit for prompts (blanks, no underscores).
        image_size: height = width in pixels.
        title: name for people; of shipped data it ends in '(embedded)'.
        embedded: whether the data is shipped with the toolbox. Results on it must say so.
        notice: one sentence when this is not the data that was asked for, else ''.
        part_names: what the numbers of :meth:`mask` mean; empty where the set has no masks.
        factors: {name: (N,) int64} known intra-class factors, for evaluation only.
        factor_names: {name: what each value is called}.
        captions: N lists of texts, or None.
        vocabulary: the words that :meth:`caption_ids` counts in, where the set came with token ids.
        label_sets: (N, categories) bool: which categories each image shows, where it may show several.
        concepts: (N,) int64: captions of images with equal numbers fit each other's images. None = each
            image's own.
        license: licence of the images, as far as known.

    Raises:
        DataError: when labels, classes, factors and captions do not fit together.
    """

    embedded: bool = False
    notice: str = ""
    part_names: Sequence[str] = ()
    captions: Sequence[Sequence[str]] | None
    vocabulary: Vocabulary | None = None
    label_sets: NDArray[np.bool_] | None = None
    concepts: NDArray[np.int64] | None = None

    def __init__(
        self,
        labels: ArrayLike,
        classes: Sequence[str],
        image_size: int,
        title: str,
        *,
        factors: Mapping[str, ArrayLike] | None = None,
        factor_names: Mapping[str, Sequence[str]] | None = None,
        captions: Sequence[Sequence[str]] | None = None,
        license: str = "",
    ) -> None:
        check_whole(1, image_size=image_size)
        self.title = title
        self.labels = whole_numbers(labels, f"{title}: labels")
        self.classes = text_list(classes, f"{title}: classes")
        self.image_size = image_size
        self.factors = {
            name: whole_numbers(values, f"{title}: factor {name!r}")
            for name, values in (factors or {}).items()
        }
        self.factor_names = {
            name: text_list(names, f"{title}: the names of factor {name!r}")
            for name, names in (factor_names or {}).items()
        }
        self.captions = None if captions is None else _caption_lists(captions, title)
        self.license = license
        self._check()

    def _check(self) -> None:
        n, top = len(self.labels), len(self.classes)
        twice = [name for name, times in Counter(self.classes).items() if times > 1]
        if twice:
            raise DataError(f"{self.title}: two classes are called {twice[0]!r}: give each a name of its own")
        if n and not (self.labels.min() >= 0 and self.labels.max() < top):
            raise DataError(
                f"{self.title}: labels run from {self.labels.min()} to {self.labels.max()}, but there are "
                f"{top} class names (labels must be 0 to {top - 1})"
            )
        lengths = {f"factor {name!r}": len(values) for name, values in self.factors.items()}
        if self.captions is not None:
            lengths["captions"] = len(self.captions)
        for what, length in lengths.items():
            if length != n:
                raise DataError(
                    f"{self.title}: {what} has {length} entries for {n} images; it needs one for each"
                )
        for name, names in self.factor_names.items():
            largest = int(self.factors[name].max(initial=-1)) if name in self.factors else -1
            if largest >= len(names):
                raise DataError(
                    f"{self.title}: factor {name!r} has the value {largest}, but there are {len(names)} names"
                )

    def __getattr__(self, name: str) -> Any:
        """Only asked for what is not there: a constructor that did not call this one's."""
        said = "; its __init__ must call super().__init__(labels, classes, image_size, title)"
        hint = said if name in ("labels", "classes", "image_size", "title") else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def image(self, i: int) -> Image:
        """Image number i, uint8 (image_size, image_size, 3) RGB. The caller may write to it."""

    def picture(self, i: int) -> Image:
        """Image i as it is before it is cut to a square and resized: uint8 (H, W, 3) RGB."""
        return self.image(i)

    def caption_ids(self, i: int, k: int) -> NDArray[np.int64]:
        """Token ids (words,) of caption k of image i, in ``vocabulary``.

        Raises:
            DataError: when the set has captions as texts only.
        """
        raise DataError(f"{self.title} came without token ids")

    def mask(self, i: int) -> Mask:
        """The part that each pixel of image i shows: uint8 (image_size, image_size), in ``part_names``.

        Raises:
            DataError: when the set has no masks.
        """
        raise DataError(f"{self.title} has no masks: take a data set that has them, such as DrawnPortraits")

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        """Whether image i can be used; (height, width) of its file, None where there is none to be broken.

        Args:
            i: number of the image.
            whole: decode it (and its mask); else the file's header is read.

        Raises:
            DataError: when it cannot be used.
        """
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest: two sets that agree on it hold the same images and labels in the same order."""

    def __getitem__(self, i: int) -> dict[str, Any]:
        """dict(images (3, H, W) in [-1, 1], labels = the true class, index)."""
        return {"images": to_tensor(self.image(i)), "labels": int(self.labels[i]), "index": int(i)}

    @property
    def counts(self) -> NDArray[np.int64]:
        """(classes,) images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))


class ArraySet(ImageSet):
    """Images held in memory: uint8 (N, H, W, 3), or (N, H, W) for grey ones."""

    def __init__(
        self,
        images: Image,
        labels: ArrayLike,
        classes: Sequence[str],
        image_size: int | None = None,
        title: str = "array",
        **known: Any,
    ) -> None:
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise DataError(
                f"{title}: images must be uint8 (N, H, W, 3) or (N, H, W), not {images.dtype} {images.shape}"
            )
        size = images.shape[1] if image_size is None else image_size
        super().__init__(labels, classes, size, title, **known)
        if len(images) != len(self.labels):
            raise DataError(f"{title}: {len(images)} images but {len(self.labels)} labels")
        self._images = images

    def image(self, i: int) -> Image:
        image = self._images[i]
        rgb = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image.copy()
        return resize(rgb, self.image_size)

    def fingerprint(self) -> str:
        images = np.ascontiguousarray(self._images)
        resizing = resize_name(images.shape[1:3], self.image_size)
        said = [] if self.captions is None else [[list(texts) for texts in self.captions]]
        return digest(images, self.labels, self.classes, self.image_size, resizing, *said)


def text_list(values: Any, what: str) -> list[str]:
    """A list of texts, checked. One text alone is refused: Python would take it letter by letter.

    Raises:
        DataError: naming ``what`` and the value.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise DataError(f"{what} must be a list of texts, such as ['cat', 'dog'], not {_short(values)}")
    texts = list(values)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"{what} must be texts, number {i} of them is {_short(text)}")
    return texts


def whole_numbers(values: Any, what: str) -> NDArray[np.int64]:
    """A list of whole numbers as (N,) int64; 1.0 is one, 1.7 is refused, not cut.

    Raises:
        DataError: naming ``what`` and the first value that is none.
    """
    try:
        numbers = np.asarray(values)
    except ValueError:  # lists of several lengths
        numbers = np.empty((0, 0))
    if numbers.ndim != 1:
        raise DataError(f"{what} must be a list of whole numbers, not {_short(values)}")
    if numbers.dtype.kind == "f":
        wrong = np.flatnonzero(~((numbers == np.rint(numbers)) & (abs(numbers) < 2**53))).tolist()
    elif numbers.dtype in (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_):
        wrong = []
    else:
        wrong = [i for i, value in enumerate(numbers.tolist()) if not _is_whole(value)]
    if wrong:
        value = _short(numbers.tolist()[wrong[0]])
        raise DataError(f"{what} must be whole numbers, number {wrong[0]} of them is {value}")
    return numbers.astype(np.int64)


def _caption_lists(captions: Any, title: str) -> list[list[str]]:
    if isinstance(captions, (str, bytes, Mapping)) or not isinstance(captions, Iterable):
        raise DataError(f"{title}: captions must be a list of texts for each image, not {_short(captions)}")
    return [text_list(texts, f"{title}: the captions of image {i}") for i, texts in enumerate(captions)]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 2**63


def _short(value: Any) -> str:
    """A value for an error; at most a line of it, and never all of a large one."""
    return reprlib.repr(value)


def to_tensor(image: Image) -> Tensor:
    """float32 (3, H, W) = x / 127.5 - 1 of a uint8 (H, W, 3) image."""
    return from_bytes(as_bytes(image))


def as_bytes(image: Image) -> Tensor:
    """uint8 (3, H, W) of a uint8 (H, W, 3) image."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def to_uint8(images: Tensor) -> Tensor:
    """uint8 (..., H, W, 3) of float (..., 3, H, W) in [-1, 1], rounded and clipped: undoes to_tensor."""
    return images.add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1)


def checked_mask(source: ImageSet, i: int, ignore: int | None = None) -> Mask:
    """``source.mask(i)``, of the image's size and with parts that have names, but for pixels of ``ignore``.

    Raises:
        DataError: naming the image and what does not fit.
    """
    mask = source.mask(i)
    size = source.image_size
    if mask.shape != (size, size):
        raise DataError(
            f"{source.title}: the mask of image {i} has shape {mask.shape}, the image has {(size, size)}"
        )
    n_parts = len(source.part_names)
    parts = mask if ignore is None else mask[mask != ignore]
    if parts.size and int(parts.max()) >= n_parts:
        raise DataError(
            f"{source.title}: the mask of image {i} has part {int(parts.max())}, but there are {n_parts} "
            f"part names (parts must be 0 to {n_parts - 1})"
        )
    return mask


def digest(*parts: object) -> str:
    """Hex SHA-256 of arrays (with dtype and shape) and plain values (by repr)."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype.str}{part.shape}".encode())
            sha.update(part.tobytes())
        else:
            sha.update(repr(part).encode())
        sha.update(b"\0")
    return sha.hexdigest()


def chosen_split(split: str = "train", train: bool | None = None) -> str:
    """'train' or 'test'; ``train`` (torchvision's word for it) overrules ``split``.

    Raises:
        ValueError: for another word.
    """
    if train is not None:
        return "train" if train else "test"
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: it is 'train' or 'test'")
    return split
