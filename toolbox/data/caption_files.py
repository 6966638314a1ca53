"""The captions of CUB and COCO as AttnGAN laid them out: ``captions.pickle`` and ``text/NAME.txt``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import DataError, digest
from toolbox.data.pickles import load_plain
from toolbox.data.vocabulary import Vocabulary

_LONGEST_TEXT = 2**16  # bytes of a text file; real ones have some hundreds


@dataclass(frozen=True)
class CaptionIds:
    """Captions as word numbers, one after the other.

    Attributes:
        ids: (words of all captions,) int32.
        starts: (captions + 1,) int64, where each begins.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def caption(self, number: int) -> NDArray[np.int64]:
        """(words,) of one caption."""
        return self.ids[self.starts[number] : self.starts[number + 1]].astype(np.int64)

    @property
    def empty(self) -> NDArray[np.int64]:
        """Numbers of the captions without a word."""
        return np.flatnonzero(np.diff(self.starts) == 0)

    def fingerprint(self) -> str:
        """Hex digest."""
        return digest(self.ids, self.starts)


def read_captions(path: str | Path) -> tuple[CaptionIds, CaptionIds, Vocabulary]:
    """Training captions, test captions and vocabulary of ``captions.pickle``; kept until the file changes.

    Raises:
        DataError: for a file that is missing, torn, malicious, or holds something else.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise DataError(f"{path} is missing")
    stat = path.stat()
    return _read(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, size: int, changed: int) -> tuple[CaptionIds, CaptionIds, Vocabulary]:
    content = load_plain(path)
    if not isinstance(content, list) or len(content) != 4:
        raise DataError(f"{path} must hold [train, test, word of each id, id of each word]")
    train, test, words, numbers = content
    vocabulary = _vocabulary(words, numbers, path)
    parts = [
        _ids(part, which, len(vocabulary), path, size) for part, which in ((train, "train"), (test, "test"))
    ]
    return parts[0], parts[1], vocabulary


def _vocabulary(words: Any, numbers: Any, path: Path) -> Vocabulary:
    if not isinstance(words, dict) or not isinstance(numbers, dict):
        raise DataError(
            f"{path}: its vocabulary must be two dicts, a word for each id and an id for each word"
        )
    listed: list[Any] = [words.get(number) for number in range(len(words))]
    missing = [number for number, word in enumerate(listed) if not isinstance(word, str)]
    if missing:
        raise DataError(f"{path}: its vocabulary has {len(words)} words, but none of id {missing[0]}")
    try:
        vocabulary = Vocabulary(listed)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    differing = [word for word, number in vocabulary.numbers.items() if numbers.get(word) != number]
    if differing or len(numbers) != len(words):
        what = repr(differing[0]) if differing else f"{len(numbers)} words, not {len(words)}"
        raise DataError(f"{path}: the two dicts of its vocabulary disagree on {what}")
    return vocabulary


def _ids(captions: Any, which: str, n_words: int, path: Path, most: int) -> CaptionIds:
    """A list of lists of numbers, checked. One list may be meant many times: ``most`` bounds the sum."""
    if not isinstance(captions, list) or set(map(type, captions)) - {list}:
        raise DataError(f"{path}: the {which} captions must be a list of lists of word numbers")
    lengths = np.fromiter(map(len, captions), dtype=np.int64, count=len(captions))
    if lengths.sum() > most:
        raise DataError(f"{path}: its {which} captions have more words than the file has bytes")
    if set(map(type, chain.from_iterable(captions))) - {int}:
        raise DataError(f"{path}: the {which} captions must be whole numbers, those of words")
    ids = np.fromiter(chain.from_iterable(captions), dtype=np.int64, count=int(lengths.sum()))
    wrong = np.flatnonzero((ids < 1) | (ids >= n_words))
    starts = np.concatenate([[0], lengths.cumsum()])
    if len(wrong):
        number = int(np.searchsorted(starts, wrong[0], side="right")) - 1
        raise DataError(
            f"{path}: {which} caption {number} has the word {ids[wrong[0]]}; words are 1 to {n_words - 1}"
        )
    return CaptionIds(ids.astype(np.int32), starts)


def read_names(path: str | Path) -> list[str]:
    """``filenames.pickle``: the name of each image, without its ending.

    Raises:
        DataError: for a file that cannot be read, holds something else, or names a place outside.
    """
    names = load_plain(path)
    if not isinstance(names, list) or not names or set(map(type, names)) - {str}:
        raise DataError(f"{path} must hold a list of file names")
    for name in names:
        if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
            raise DataError(f"{path}: the file name {name[:80]!r} leads out of the folder of images")
    return list(names)


def read_classes(path: str | Path, n: int) -> NDArray[np.int64]:
    """``class_info.pickle``: (n,) class of each image.

    Raises:
        DataError: for a file that cannot be read, or does not hold n numbers.
    """
    numbers = load_plain(path)
    if not isinstance(numbers, list) or set(map(type, numbers)) - {int}:
        raise DataError(f"{path} must hold a list of class numbers")
    if len(numbers) != n:
        raise DataError(f"{path} has {len(numbers)} classes for {n} images of filenames.pickle")
    return np.array(numbers, dtype=np.int64)


class CaptionTexts(Sequence[list[str]]):
    """The captions of each image as texts: lines of ``text/NAME.txt``, or the words of its ids.

    Args:
        folder: of the text files; None or a missing one: the words of the ids.
        names: of the images.
        ids: captions of all images, ``each`` for one.
        vocabulary: of the ids.
    """

    def __init__(
        self, folder: Path | None, names: Sequence[str], ids: CaptionIds, vocabulary: Vocabulary
    ) -> None:
        self.folder = folder if folder is not None and folder.is_dir() else None
        self.names, self.ids, self.vocabulary = names, ids, vocabulary
        self.each = len(ids) // max(len(names), 1)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"image {i} of {len(self)}")
        i = int(i) % len(self)
        if self.folder is None:
            first = i * self.each
            return [self.vocabulary.decode(self.ids.caption(k)) for k in range(first, first + self.each)]
        return read_text(self.folder / f"{self.names[i]}.txt", self.each)

    def sizes(self) -> list[int]:
        """Bytes of each text file, -1 where there is none: cheap, and another text is hardly as long."""
        files = [] if self.folder is None else [self.folder / f"{name}.txt" for name in self.names]
        return [file.stat().st_size if file.is_file() else -1 for file in files]


def read_text(path: Path, each: int) -> list[str]:
    """The first ``each`` lines of a caption file that are not empty.

    Raises:
        DataError: when it is missing, too large or has fewer.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_TEXT + 1)
    except OSError:
        raise DataError(f"{path} is missing: it holds the captions of an image, one a line") from None
    if len(content) > _LONGEST_TEXT:
        raise DataError(f"{path} has more than {_LONGEST_TEXT:,} bytes: these are no captions of an image")
    lines = [line.strip() for line in content.decode("utf-8", "replace").split("\n")]
    found = [line for line in lines if line][:each]
    if len(found) < each:
        raise DataError(f"{path} has {len(found)} captions, not {each}")
    return found
