"""Semi-supervised splits: which labels training may see, saved as an index file of one data set."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.data.base import DataError, ImageSet, whole_numbers
from toolbox.data.relabelled import MissingClassError
from toolbox.ranges import check_in, check_seed, check_whole, given

UNLABELLED = ("rest", "all", "none")
_FORMAT = 1


@dataclass(frozen=True)
class Split:
    """Which images are labelled, and which are seen without their label.

    Attributes:
        labelled, unlabelled: sorted image numbers, int64.
        options: how it was drawn: labelled_per_class or labelled_fraction, unlabelled, seed.
        fingerprint: of the data set that the numbers refer to.
    """

    labelled: NDArray[np.int64]
    unlabelled: NDArray[np.int64]
    options: Mapping[str, Any]
    fingerprint: str

    def save(self, path: str | Path) -> None:
        """Write the index file, JSON, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "format": _FORMAT,
            "options": dict(self.options),
            "fingerprint": self.fingerprint,
            "labelled": self.labelled.tolist(),
            "unlabelled": self.unlabelled.tolist(),
        }
        part = path.with_name(f"{path.name}.{os.getpid()}.part")  # several processes may write at once
        part.write_text(json.dumps(content), encoding="utf-8")
        os.replace(part, path)


def draw_split(
    source: ImageSet,
    labelled_per_class: int | None = None,
    labelled_fraction: float | None = None,
    unlabelled: str = "rest",
    seed: int = 0,
) -> Split:
    """A class-balanced split: of each class in order, the first n images of a permutation are labelled.

    Args:
        source: the data set; its true labels are read.
        labelled_per_class: n, the same for all classes.
        labelled_fraction: instead of it, the share of each class's images, in (0, 1]; rounded.
        unlabelled: 'rest' = all other images; 'all' = every image, labelled ones too (FixMatch's habit);
            'none'.
        seed: of numpy's PCG64.

    Raises:
        MissingClassError: when a class has too few images, or none would be labelled; it names the class.
        ValueError: for options that make no sense.
    """
    _check_options(labelled_per_class, labelled_fraction, unlabelled)
    check_seed(seed=seed)
    rng = np.random.default_rng(seed)
    chosen = []
    for label, name in enumerate(source.classes):
        members = np.flatnonzero(source.labels == label)
        n = _number_labelled(source.title, name, len(members), labelled_per_class, labelled_fraction)
        # the whole permutation is drawn: with one seed, few labels are among the many
        chosen.append(rng.permutation(members)[:n])
    labelled = np.sort(np.concatenate(chosen))
    hidden = np.arange(len(source))
    if unlabelled == "rest":
        hidden = np.setdiff1d(hidden, labelled)
    elif unlabelled == "none":
        hidden = hidden[:0]
    options = {
        "labelled_per_class": labelled_per_class,
        "labelled_fraction": labelled_fraction,
        "unlabelled": unlabelled,
        "seed": seed,
    }
    return Split(labelled, hidden, options, source.fingerprint())


def _check_options(per_class: int | None, fraction: float | None, unlabelled: str) -> None:
    if (per_class is None) == (fraction is None):
        raise ValueError("a split needs either labelled_per_class or labelled_fraction (one of them)")
    check_whole(1, **given(labelled_per_class=per_class))
    check_in("(0, 1]", **given(labelled_fraction=fraction))
    if unlabelled not in UNLABELLED:
        raise ValueError(f"unlabelled={unlabelled!r}: it is one of {', '.join(map(repr, UNLABELLED))}")


def _number_labelled(
    title: str, name: str, members: int, per_class: int | None, fraction: float | None
) -> int:
    n = per_class if per_class is not None else round(float(fraction or 0) * members)
    if members == 0 or n == 0:
        why = "the class has no images"
        if members:
            why = f"labelled_fraction={fraction} of its {members} is none"
        raise MissingClassError(
            f"{title}: class {name!r} would have no labelled images ({why}); label more, or leave it out"
        )
    if n > members:
        raise MissingClassError(
            f"{title}: class {name!r} has {members} images, fewer than labelled_per_class={n}"
        )
    return n


def load_split(path: str | Path, source: ImageSet) -> Split:
    """Read an index file and verify that it belongs to this data set.

    Raises:
        DataError: when the file is missing, torn, or of other data.
        MissingClassError: when a class has no labelled image in it.
    """
    path = Path(path)
    try:
        if path.stat().st_size > 2**20 + 64 * len(source):
            raise ValueError(f"it is far too large for {len(source):,} images")
        content = json.loads(path.read_text(encoding="utf-8"))
        labelled = whole_numbers(content["labelled"], "'labelled'")
        hidden = whole_numbers(content["unlabelled"], "'unlabelled'")
        split = Split(labelled, hidden, dict(content["options"]), str(content["fingerprint"]))
    except FileNotFoundError:
        raise DataError(f"split file {path} is missing") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"split file {path} is torn ({type(error).__name__}: {error}); remove it to draw it anew"
        ) from None
    _check_split(split, source, path)
    return split


def _check_split(split: Split, source: ImageSet, path: Path) -> None:
    if split.fingerprint != source.fingerprint():
        raise DataError(
            f"split file {path} was drawn for other data (fingerprint {split.fingerprint[:12]}, "
            f"{source.title} has {source.fingerprint()[:12]}): give the data it was drawn for, or another "
            "file name"
        )
    for numbers in (split.labelled, split.unlabelled):
        if numbers.ndim != 1 or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(source)):
            raise DataError(
                f"split file {path} names images that {source.title} does not have; remove it to draw it anew"
            )
        if len(np.unique(numbers)) < len(numbers):
            raise DataError(f"split file {path} names an image twice; remove it to draw it anew")
    present = np.unique(source.labels[split.labelled])
    for label, name in enumerate(source.classes):
        if label not in present:
            raise MissingClassError(
                f"split file {path}: class {name!r} of {source.title} has no labelled images"
            )


def make_split(source: ImageSet, file: str | Path | None = None, **options: Any) -> Split:
    """:func:`draw_split`, kept in ``file``: written when it is not there, read and verified when it is.

    Raises:
        DataError: also when the file was drawn with other options.
    """
    if file is None or not Path(file).exists():
        split = draw_split(source, **options)
        if file is not None:
            split.save(file)
        return split
    split = load_split(file, source)
    differing = [
        f"{key}={split.options.get(key)!r}, not {value!r}"
        for key, value in options.items()
        if split.options.get(key) != value
    ]
    if differing:
        raise DataError(
            f"split file {file} was drawn with {'; '.join(differing)}: give another file name, or remove it"
        )
    return split
