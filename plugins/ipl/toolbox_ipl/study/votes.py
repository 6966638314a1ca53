"""What raters' answers say: how often one method is preferred, and how sure that is."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolbox.ranges import check_seed, check_whole

COLUMNS = ("study", "rater", "question", "left", "choice", "seconds")


@dataclass(frozen=True)
class Preference:
    """How often raters preferred the first method.

    Attributes:
        share: of all votes, in [0, 1].
        votes, raters: their numbers.
        wilson: 95 % interval of the share, all votes taken as independent (Wilson 1927).
        clustered: 95 % interval of the share when raters are drawn anew, for a rater's votes are not
            independent.
        p_value: two-sided, exact binomial, of a share of one half.
    """

    share: float
    votes: int
    raters: int
    wilson: tuple[float, float]
    clustered: tuple[float, float]
    p_value: float


def preference(votes: Sequence[ArrayLike], draws: int = 10_000, seed: int = 0) -> Preference:
    """The preference that votes express.

    Args:
        votes: for each rater her votes (m_i,), 1 or True for the first method.
        draws: of raters, with replacement, for ``clustered``.
        seed: of the draws.

    Raises:
        ValueError: without any vote.

    >>> found = preference([[1, 1, 0], [1, 0, 1]], draws=100)
    >>> round(found.share, 4), found.votes, round(found.p_value, 4)
    (0.6667, 6, 0.6875)
    """
    from scipy.stats import binomtest

    check_whole(1, draws=draws)
    check_seed(seed=seed)
    of_raters = [np.asarray(one, dtype=bool) for one in votes if len(np.asarray(one))]
    if not of_raters:
        raise ValueError("there is no vote: no answers, or all raters failed the attention checks")
    for_first = np.array([one.sum() for one in of_raters])
    cast = np.array([len(one) for one in of_raters])
    test = binomtest(int(for_first.sum()), int(cast.sum()), 0.5)
    interval = test.proportion_ci(0.95, method="wilson")
    drawn = np.random.default_rng(seed).integers(len(cast), size=(draws, len(cast)))
    low, high = np.quantile(for_first[drawn].sum(1) / cast[drawn].sum(1), [0.025, 0.975])
    return Preference(
        share=float(for_first.sum() / cast.sum()),
        votes=int(cast.sum()),
        raters=len(cast),
        wilson=(float(interval.low), float(interval.high)),
        clustered=(float(low), float(high)),
        p_value=float(test.pvalue),
    )


@dataclass(frozen=True)
class Answers:
    """All answers to a study.

    Attributes:
        methods: (first, second).
        votes: {rater: [True where the first method was chosen]}, of raters that passed.
        failed: raters that failed more attention checks than allowed, whose votes do not count.
    """

    methods: tuple[str, str]
    votes: dict[str, list[bool]]
    failed: list[str]


def read_answers(files: Sequence[str | Path], key: str | Path, allowed: int = 0) -> Answers:
    """The answers in CSV files that the study's page wrote, by the key that was written beside the page.

    Args:
        files: of one rater or several each.
        key: the study's key.
        allowed: attention checks that a rater may fail.

    Raises:
        ValueError: for a file that is no such CSV, another study's, a question that the key does not know, or
            one that a rater answered twice.
    """
    check_whole(0, allowed=allowed)
    known = read_key(key)
    rows = [row for file in files for row in _rows(Path(file), str(known["study"]))]
    first, second = known["methods"]
    votes: dict[str, list[bool]] = {}
    missed: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for file, row in rows:
        rater, question = row["rater"], row["question"]
        if question not in known["questions"]:
            raise ValueError(f"{file}: question {question!r} is none of the study's")
        if (rater, question) in seen:
            raise ValueError(f"{file}: rater {rater!r} answered question {question} twice; name a file once")
        seen.add((rater, question))
        chosen = known["questions"][question][_chosen(file, row)]
        votes.setdefault(rater, [])
        if chosen in (first, second):
            votes[rater].append(chosen == first)
        else:
            missed[rater] = missed.get(rater, 0) + (chosen == "wrong")
    failed = sorted(rater for rater in votes if missed.get(rater, 0) > allowed)
    kept = {rater: own for rater, own in votes.items() if rater not in failed}
    return Answers((first, second), kept, failed)


def read_key(path: str | Path) -> dict[str, Any]:
    """Which method each picture of a study is of.

    Raises:
        ValueError: for a file that is no key.
    """
    try:
        key = json.loads(Path(path).read_text(encoding="utf-8"))
        fits = len(key["methods"]) == 2 and isinstance(key["questions"], dict) and "study" in key
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no key of a study ({error}): it is written beside the page") from None
    if not fits:
        raise ValueError(f"{path} is no key of a study: it is written beside the page")
    return dict(key)


def summary(answers: Answers, found: Preference) -> str:
    """The preference in sentences."""
    first, second = answers.methods
    failed = f"; {len(answers.failed)} failed the attention checks" if answers.failed else ""
    return (
        f"{first} is preferred to {second} in {found.share:.1%} of {found.votes} votes of "
        f"{found.raters} raters{failed}\n"
        f"95 % interval, votes independent (Wilson): {found.wilson[0]:.1%} to {found.wilson[1]:.1%}\n"
        f"95 % interval, raters drawn anew:          {found.clustered[0]:.1%} to {found.clustered[1]:.1%}\n"
        f"two-sided binomial p of no preference:     {found.p_value:.3g}"
    )


def as_json(answers: Answers, found: Preference) -> str:
    """The same as JSON."""
    return json.dumps({"methods": answers.methods, **asdict(found), "failed": len(answers.failed)}, indent=1)


def _rows(file: Path, study: str) -> list[tuple[Path, Mapping[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} cannot be read as CSV ({error})") from None
    missing = [name for name in COLUMNS if not rows or rows[0].get(name) is None]
    if missing:
        raise ValueError(f"{file} is no file of answers: it lacks {', '.join(missing)}")
    for row in rows:
        if row["study"] != study:
            raise ValueError(f"{file} answers study {row['study']!r}, the key is of {study!r}")
    return [(file, row) for row in rows]


def _chosen(file: Path, row: Mapping[str, str]) -> str:
    """Which of a question's two pictures was chosen: 'x' or 'y'."""
    left, choice = row["left"], row["choice"]
    if left not in ("x", "y") or choice not in ("left", "right"):
        raise ValueError(f"{file}: question {row['question']} has left={left!r} and choice={choice!r}")
    other = "y" if left == "x" else "x"
    return left if choice == "left" else other
