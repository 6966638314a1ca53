"""Rows of the flat table, and the errors of a wrong class or cluster."""

from __future__ import annotations

import pytest
import torch

from toolbox_lcp.layout import ClusterLayout


def test_rows_names_and_both_ways():
    layout = ClusterLayout(["cat", "dog"], {"cat": 2, "dog": 3})
    assert (layout.sizes, layout.offsets, layout.total, layout.width) == ([2, 3], [0, 2], 5, 3)
    assert layout.names[3] == "dog / cluster 1" and layout.row("dog", 1) == layout.row(1, 1) == 3
    assert [layout.place(row) for row in (0, 1, 4)] == [("cat", 0), ("cat", 1), ("dog", 2)]
    u = torch.tensor([[0.25, 0.75, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 0.0]])
    labels = torch.tensor([0, 1, -1])
    rows = layout.spread(labels, u)
    expected = torch.tensor([[0.25, 0.75, 0, 0, 0], [0, 0, 0.2, 0.3, 0.5], [0, 0, 0, 0, 0]])
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(layout.gather(labels, rows), u)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClusterLayout([]), "class_names is empty"),
        (
            lambda: ClusterLayout(["cat"], {"cta": 2}),
            "clusters: no class is called 'cta' - did you mean 'cat'",
        ),
        (lambda: ClusterLayout(["cat", "dog"], {"cat": 2}), "says nothing of class 'dog'"),
        (lambda: ClusterLayout(["cat"], 0), "clusters of class 'cat'=0 must be"),
        (lambda: ClusterLayout(["cat"], 2).row("cat", 2), r"class 'cat' has no cluster 2: it has 2 \(0..1\)"),
        (lambda: ClusterLayout(["cat"], 2).row(3, 0), "class 3 does not exist"),
    ],
)
def test_faults(make, message):
    with pytest.raises(ValueError, match=message):
        make()
