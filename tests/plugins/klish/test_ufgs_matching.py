"""Clusters given to labels: by hand, under both protocols, and as a segmenter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from toolbox.data.base import DataError
from toolbox.data.drawn import DrawnPortraits
from toolbox.interfaces import Segmenter
from toolbox.metrics.segmentation import SegmentationScores
from toolbox_klish.ufgs.matching import MatchedSegmenter, match, relabelled, scores_of, tables_of


class Columns(Segmenter):
    """Pixel (y, x) is of cluster x modulo ``n``."""

    def __init__(self, n: int = 3) -> None:
        super().__init__()
        self.part_names = [f"cluster {i}" for i in range(n)]

    def forward(self, images: Tensor) -> Tensor:
        numbers = torch.arange(images.shape[3]) % len(self.part_names)
        one_hot = torch.nn.functional.one_hot(numbers, len(self.part_names)).T.float()
        return one_hot[None, :, None].expand(len(images), -1, images.shape[2], -1)


def tables() -> np.ndarray:
    """Two images, two labels, three clusters: cluster 0 is label 0; 1 is label 1; 2 is half of each."""
    return np.array([[[8, 0, 2], [0, 4, 2]], [[9, 1, 3], [0, 2, 1]]])


def test_paper_leaves_what_helps_no_label() -> None:
    """Cluster 2 (3 + 2 pixels of label 0, 2 + 1 of label 1) is taken by label 0, to whose IoU it adds."""
    found = match(tables(), "paper")
    assert found.assignment.tolist() == [0, 1, 0]
    assert found.miou == pytest.approx((22 / 26 + 6 / 10) / 2)
    spoilt = np.array([[[8, 0, 4], [0, 8, 4], [0, 0, 0]]])
    spoilt[0, :2, 2] = 1, 1
    spoilt = np.concatenate([spoilt, np.array([[[0, 0, 0], [0, 0, 0], [0, 0, 9]]])])
    assert match(spoilt, "official").assignment.tolist() == [0, 1, 2]


def test_official_gives_every_cluster_to_a_label() -> None:
    useless = np.array([[[5, 0, 5], [0, 5, 5]]] * 2)
    useless[:, :, 2] = [[2, 2], [2, 2]]
    assert (match(useless, "official").assignment >= 0).all()
    only = np.array([[[10, 0], [0, 0]]])  # cluster 1 never occurs
    assert match(only, "paper").assignment.tolist() == [0, -1]
    assert match(only, "official").assignment.tolist() == [0, 0]


def test_scores_of_tables_are_those_of_the_masks() -> None:
    """The segmenter with labels, pixel by pixel, against its clusters' tables with labels."""
    data = DrawnPortraits(split="test", images=3)
    clusters = Columns(4)
    assignment = [5, -1, 3, 0]
    segmenter = MatchedSegmenter(clusters, assignment, data.part_names)
    scores = SegmentationScores(len(data.part_names))
    for i in range(3):
        image = torch.from_numpy(data.image(i)).movedim(-1, 0)[None] / 127.5 - 1
        scores.update(torch.from_numpy(data.mask(i))[None], segmenter.labels(image))
    found = scores_of(relabelled(tables_of(clusters, data, batch_size=2), assignment))
    assert found == scores.compute()


def test_labels_at_another_size_and_of_other_images() -> None:
    segmenter = MatchedSegmenter(Columns(2), [1, 0], ["wall", "face"])
    assert segmenter(torch.zeros(1, 3, 2, 4)).argmax(1).tolist() == [[[1, 0, 1, 0]] * 2]
    assert segmenter.labels(torch.zeros(2, 3, 4, 4), size=2).shape == (2, 2, 2)
    with pytest.raises(ValueError, match="assignment names 3 clusters, the segmenter knows 2"):
        MatchedSegmenter(Columns(2), [1, 0, 0], ["wall", "face"])
    with pytest.raises(ValueError, match="labels -1 to 2: they must be 0 to 1, or -1"):
        MatchedSegmenter(Columns(2), [-1, 2], ["wall", "face"])


def test_what_cannot_be_matched() -> None:
    from toolbox.data.embedded import EmbeddedFashion

    with pytest.raises(DataError, match="has no masks"):
        tables_of(Columns(), EmbeddedFashion("test"), [0, 1])
    with pytest.raises(ValueError, match=r"protocol='offical' is not one of .* - did you mean 'official'"):
        match(tables(), "offical")
    assert len(tables_of(Columns(), DrawnPortraits(split="test", images=3), range(1, 3))) == 2
