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
_TRIES = 8  # draws for each sentence that is asked for, before an image is left with fewer


class Wordings(Subset):
    """The images of a set, each with up to ``each`` sentences about it, of different words, as captions.

    The last ``unseen`` of them are kept for ``part='unseen'``: what training has seen, in words that it has
    not; a fairer test of text-to-image networks than concepts whose very words are new.

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
        sentences = [self._sentences(built, told, i) for i in range(len(built))]
        kept = [self._kept(texts) for texts in sentences]
        chosen = [i for i, texts in enumerate(kept) if texts]
        if not chosen:
            raise DataError(f"{built.title}: no image has an {part} sentence: ask for more of each={each}")
        title = built.title if part == "seen" else f"{built.title}, unseen wordings"
        super().__init__(built, chosen, captions=[kept[i] for i in chosen], title=title)
        self.vocabulary = None  # the sentences have no ids
        if self.concepts is None:
            self.concepts = np.asarray(chosen, dtype=np.int64)

    def _sentences(self, source: ImageSet, told: CaptionSource | None, i: int) -> list[str]:
        """Ones of different words, in a random order."""
        rng = generator(self.seed, i)
        if told is None:
            texts = list(dict.fromkeys((source.captions or ())[i]))
            return [texts[k] for k in rng.permutation(len(texts))[: self.each]]
        found: dict[frozenset[str], str] = {}
        for _ in range(_TRIES * self.each):
            text = told.caption(i, rng)
            found.setdefault(frozenset(words_of(text)), text)
            if len(found) == self.each:
                break
        return list(found.values())

    def _kept(self, texts: list[str]) -> list[str]:
        seen = max(1, len(texts) - self.unseen)
        return texts[:seen] if self.part == "seen" else texts[seen:]

    def fingerprint(self) -> str:
        return digest(super().fingerprint(), self.captions)
