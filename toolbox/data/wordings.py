"""Whole sentences made of an image's names and keywords, some of which training never sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolbox.data.base import DataError, ImageSet, digest
from toolbox.data.captioned import CaptionSource
from toolbox.data.relabelled import Subset
from toolbox.data.stream import generator
from toolbox.data.vocabulary import words_of
from toolbox.ranges import check_seed, check_whole

PARTS = ("seen", "unseen")
_MOST_SAID = 2
_SAID: dict[str, list[list[str]]] = {}  # sentences by what they are made of
_TRIES = 12  # draws in a row that give nothing new, before an image is left with fewer sentences


class Wordings(Subset):
    """The images of a set, each with up to ``each`` sentences about it, of different words, as captions.

    ``unseen`` of them are kept for ``part='unseen'``: images that training has seen, in other words; a fairer
    test of text-to-image networks than concepts whose very words are new. With templates, each word of an
    unseen sentence is in a seen one of its image.

    Args:
        source: an image set, or its config.
        templates: sentences with ``{name}``, ``{keywords}`` and ``{class}``, see
            :class:`toolbox.data.captioned.CaptionSource`; None: the captions are sentences, as they are.
        each: sentences of an image; images that have no more words get fewer.
        unseen: how many of them are kept apart; an image always keeps one seen sentence.
        part: 'seen', or 'unseen' = the others, of the images that have some.
        seed: of the sentences and of which are unseen.

    Raises:
        DataError: for a source without captions, and where no image has an unseen sentence.
        ValueError: for ``unseen`` that is not below ``each``, and templates with unknown placeholders.
    """

    def __init__(
        self,
        source: ImageSet | Mapping[str, Any],
        templates: Sequence[str] | None = ("{name}", "{name}, {keywords}"),
        each: int = 10,
        unseen: int = 2,
        part: str = "seen",
        seed: int = 0,
    ) -> None:
        from toolbox.registry import build

        check_whole(2, each=each)
        check_whole(0, unseen=unseen)
        check_seed(seed=seed)
        if part not in PARTS:
            raise ValueError(f"part={part!r}: it is 'seen' or 'unseen'")
        if unseen >= each:
            raise ValueError(f"unseen={unseen} of each={each} sentences: training needs at least one")
        built: ImageSet = build(source, "dataset", "source")
        if built.captions is None:
            raise DataError(f"{built.title} has no captions to word anew")
        self.templates = None if templates is None else list(templates)
        self.each, self.unseen, self.part, self.seed = each, unseen, part, seed
        told = None if templates is None else CaptionSource(built, list(templates))
        sentences = self._all_sentences(built, told)
        kept = [self._kept(texts, told is not None) for texts in sentences]
        chosen = [i for i, texts in enumerate(kept) if texts]
        if not chosen:
            raise DataError(f"{built.title}: no image has an {part} sentence: ask for more of each={each}")
        title = built.title if part == "seen" else f"{built.title}, unseen wordings"
        super().__init__(built, chosen, captions=[kept[i] for i in chosen], title=title)
        self.vocabulary = None  # the sentences have no ids
        if self.concepts is None:
            self.concepts = np.asarray(chosen, dtype=np.int64)

    def _all_sentences(self, source: ImageSet, told: CaptionSource | None) -> list[list[str]]:
        """Of every image. A run builds its data several times: the last ones are remembered."""
        known = (source.captions, source.labels, source.classes)
        key = digest(*known, self.templates, self.each, self.seed)
        if key not in _SAID:
            while len(_SAID) >= _MOST_SAID:
                del _SAID[next(iter(_SAID))]
            _SAID[key] = [self._sentences(source, told, i) for i in range(len(source))]
        return _SAID[key]

    def _sentences(self, source: ImageSet, told: CaptionSource | None, i: int) -> list[str]:
        """Ones of different words, in a random order."""
        rng = generator(self.seed, i)
        if told is None:
            texts = list(dict.fromkeys((source.captions or ())[i]))
            return [texts[k] for k in rng.permutation(len(texts))[: self.each]]
        found: dict[frozenset[str], str] = {}
        tries = _TRIES
        while tries and len(found) < self.each:
            text = told.caption(i, rng)
            words = frozenset(words_of(text))
            tries = tries - 1 if words in found else _TRIES
            found.setdefault(words, text)
        return list(found.values())

    def _kept(self, texts: list[str], known_words: bool) -> list[str]:
        """Those of this part. With ``known_words``, each word of an unseen sentence is in a seen one."""
        seen, unseen = list(texts), list[str]()
        for text in reversed(texts):
            others = [other for other in seen if other != text]
            if len(unseen) == self.unseen or not others:
                break
            if not known_words or set(words_of(text)) <= set(words_of(" ".join(others))):
                seen = others
                unseen.append(text)
        return seen if self.part == "seen" else unseen

    def fingerprint(self) -> str:
        return digest(super().fingerprint(), self.captions)
