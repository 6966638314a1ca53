"""A segmenter of many classes as one of a few."""

from __future__ import annotations

import pytest
import torch

from toolbox import testing
from toolbox.models.chosen_parts import ADE20K, ADE20KDeepLabV3, ChosenParts
from toolbox.models.segmenter import UNet

NAMES = ["sky", "tree", "car", "house"]


def network() -> UNet:
    torch.manual_seed(0)
    return UNet(NAMES, channels=2, depth=1, image_size=None).eval()


def test_other_has_score_zero_and_the_rest_keep_theirs() -> None:
    chosen, images = ChosenParts(network(), ["house", "sky"]), torch.randn(2, 3, 8, 8).clamp(-1, 1)
    scores = chosen(images)
    assert chosen.part_names == ["other", "house", "sky"] and torch.equal(scores[:, 0], torch.zeros(2, 8, 8))
    assert torch.equal(scores[:, 1:], network()(images)[:, [3, 0]])
    none_above = (scores[:, 1:] < 0).all(dim=1)
    assert torch.equal(
        chosen.labels(images)[none_above], torch.zeros(int(none_above.sum()), dtype=torch.long)
    )
    testing.check_segmenter(ChosenParts(network(), ["house", "sky"]))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (None, r"parts=None: name the classes .* out of the 4 of UNet, such as \['sky', 'tree', 'car'\]"),
        ("sky", "parts='sky': name the classes"),
        (["hause"], "parts: 'hause' is none of the 4 classes - did you mean 'house'"),
        (["sky", "sky"], "name a part twice"),
    ],
)
def test_parts_that_are_not_there(parts: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ChosenParts(network(), parts)  # type: ignore[arg-type]


def test_ade20k_has_150_classes() -> None:
    assert len(ADE20K) == len(set(ADE20K)) == 150
    assert (ADE20K[0], ADE20K[1], ADE20K[7], ADE20K[149]) == ("wall", "building", "bed", "flag")


@pytest.mark.slow
def test_ade20k_network() -> None:
    scores = ADE20KDeepLabV3().eval()(torch.zeros(1, 3, 32, 32))
    assert scores.shape == (1, 150, 32, 32)
