"""Two captioned images of one label as one item: what supervised contrastive learning compares."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.catalog import near_miss
from toolbox.data.base import DataError, ImageSet
from toolbox.data.caption_stream import CaptionStream
from toolbox.data.split import Split
from toolbox.data.stream import HIDDEN, generator
from toolbox.data.transforms import Transform
from toolbox.data.vocabulary import Tokens, Vocabulary
from toolbox.randomness import mix

RULES = ("label", "sampled", "any", "jaccard")
_PARTNER = 6  # keeps these draws apart from those of the stream


class LabelPairs(CaptionStream):
    """A :class:`CaptionStream` whose items have a ``partner``: another of its items, of the same label.

    The partner has its own caption, crop and flip. All is a function of seed, position and entry. An image
    whose label no other has is its own partner, with another of its captions.

    Args:
        source, split, transforms, seed, sizes, load, tokens, max_words, vocabulary: of the stream.
        rule: what a common label is.
            'label': ``labels`` are equal (CUB's species; COCO's largest category).
            Of sets of labels (COCO's ``label_sets``): 'sampled' draws a category c of the item that others
            show too, and the partner among them; c is the label of both. 'any': the partner is any image that
            shows one of the item's categories. 'jaccard': such images, as often as intersection over union
            says.
            None: 'sampled' where there are sets, else 'label'.

    Raises:
        DataError: for a rule of sets where there are none, and for images of one class.
        ValueError: for another rule.

    Attributes:
        lone: how many entries are their own partners; said once.
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
        rule: str | None = None,
    ) -> None:
        super().__init__(source, split, transforms, seed, sizes, load, tokens, max_words, vocabulary)
        self.rule = _rule(rule, self.source)
        self._mates = self._found_mates()
        self._other = copy.copy(self)
        self._other.seed = mix(seed, "partner")
        self.lone = int(self._mates.alone.sum())
        if self.lone and isinstance(tokens, str):  # else it was said of the whole
            _tell_lone(self)

    def of(self, source: ImageSet, split: Split | None = None) -> LabelPairs:
        return LabelPairs(source, split, **self._settings(), rule=self.rule)

    def __getitem__(self, key: tuple[int, int] | int) -> dict[str, Any]:
        """A stream's item, and ``partner``: another, with the same fields.

        ``labels`` of both is the common label. Images without any label have numbers of their own, from
        len(classes) on.
        """
        position, entry = key if isinstance(key, tuple) else (key, key)
        rng = generator(self.seed, _PARTNER, position)
        partner, label = self._mates.draw(entry, rng)
        caption = self.caption_number(position, entry)
        item = self.item(position, entry, caption)
        second = self._other.caption_number(position, partner)
        if partner == entry:
            others = self.captions_of(item["index"])
            second = int(rng.choice(others[others != caption] if len(others) > 1 else others))
        other = self._other.item(position, partner, second)
        if label is not None:
            item["labels"] = other["labels"] = label
        item["partner"] = other
        return item

    def _found_mates(self) -> _Mates:
        source, images = self.source, self.entries
        labels = self.entry_labels.copy()
        sets = None if source.label_sets is None else source.label_sets[images]
        sets = None if sets is None else sets & (labels != HIDDEN)[:, None]
        bare = labels == HIDDEN if sets is None else ~sets.any(1)
        labels[bare] = len(source.classes) + images[bare]
        if self.rule == "label" or sets is None:
            return _EqualLabels(labels)
        return _SharedCategories(sets, labels, self.rule)


def _rule(rule: str | None, source: ImageSet) -> str:
    if rule is not None and rule not in RULES:
        known = ", ".join(map(repr, RULES))
        raise ValueError(f"rule={rule!r}: it is one of {known}{near_miss(rule, RULES)}")
    if rule not in (None, "label") and source.label_sets is None:
        raise DataError(
            f"rule={rule!r}: {source.title} has no label sets. Those of COCO come from its annotations, "
            "annotations/instances_train2014.json; of other sets take rule='label'"
        )
    if source.label_sets is None and len(source.classes) < 2:
        raise DataError(
            f"{source.title} has no labels to make pairs by: all of it is {source.classes[0]!r}. Those of "
            "COCO come from its annotations, annotations/instances_train2014.json"
        )
    if rule is None:
        return "label" if source.label_sets is None else "sampled"
    return rule


def _tell_lone(pairs: LabelPairs) -> None:
    from toolbox.runs.terminal import say

    say(
        f"{pairs.source.title}: {pairs.lone:,} of {len(pairs):,} items share their label with no other: "
        "each is its own partner, with another caption"
    )


class _Mates(ABC):
    """Who may be whose partner.

    Attributes:
        alone: (entries,) bool, who has nobody else.
    """

    alone: NDArray[np.bool_]

    @abstractmethod
    def draw(self, entry: int, rng: np.random.Generator) -> tuple[int, int | None]:
        """A partner of an entry, and the label that both get (None: they keep theirs)."""


class _EqualLabels(_Mates):
    def __init__(self, labels: NDArray[np.int64]) -> None:
        self.labels = labels
        self.order = np.argsort(labels, kind="stable")
        _, first, which, counts = np.unique(
            labels[self.order], return_index=True, return_inverse=True, return_counts=True
        )
        self.first, self.counts = np.empty_like(labels), np.empty_like(labels)
        self.first[self.order], self.counts[self.order] = first[which], counts[which]
        self.place = np.empty_like(labels)  # in order
        self.place[self.order] = np.arange(len(labels))
        self.alone = self.counts == 1

    def draw(self, entry: int, rng: np.random.Generator) -> tuple[int, int | None]:
        label = int(self.labels[entry])
        if self.alone[entry]:
            return entry, label
        place = self.first[entry] + rng.integers(self.counts[entry] - 1)
        return int(self.order[place + (place >= self.place[entry])]), label


class _SharedCategories(_Mates):
    """By rejection: an image that shares n categories is proposed n times as often as one that shares one."""

    def __init__(self, sets: NDArray[np.bool_], labels: NDArray[np.int64], rule: str) -> None:
        self.sets, self.labels, self.rule = sets, labels, rule
        self.members = [np.flatnonzero(column) for column in sets.T]
        self.counts = sets.sum(0)
        self.sizes = sets.sum(1)
        self.alone = ~(sets & (self.counts > 1)).any(1)

    def draw(self, entry: int, rng: np.random.Generator) -> tuple[int, int | None]:
        if not self.sizes[entry]:
            return entry, int(self.labels[entry])
        shared = self.sets[entry] if self.alone[entry] else self.sets[entry] & (self.counts > 1)
        categories = np.flatnonzero(shared)
        if self.rule == "sampled":
            category = int(rng.choice(categories))
            return (entry if self.alone[entry] else self._other(entry, category, rng)), category
        if self.alone[entry]:
            return entry, None
        others = self.counts[categories] - 1
        share = others / others.sum()
        while True:
            partner = self._other(entry, int(rng.choice(categories, p=share)), rng)
            if rng.random() < self._acceptance(entry, partner):
                return partner, None

    def _other(self, entry: int, category: int, rng: np.random.Generator) -> int:
        while True:  # half of two, or more
            partner = int(rng.choice(self.members[category]))
            if partner != entry:
                return partner

    def _acceptance(self, entry: int, partner: int) -> float:
        common = int((self.sets[entry] & self.sets[partner]).sum())
        if self.rule == "any":
            return 1 / common
        return float(self.sizes[entry] / (self.sizes[entry] + self.sizes[partner] - common))
