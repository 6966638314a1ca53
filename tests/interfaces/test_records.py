"""Records in slices."""

from __future__ import annotations

import torch

from toolbox.interfaces import Condition, Sample


def test_all_rows_are_the_record_itself_and_some_are_others() -> None:
    sample = Sample(torch.zeros(4, 3, 2, 2), Condition(labels=torch.arange(4), text=list("abcd")))
    for rows in (slice(None), slice(0, 4), slice(0, 9)):
        assert sample[rows] is sample
    for rows, labels in (
        (slice(3), [0, 1, 2]),
        (slice(None, None, 2), [0, 2]),
        (torch.arange(4), [0, 1, 2, 3]),
    ):
        part = sample[rows]
        assert part is not sample and part.condition.labels.tolist() == labels
        assert part.condition.text == ["abcd"[label] for label in labels]


def test_a_condition_of_nothing_stays_one() -> None:
    assert Condition()[:5] == Condition()
