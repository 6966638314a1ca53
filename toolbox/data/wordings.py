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
_TRIES = 12  # draws in a row that give nothing new, before an image is left with fewer sentences
_REMEMBERED = 4  # sets whose sentences are not made again in this process: a run's stages ask for one set
_sentences_of: dict[str, list[list[str]]] = {}


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
        kept = [self._kept(texts, told is not None) for texts in self._all_sentences(built, told)]
        chosen = [i for i, texts in enumerate(kept) if texts]
        if not chosen:
            raise DataError(f"{built.title}: no image has an {part} sentence: ask for more of each={each}")
        title = built.title if part == "seen" else f"{built.title}, unseen wordings"
        super().__init__(built, chosen, captions=[kept[i] for i in chosen], title=title)
        self.vocabulary = None  # the sentences have no ids
        if self.concepts is None:
            self.concepts = np.asarray(chosen, dtype=np.int64)

    def _all_sentences(self, source: ImageSet, told: CaptionSource | None) -> list[list[str]]:
        """Of each image; remembered by all that they depend on."""
        captions = [list(texts) for texts in source.captions or ()]
        key = digest(captions, source.labels, source.classes, self.templates, self.each, self.seed)
        if key not in _sentences_of:
            made = [self._sentences(source, told, i) for i in range(len(source))]
            while len(_sentences_of) >= _REMEMBERED:
                del _sentences_of[next(iter(_sentences_of))]
            _sentences_of[key] = made
        return _sentences_of[key]

    def _sentences(self, source: ImageSet, told: CaptionSource | None, i: int) -> list[str]:
        """Ones of different words, in a random order."""
        rng = generator(self.seed, i)
        if told is None:
            texts = list(dict.fromkeys((source.captions or ())[i]))
            return [texts[k] for k in rng.permutation(len(texts))[: self.each]]
        found: dict[frozenset[str], str] = {}
        said = set[str]()
        tries = _TRIES
        while tries and len(found) < self.each:
            text = told.caption(i, rng)
            words = None if text in said else frozenset(words_of(text))
            said.add(text)
            if words is None or words in found:
                tries -= 1
            else:
                found[words], tries = text, _TRIES
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
