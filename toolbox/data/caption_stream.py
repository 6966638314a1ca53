"""The training side of captioned images: pictures of any shape, several sizes, a caption a visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.data.base import DataError, Image, ImageSet, as_bytes
from toolbox.data.split import Split
from toolbox.data.stream import Stream, generator
from toolbox.data.transforms import RandomCrop, ShorterSide, SmallerSizes, Transform
from toolbox.data.vocabulary import ClipTokens, Ids, Tokens, Vocabulary, WordTokens
from toolbox.ranges import check_in

TOKENS = ("words", "clip")
_CAPTION, _WORDS, _VIEW = 3, 4, 5  # keep these draws apart, and from those of stream.py


class CaptionStream(Stream):
    """A :class:`Stream` whose items have a caption; what text-to-image networks train on.

    Each visit brings the shorter side of the whole picture to ``load`` x the image size, cuts a random square
    of the image size, applies the transforms, and draws one of the captions. Item (position, entry) is a
    function of ``seed``, position and entry.

    Args:
        source: an image set with captions that are whole sentences, or its config.
        split: see :class:`Stream`.
        transforms: after the crop, such as ``HorizontalFlip``.
        seed: of crops, transforms and captions.
        sizes: of the images of an item; the largest must be the source's ``image_size``. None: that alone.
        load: 76/64 is what AttnGAN and its successors take; 1 cuts the square out of the whole shorter side.
        tokens: 'words' of a vocabulary, or 'clip' for CLIP's pieces.
        max_words: token ids of a caption. Of more words a random choice is kept, in order; more pieces are
            cut.
        vocabulary: of the words: a :class:`Vocabulary`, a data set (or its config) whose vocabulary or
            captions it is, or None = the source's own. Pass the training set where the source is test data.

    Raises:
        DataError: for a source without captions, and for an image whose captions have no known word.
        ValueError: for sizes and words that make no sense.

    Attributes:
        tokens: makes the ids; ``tokens.vocabulary`` are the words.
        unknown: {word: how often it comes in the captions and is not in the vocabulary}.
    """

    def __init__(
        self,
        source: ImageSet | Mapping[str, Any],
        split: Split | Mapping[str, Any] | None = None,
        transforms: Sequence[Transform | Mapping[str, Any]] = (),
        seed: int = 0,
        sizes: Sequence[int] | None = None,
        load: float = 76 / 64,
        tokens: str | Tokens = "words",
        max_words: int = 18,
        vocabulary: Vocabulary | ImageSet | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(source, split, transforms, seed)
        check_in("[1, 4]", load=load)
        self.load = load
        self.sizes = _sizes(sizes, self.source)
        if self.source.captions is None or not len(self.source):
            raise DataError(f"{self.source.title} has no captions: a text-to-image network needs them")
        self.tokens = _tokens(tokens, max_words, vocabulary, self.source)
        self.max_words = max_words
        words = self.tokens.vocabulary
        self._has_ids = words is not None and self.source.vocabulary == words
        # captions that came with ids have a word each; of others, those without a known word are not drawn
        came_with_ids = self._has_ids or (words is None and self.source.vocabulary is not None)
        self._usable, self.unknown = ({}, {}) if came_with_ids else _look(self.source, self.tokens)
        if self.unknown and isinstance(tokens, str):
            _tell_unknown(self.source, self.unknown)
        self._views: list[Transform] = [
            ShorterSide(int(self.source.image_size * load)),
            RandomCrop(self.source.image_size),
            *self.transforms,
            SmallerSizes(self.sizes[:-1]),
        ]

    def of(self, source: ImageSet, split: Split | None = None) -> CaptionStream:
        return CaptionStream(source, split, **self._settings())

    def _settings(self) -> dict[str, Any]:
        """What it was made with, but for the images."""
        names = ("transforms", "seed", "sizes", "load", "tokens", "max_words")
        return {name: getattr(self, name) for name in names}

    def __getitem__(self, key: tuple[int, int] | int) -> dict[str, Any]:
        """What can be had at (position, entry), or at an entry, whose position is then its number.

        Returns:
            dict(images uint8 (3, H, W) and images64 etc. of the smaller sizes, text int64 (max_words,) filled
            up with 0, lengths = how many of them count, labels (-1 = hidden), index = image number, group =
            equal where captions fit each other's images), and label_sets bool (categories,) where there are
            such.
        """
        position, entry = key if isinstance(key, tuple) else (key, key)
        return self.item(position, entry, self.caption_number(position, entry))

    def caption(self, position: int, entry: int) -> Tensor:
        """Token ids (max_words,) that an entry has at a position; no image is looked at."""
        ids = self._ids(int(self.entries[entry]), self.caption_number(position, entry))
        return self.tokens.fit(ids, generator(self.seed, _WORDS, position))[0]

    def caption_number(self, position: int, entry: int) -> int:
        """Which of its captions an entry has at a position."""
        numbers = self.captions_of(int(self.entries[entry]))
        return int(numbers[generator(self.seed, _CAPTION, position).integers(len(numbers))])

    def captions_of(self, index: int) -> NDArray[np.int64]:
        """Numbers of the captions of image ``index`` that are drawn: those with a known word."""
        if index in self._usable:
            return self._usable[index]
        each = getattr(self.source, "captions_each", None)  # asks for no text
        return np.arange(len(self._captions[index]) if each is None else each)

    def item(self, position: int, entry: int, caption: int) -> dict[str, Any]:
        """The item at (position, entry) with this one of its captions."""
        index = int(self.entries[entry])
        views: dict[str, Image] = {"images": self.source.picture(index)}
        rng = generator(self.seed, _VIEW, position)
        for transform in self._views:
            transform.apply(views, rng)
        item: dict[str, Any] = {name: as_bytes(view) for name, view in views.items()}
        ids = self._ids(index, caption)
        choice = generator(self.seed, _WORDS, position) if len(ids) > self.max_words else None
        item["text"], item["lengths"] = self.tokens.fit(ids, choice)
        item["labels"] = int(self.entry_labels[entry])
        item["index"] = index
        concepts, sets = self.source.concepts, self.source.label_sets
        item["group"] = index if concepts is None else int(concepts[index])
        if sets is not None:
            item["label_sets"] = torch.tensor(sets[index])
        return item

    @property
    def _captions(self) -> Sequence[Sequence[str]]:
        assert self.source.captions is not None
        return self.source.captions

    def _ids(self, index: int, caption: int) -> Ids:
        if self._has_ids:
            return self.source.caption_ids(index, caption)
        return self.tokens.encode(self._captions[index][caption])


def _sizes(sizes: Sequence[int] | None, source: ImageSet) -> tuple[int, ...]:
    found = tuple(sorted(sizes or (source.image_size,)))
    if found[-1] != source.image_size or found[0] < 1 or len(set(found)) < len(found):
        raise ValueError(
            f"sizes={tuple(sizes or ())}: the largest must be the data set's image_size={source.image_size}, "
            "the others smaller, each once"
        )
    return found


def _tokens(
    tokens: str | Tokens,
    max_words: int,
    vocabulary: Vocabulary | ImageSet | Mapping[str, Any] | None,
    source: ImageSet,
) -> Tokens:
    if not isinstance(tokens, str):
        return tokens
    if tokens not in TOKENS:
        raise ValueError(f"tokens={tokens!r}: it is 'words' or 'clip'{near_miss(tokens, TOKENS)}")
    if tokens == "clip":
        if vocabulary is not None:
            raise ValueError("tokens='clip' has a vocabulary of its own: leave vocabulary out")
        return ClipTokens(max_words)
    return WordTokens(_vocabulary(source if vocabulary is None else vocabulary), max_words)


def _vocabulary(known: Vocabulary | ImageSet | Mapping[str, Any]) -> Vocabulary:
    """Of a set: its own, or the words of its captions."""
    from toolbox.registry import build

    if isinstance(known, Vocabulary):
        return known
    source: ImageSet = build(known, "dataset", "vocabulary")
    if source.vocabulary is not None:
        return source.vocabulary
    if source.captions is None:
        raise DataError(f"vocabulary: {source.title} has no captions")
    return Vocabulary.of(source.captions)


def _look(source: ImageSet, tokens: Tokens) -> tuple[dict[int, NDArray[np.int64]], dict[str, int]]:
    """Which captions are drawn where not all are, and the unknown words.

    Raises:
        DataError: for an image that has none left.
    """
    captions = source.captions or ()
    usable: dict[int, NDArray[np.int64]] = {}
    bare: list[int] = []
    for i, texts in enumerate(captions):
        known = [k for k, text in enumerate(texts) if text.strip() and _is_known(text, tokens)]
        if len(known) < len(texts):
            usable[i] = np.array(known, dtype=np.int64)
        if not known:
            bare.append(i)
    if bare:
        what = "a known word" if "".join(captions[bare[0]]).strip() else "a word"
        raise DataError(
            f"{source.title}: {len(bare):,} images have no caption with {what}, the first is image {bare[0]} "
            f"({list(captions[bare[0]])[:3]})"
        )
    unknown = dict(tokens.vocabulary.unknown(captions)) if tokens.vocabulary is not None else {}
    return usable, unknown


def _is_known(text: str, tokens: Tokens) -> bool:
    """Whether some of a text has an id; pieces are made of any text, and cutting thousands takes seconds."""
    return tokens.vocabulary is None or len(tokens.encode(text)) > 0


def _tell_unknown(source: ImageSet, unknown: Mapping[str, int]) -> None:
    from toolbox.runs.terminal import say

    frequent = ", ".join(sorted(unknown, key=lambda word: (-unknown[word], word))[:5])
    say(
        f"{source.title}: {len(unknown):,} words of its captions are not in the vocabulary and are left out "
        f"({frequent}{', ...' if len(unknown) > 5 else ''})"
    )
