"""Captions as token ids: words by number, as the text encoders of AttnGAN count them, and CLIP's pieces."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox.compat import clip_tokenizer
from toolbox.data.base import DataError, digest, text_list
from toolbox.interfaces.described import Described
from toolbox.ranges import check_whole

END = "<end>"  # number 0: what fills captions up; never inside one
Ids = NDArray[np.int64]


def words_of(text: str) -> list[str]:
    r"""The words of a caption as AttnGAN cuts them: runs of ``\w``, lower case, without what is not ASCII."""
    found = re.findall(r"\w+", text.replace("\ufffd\ufffd", " ").lower())
    if text.isascii():
        return found
    plain = (word.encode("ascii", "ignore").decode() for word in found)
    return [word for word in plain if word]


class Vocabulary(Described):
    """Words and their numbers.

    Args:
        words: by number; the first is '<end>'.

    Raises:
        DataError: for a word that comes twice, or another first one.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = text_list(words, "the words of a vocabulary")
        self.numbers = {word: number for number, word in enumerate(self.words)}
        if len(self.numbers) < len(self.words):
            twice = next(word for word, times in Counter(self.words).items() if times > 1)
            raise DataError(f"the vocabulary has the word {twice!r} twice")
        if not self.words or self.words[0] != END:
            raise DataError(f"the first word of a vocabulary must be {END!r}, which fills captions up")

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(tuple(self.words))

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} words)"

    @classmethod
    def of(cls, captions: Iterable[Sequence[str]]) -> Vocabulary:
        """All words of these captions (a list of texts for each image), sorted."""
        found = {word for texts in captions for text in texts for word in words_of(text)}
        return cls([END, *sorted(found)])

    def encode(self, text: str) -> Ids:
        """Numbers (words,) of the words of a caption; unknown ones are left out."""
        known = [self.numbers[word] for word in words_of(text) if word in self.numbers]
        return np.array(known, dtype=np.int64)

    def unknown(self, captions: Iterable[Sequence[str]]) -> Counter[str]:
        """How often each word that is not in the vocabulary comes in these captions."""
        found = Counter(word for texts in captions for text in texts for word in words_of(text))
        return Counter({word: times for word, times in found.items() if word not in self.numbers})

    def decode(self, ids: Iterable[int]) -> str:
        """The words of these numbers; the end and what lies behind it are left out."""
        return " ".join(self.words[int(number)] for number in ids if int(number))

    def to_bytes(self) -> Tensor:
        """uint8 (n,): the words as JSON, which a network keeps as a buffer."""
        return torch.frombuffer(bytearray(json.dumps(self.words).encode()), dtype=torch.uint8)

    @classmethod
    def from_bytes(cls, content: Tensor) -> Vocabulary:
        """Of what :meth:`to_bytes` gave.

        Raises:
            DataError: for anything else.
        """
        try:
            return cls(json.loads(content.cpu().numpy().tobytes()))
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"this is no vocabulary ({error})") from None

    def fingerprint(self) -> str:
        """Hex digest of the words in their order."""
        return digest(self.words)


class WordTokens(Described):
    """Captions as word numbers, cut to ``max_words`` and filled up with 0.

    Args:
        vocabulary: the words.
        max_words: L. Of longer captions a random choice of words is kept, in order.
    """

    def __init__(self, vocabulary: Vocabulary, max_words: int = 18) -> None:
        check_whole(1, max_words=max_words)
        self.vocabulary = vocabulary
        self.max_words = max_words

    def __len__(self) -> int:
        """How many different ids there are."""
        return len(self.vocabulary)

    def encode(self, text: str) -> Ids:
        """Ids of all known words."""
        return self.vocabulary.encode(text)

    def fit(self, ids: Ids, rng: np.random.Generator | None = None) -> tuple[Tensor, int]:
        """(ids (L,) int64, length); of longer captions the first words without ``rng``."""
        if len(ids) > self.max_words:
            kept = np.arange(self.max_words) if rng is None else rng.permutation(len(ids))[: self.max_words]
            ids = ids[np.sort(kept)]
        return _filled(ids, self.max_words), len(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Words of a caption's ids."""
        return self.vocabulary.decode(ids)


class ClipTokens(Described):
    """Captions as CLIP's pieces of words (open_clip's tokenizer), with start and end; filled up with 0.

    Args:
        max_words: L, pieces with start and end; longer captions are cut.
    """

    vocabulary = None

    def __init__(self, max_words: int = 77) -> None:
        check_whole(3, max_words=max_words)
        self.max_words = max_words

    def __len__(self) -> int:
        """How many different ids there are."""
        return len(self._tokenizer.encoder)

    def encode(self, text: str) -> Ids:
        """Ids of start, all pieces and end."""
        ids = [self._tokenizer.sot_token_id, *self._tokenizer.encode(text), self._tokenizer.eot_token_id]
        return np.array(ids, dtype=np.int64)

    def fit(self, ids: Ids, rng: np.random.Generator | None = None) -> tuple[Tensor, int]:
        """(ids (L,) int64, length with start and end); longer captions end at L."""
        if len(ids) > self.max_words:
            ids = np.append(ids[: self.max_words - 1], ids[-1])
        return _filled(ids, self.max_words), len(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of a caption's ids."""
        outer = (0, self._tokenizer.sot_token_id, self._tokenizer.eot_token_id)
        return str(self._tokenizer.decode([int(i) for i in ids if int(i) not in outer])).strip()

    @property
    def _tokenizer(self) -> Any:
        return clip_tokenizer()


def _filled(ids: Ids, length: int) -> Tensor:
    """(length,) with zeros after the ids."""
    row = np.zeros(length, dtype=np.int64)
    row[: len(ids)] = ids
    return torch.from_numpy(row)


Tokens = WordTokens | ClipTokens


def encode_texts(tokens: Tokens, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(ids (N, L) int64, lengths (N,) int64) of texts that somebody wrote.

    Raises:
        DataError: for a text without a known word.
    """
    rows = [tokens.encode(text) for text in text_list(texts, "texts")]
    bare = next((text for text, ids in zip(texts, rows, strict=True) if not len(ids)), None)
    if bare is not None:
        raise DataError(f"{bare!r} has no word that the vocabulary knows")
    fitted = [tokens.fit(ids) for ids in rows]
    ids = torch.stack([ids for ids, _ in fitted]) if fitted else torch.zeros(0, tokens.max_words).long()
    return ids, torch.tensor([length for _, length in fitted], dtype=torch.int64)
