"""Segmenters: the shipped one is as its card says; sizes that fit and sizes that do not."""

from __future__ import annotations

import hashlib

import pytest
import torch

from toolbox.data.base import to_tensor
from toolbox.data.drawn import PARTS, DrawnPortraits
from toolbox.data.relabelled import Subset
from toolbox.interfaces import Segmenter
from toolbox.models.segmenter import WEIGHTS, DeepLabV3, EmbeddedSegmenter, UNet, embedded_card
from toolbox.registry import build
from toolbox.training.hooks.segmentation import measure_segmenter

TWO = ["ground", "thing"]


def test_the_shipped_weights_are_those_of_the_card_and_small() -> None:
    card = embedded_card()
    assert card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert WEIGHTS.stat().st_size < 1_500_000
    assert (
        card["network"]["part_names"] == list(PARTS)
        and card["trained"]["config"] == "configs/segmenter_portraits.py"
    )


@pytest.mark.slow
def test_it_reaches_what_its_card_says() -> None:
    """On every twentieth test portrait; the card's numbers are of all of them."""
    data, card = DrawnPortraits("test"), embedded_card()["metrics"]
    found = measure_segmenter(
        build(dict(type="EmbeddedSegmenter"), "segmenter"), Subset(data, range(0, 2000, 20))
    )
    assert (
        found["miou-pooled"] == pytest.approx(card["test: miou-pooled"], abs=0.01)
        and found["miou-pooled"] > 0.9
    )
    for name in ("miou-klish", "miou-per-image"):
        assert found[name] == pytest.approx(card[f"test: {name}"], abs=0.015)
    assert found["pixel-accuracy"] == pytest.approx(card["test: pixel-accuracy"], abs=0.003)


def test_it_takes_any_size_and_gives_the_size_asked_for() -> None:
    """A portrait drawn at 128 pixels is segmented as at 64, borders aside; it stays frozen."""
    segmenter = EmbeddedSegmenter()
    small, large = (DrawnPortraits("test", images=3, image_size=size) for size in (64, 128))
    of_small = segmenter.labels(torch.stack([to_tensor(small.image(i)) for i in range(3)]))
    of_large = segmenter.labels(torch.stack([to_tensor(large.image(i)) for i in range(3)]))
    assert of_large.shape == (3, 128, 128) and of_large.dtype == torch.int64
    assert (of_large[:, ::2, ::2] == of_small).float().mean() > 0.9
    assert segmenter.labels(to_tensor(large.image(0))[None], size=32).shape == (1, 32, 32)
    assert not segmenter.train().training and not any(
        parameter.requires_grad for parameter in segmenter.parameters()
    )


def test_scores_are_resized_only_where_sizes_differ() -> None:
    network, images = UNet(TWO, channels=2, depth=2, image_size=None).eval(), torch.rand(2, 3, 12, 16) * 2 - 1
    torch.testing.assert_close(network.scores(images), network(images), atol=0, rtol=0)
    assert network.scores(images, size=8).shape == (2, 2, 8, 8)


def test_an_edge_can_be_learnt() -> None:
    """A few steps of descent on bright squares: the U-Net gives every pixel its part, at the place where it
    is.
    """
    torch.manual_seed(0)
    truth = torch.zeros(4, 16, 16, dtype=torch.int64)
    for i in range(4):
        truth[i, 2 + i : 9 + i, 3 : 10 + i] = 1
    images = (truth[:, None] * 1.6 - 0.8).repeat(1, 3, 1, 1) + 0.1 * torch.randn(4, 3, 16, 16)
    network = UNet(TWO, channels=4, depth=2, image_size=16)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(30):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(images), truth).backward()
        optimiser.step()
    assert (network.labels(images) == truth).float().mean() > 0.98


def test_deeplab_by_name() -> None:
    network = build(dict(type="DeepLabV3", part_names=TWO, image_size=32), "segmenter").eval()
    assert isinstance(network, Segmenter) and isinstance(network, DeepLabV3)
    assert network.labels(torch.zeros(1, 3, 40, 40)).shape == (1, 40, 40)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(part_names=[]), r"part_names=\[\]: name at least two parts; does the data set have masks"),
        (dict(part_names="ground"), "part_names='ground': name at least two parts"),
        (dict(part_names=TWO, depth=0), "depth=0 must be a whole number of 1 or more"),
        (dict(part_names=TWO, image_size=20), r"image_size=20 must be a multiple of 2\^depth=8, or None"),
    ],
)
def test_networks_that_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNet(**arguments)


def test_images_that_cannot_be_halved() -> None:
    with pytest.raises(
        ValueError, match=r"images of \(10, 16\) cannot be halved depth=2 times: .* multiples of 4"
    ):
        UNet(TWO, channels=2, depth=2, image_size=None)(torch.zeros(1, 3, 10, 16))
