"""Views of a data set: some of its images, or coarser classes whose members are known."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.data.base import DataError, Image, ImageSet, Mask, digest, text_list


class MissingClassError(DataError):
    """A class that the data set does not have, or that has no images where some are needed."""


class Subset(ImageSet):
    """Images ``indices`` of a data set, in that order; everything known about them comes along.

    Args:
        source: the data set.
        indices: (n,) image numbers.
        given: attributes of :class:`ImageSet` that differ from the source's.
    """

    def __init__(self, source: ImageSet, indices: ArrayLike, **given: Any) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < len(source):
            raise IndexError(
                f"indices must lie in 0 to {len(source) - 1} ({source.title}), they run from "
                f"{self.indices.min()} to {self.indices.max()}"
            )
        self.embedded = source.embedded
        self.notice = source.notice
        self.part_names = source.part_names
        self.vocabulary = source.vocabulary
        for name in ("label_sets", "concepts"):
            values = getattr(source, name)
            setattr(self, name, None if values is None else values[self.indices])
        captions = None if source.captions is None else [source.captions[i] for i in self.indices]
        known: dict[str, Any] = {
            "labels": source.labels[self.indices],
            "classes": source.classes,
            "image_size": source.image_size,
            "title": source.title,
            "factors": {name: values[self.indices] for name, values in source.factors.items()},
            "factor_names": source.factor_names,
            "captions": captions,
            "license": source.license,
        }
        super().__init__(**{**known, **given})

    def image(self, i: int) -> Image:
        return self.source.image(int(self.indices[i]))

    def picture(self, i: int) -> Image:
        return self.source.picture(int(self.indices[i]))

    def caption_ids(self, i: int, k: int) -> NDArray[np.int64]:
        return self.source.caption_ids(int(self.indices[i]), k)

    def mask(self, i: int) -> Mask:
        return self.source.mask(int(self.indices[i]))

    def look_at(self, i: int, whole: bool = True) -> tuple[int, int] | None:
        return self.source.look_at(int(self.indices[i]), whole)

    def fingerprint(self) -> str:
        return digest(self.source.fingerprint(), self.indices, self.labels, self.classes)


class RelabelledSet(Subset):
    """Coarse classes made of the source's classes, which become the known intra-class factor 'fine'.

    Images whose class is in no group are left out. Coarse classes are numbered by sorted name: config files
    do not keep the order of a dict.

    Args:
        source: the data set, or its config.
        groups: {coarse class: [classes of the source]}.
        split: filled into the source's config, if given.

    Raises:
        MissingClassError: for a name that is no class of the source (near miss named) or has no images.
        DataError: for a class in two groups, or an empty group.
    """

    def __init__(
        self,
        source: ImageSet | Mapping[str, Any],
        groups: Mapping[str, Sequence[str]],
        split: str | None = None,
    ) -> None:
        source = _built(source, split)
        coarse = sorted(groups)
        fine = [name for group in coarse for name in groups[group]]
        _check_groups(source, groups, fine)
        group_of: dict[int, int] = {}  # class of the source -> coarse class
        for number, group in enumerate(coarse):
            for name in groups[group]:
                group_of[source.classes.index(name)] = number
        fine_of = {source.classes.index(name): number for number, name in enumerate(fine)}
        indices = np.flatnonzero(np.isin(source.labels, list(group_of)))
        kept = source.labels[indices]
        factors = {name: values[indices] for name, values in source.factors.items()}
        factors["fine"] = np.array([fine_of[int(label)] for label in kept], dtype=np.int64)
        super().__init__(
            source,
            indices,
            labels=[group_of[int(label)] for label in kept],
            classes=coarse,
            factors=factors,
            factor_names={**source.factor_names, "fine": fine},
            title=f"{source.title}, {len(coarse)} coarse classes",
        )


class FactorClasses(Subset):
    """Each combination of known factors as a class, such as 'neon, long hair, smiling'.

    The first factor changes slowest; combinations without images are classes too.

    Args:
        source: the data set, or its config.
        factors: names of its factors; 'class' stands for its classes.
        split: filled into the source's config, if given.

    Raises:
        DataError: for a factor that it does not have, or none.
    """

    def __init__(
        self, source: ImageSet | Mapping[str, Any], factors: Sequence[str], split: str | None = None
    ) -> None:
        source = _built(source, split)
        known = {"class": (source.labels, source.classes)}
        known |= {name: (source.factors[name], names) for name, names in source.factor_names.items()}
        names = text_list(factors, "factors")
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            what = f"{source.title} has no factor {unknown[0]!r}" if unknown else "factors is empty"
            raise DataError(f"{what}: it is of {', '.join(known)}")
        labels = np.zeros(len(source), dtype=np.int64)
        for name in names:
            values, called = known[name]
            labels = labels * len(called) + values
        classes = [", ".join(combined) for combined in product(*(known[name][1] for name in names))]
        super().__init__(source, np.arange(len(source)), labels=labels, classes=classes)


def _built(source: ImageSet | Mapping[str, Any], split: str | None) -> ImageSet:
    if not isinstance(source, Mapping):
        return source
    from toolbox.registry import build

    given = {} if split is None else {"split": split}
    return build({**source, **given}, "dataset")


def _check_groups(source: ImageSet, groups: Mapping[str, Sequence[str]], fine: Sequence[str]) -> None:
    if not groups:
        raise DataError("groups is empty: name at least one class")
    for group, names in groups.items():
        text_list(names, f"groups: {group!r}")
    empty = [group for group, names in groups.items() if not names]
    if empty:
        raise DataError(f"groups: {empty[0]!r} is empty")
    for name in fine:
        class_number(source, name)
    twice = [name for name in fine if fine.count(name) > 1]
    if twice:
        raise DataError(f"groups: class {twice[0]!r} is in more than one group")


def class_number(source: ImageSet, name: str) -> int:
    """The number of a class that has images.

    Raises:
        MissingClassError: when there is none, with the near miss.
    """
    if name not in source.classes:
        near = difflib.get_close_matches(name.lower(), source.classes, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise MissingClassError(
            f"{source.title} has no class {name!r}{hint} It has: {', '.join(source.classes)}"
        )
    number = source.classes.index(name)
    if not (source.labels == number).any():
        raise MissingClassError(f"class {name!r} of {source.title} has no images: leave it out, or add some")
    return number
