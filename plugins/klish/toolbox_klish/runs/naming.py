"""Names of clusters, given by a person: a small JSON file that merges clusters and says what they show.

    {"clusters": 12, "names": {"hair": [0, 3], "skin": [1], "eye": [7]}}

Several clusters under one name are merged. A cluster without a name keeps its number. (The paper, section
5.1: naming and merging is the only labelling cost, "less than one minute for a whole dataset".)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox_klish.segment import has_planes

Labels = TypeVar("Labels", NDArray[np.integer], Tensor)


@dataclass(frozen=True)
class Names:
    """Names of the clusters of one classifier.

    Args:
        clusters: K, of the classifier.
        groups: {name: numbers of its clusters}; clusters that no name has stay on their own.

    Attributes:
        titles: names in order of ``groups``, then "cluster 4", ... for those without a name: what
            :meth:`apply` numbers.
        places: (K,) the place in ``titles`` of each cluster.

    Raises:
        ValueError: for a number that is no cluster, one under two names, or an empty name.
    """

    clusters: int
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _is_whole(self.clusters) or self.clusters < 1:
            raise ValueError(
                f"clusters={self.clusters!r} must be a whole number of at least 1, that of the classifier"
            )
        owner: dict[int, str] = {}
        for name, numbers in self.groups.items():
            _check_group(name, numbers, self.clusters)
            for number in numbers:
                other = owner.setdefault(number, name)
                if other != name:
                    raise ValueError(
                        f"names: cluster {number} stands under {other!r} and under {name!r}; "
                        "a cluster has one name"
                    )
                if list(numbers).count(number) > 1:
                    raise ValueError(
                        f"names: cluster {number} stands twice under {name!r}; a cluster has one name"
                    )

    @classmethod
    def template(cls, clusters: int) -> Names:
        """Every cluster on its own, called by its number: to be edited."""
        return cls(clusters, {f"cluster {number}": [number] for number in range(clusters)})

    @classmethod
    def read(cls, path: str | Path, clusters: int | None = None) -> Names:
        """Names of a file.

        Args:
            path: JSON as above.
            clusters: K of the classifier that they are wanted for, to be checked.

        Raises:
            ValueError: naming the file and what is wrong with it.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            names = _parsed(json.loads(text, object_pairs_hook=_without_repeats))
        except ValueError as error:  # JSON's and the decoder's own among them
            raise ValueError(f"{path}: {error}") from error
        if clusters is not None and names.clusters != clusters:
            raise ValueError(
                f"{path}: names {names.clusters} clusters, the classifier has {clusters}: another number "
                "needs names of its own; move the file away and run `toolbox klish name` again"
            )
        return names

    def write(self, path: str | Path) -> None:
        """The file as above, a name a line; whole or not at all."""
        from toolbox.runs.files import write_text

        lines = []
        for name, numbers in self.groups.items():
            lines.append(f"    {json.dumps(name, ensure_ascii=False)}: {json.dumps(list(map(int, numbers)))}")
        names = ",\n".join(lines)
        write_text(f'{{\n  "clusters": {self.clusters},\n  "names": {{\n{names}\n  }}\n}}\n', path)

    def named(self, name: str, numbers: Sequence[int]) -> Names:
        """A copy where these clusters, and no others, have this name; no clusters = the name is dropped."""
        groups = {}
        for known, theirs in self.groups.items():
            groups[known] = [number for number in theirs if number not in numbers]
        groups[name] = list(numbers)
        return Names(self.clusters, {known: theirs for known, theirs in groups.items() if theirs})

    def changes(self, name: str, numbers: Sequence[int]) -> list[str]:
        """What :meth:`named` would take from other names, or from this one, in words."""
        lines = []
        for known, theirs in self.groups.items():
            lost = [number for number in theirs if (number in numbers) == (known != name)]
            if not lost or known == f"cluster {lost[0]}":  # a number is no name that somebody gave
                continue
            moved = f"goes from {known!r} to {name!r}" if known != name else f"is no longer {known!r}"
            empty = f"; no cluster is {known!r} now" if len(lost) == len(theirs) and known != name else ""
            lines += [f"cluster {number} {moved}{empty if number == lost[-1] else ''}" for number in lost]
        return lines

    @cached_property
    def titles(self) -> list[str]:
        taken = {number for numbers in self.groups.values() for number in numbers}
        unnamed = [f"cluster {number}" for number in range(self.clusters) if number not in taken]
        return [*self.groups, *unnamed]

    @cached_property
    def places(self) -> NDArray[np.int64]:
        own = {number: place for place, numbers in enumerate(self.groups.values()) for number in numbers}
        rest = iter(range(len(self.groups), self.clusters + len(self.groups)))
        return np.array([own[number] if number in own else next(rest) for number in range(self.clusters)])

    def members(self, place: int) -> list[int]:
        """Clusters that a place of ``titles`` stands for."""
        return np.flatnonzero(self.places == place).tolist()

    def apply(self, labels: Labels) -> Labels:
        """Clusters 0..K-1, of any shape, array or tensor, as places in ``titles``."""
        if isinstance(labels, Tensor):
            return labels.new_tensor(self.places)[labels.long()]
        return self.places[np.asarray(labels)]


class NamedClassifier:
    """A classifier whose clusters are merged and called as :class:`Names` says.

    A name scores as its best cluster does.

    Args:
        classifier: of K clusters: ``predict``, ``scores``; where it has planes, ``weight``, ``bias``, and
            ``groups`` if a cluster is the best of several.
        names: of its clusters.

    Attributes:
        titles: what each class is called.
        weight, bias, groups: for :func:`toolbox_klish.segment.segment`, of a classifier with planes.

    Raises:
        ValueError: for names of another number of clusters.
    """

    def __init__(self, classifier: Any, names: Names) -> None:
        if names.clusters != classifier.n_clusters:
            raise ValueError(
                f"names are those of {names.clusters} clusters, the classifier has {classifier.n_clusters}"
            )
        self._classifier = classifier
        self._names = names
        self.titles = names.titles
        if has_planes(classifier):
            self.weight = classifier.weight
            self.bias = classifier.bias
            groups = getattr(classifier, "groups", None)
            self.groups = names.places if groups is None else names.places[groups]

    def members(self, place: int) -> list[int]:
        """Clusters that a place of ``titles`` stands for."""
        return self._names.members(place)

    @property
    def n_clusters(self) -> int:
        """Number of names, those without one included."""
        return len(self.titles)

    def scores(self, features: ArrayLike) -> NDArray[np.floating]:
        """(N, n_clusters) best score of the clusters of each name."""
        each = self._classifier.scores(features)  # (N, K)
        best = [each[:, self._names.members(place)].max(axis=1) for place in range(self.n_clusters)]
        return np.stack(best, axis=1)

    def predict(self, features: ArrayLike) -> NDArray[np.integer]:
        """(N,) place in ``titles``."""
        return np.asarray(self._names.apply(self._classifier.predict(features)))


def parse_setting(text: str) -> tuple[str, list[int]]:
    """'hair=0,3' as ('hair', [0, 3]); 'hair=' as ('hair', []).

    Raises:
        ValueError: for anything else.
    """
    name, equals, numbers = text.rpartition("=")
    parts = [part.strip() for part in numbers.split(",") if part.strip()]
    if not equals or not name.strip() or not all(part.isdigit() for part in parts):
        raise ValueError(f"--set {text!r} is not NAME=NUMBER,NUMBER,...; for instance --set hair=0,3")
    return name.strip(), [int(part) for part in parts]


def check_settings(settings: Sequence[tuple[str, Sequence[int]]]) -> None:
    """Raise a ValueError for settings of one command that contradict each other."""
    owner: dict[int, str] = {}
    names = [name for name, _ in settings]
    for name, numbers in settings:
        if names.count(name) > 1:
            raise ValueError(f"--set names {name!r} twice; give all of its clusters at once: {name}=0,3")
        for number in numbers:
            if owner.setdefault(number, name) != name:
                raise ValueError(
                    f"--set gives cluster {number} to {owner[number]!r} and to {name!r}; "
                    "a cluster has one name"
                )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON would keep the last of two equal keys, and drop the first in silence."""
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{key!r} stands twice; give all of its clusters in one list")
    return dict(pairs)


def _parsed(value: Any) -> Names:
    known = ("clusters", "names")
    if not isinstance(value, dict) or "clusters" not in value:
        raise ValueError('must hold {"clusters": K, "names": {"hair": [0, 3], ...}}')
    for key in value:
        if key not in known:
            raise ValueError(f"unknown key {key!r}{near_miss(key, known)}; there are: {', '.join(known)}")
    groups = value.get("names", {})
    if not isinstance(groups, dict):
        raise ValueError(
            f'"names" must be an object of lists of clusters, such as {{"hair": [0, 3]}}, not {groups!r}'
        )
    return Names(value["clusters"], groups)


def _check_group(name: str, numbers: Any, clusters: int) -> None:
    if not name.strip():
        raise ValueError("names: a name is empty; give it one, or leave its clusters out")
    if not isinstance(numbers, (list, tuple)) or not numbers:
        raise ValueError(f"names: {name!r} must have a list of clusters, such as [0, 3], not {numbers!r}")
    for number in numbers:
        if not _is_whole(number) or not 0 <= number < clusters:
            raise ValueError(
                f"names: {name!r} has {number!r}, which is no cluster: they are 0 to {clusters - 1}"
            )


def _is_whole(number: Any) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)
