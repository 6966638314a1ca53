"""Classifiers: sizes, normalisation, that they learn, and their errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolbox.models.classifiers import NORMALISATIONS, Normalise, PlacedConvNet, SmallConvNet, WideResNet


def test_published_size() -> None:
    """FixMatch's WRN-28-2 has 1.47 M parameters."""
    assert sum(p.numel() for p in WideResNet(28, 2, 10).parameters()) == 1_467_610
    assert 80_000 < sum(p.numel() for p in SmallConvNet(10).parameters()) < 110_000


@pytest.mark.parametrize("network", [WideResNet(10, 1, 7), SmallConvNet(7)])
@pytest.mark.parametrize("size", [16, 28, 32])
def test_shapes(network: WideResNet | SmallConvNet, size: int) -> None:
    images = torch.randn(2, 3, size, size)
    assert network(images).shape == (2, 7)
    features = network.eval().features(images)
    assert features.shape == (2, network.n_features)
    torch.testing.assert_close(network.head(features), network(images))


def test_wide_resnet_halves_twice() -> None:
    network = WideResNet(10, 1, 2)
    assert network.blocks(network.stem(torch.randn(1, 3, 32, 32))).shape == (1, 64, 8, 8)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisation(name: str) -> None:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in NORMALISATIONS[name])
    unit = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(Normalise(name)(2 * unit - 1), (unit - mean) / std)


def test_normalisation_is_not_in_the_state() -> None:
    assert not Normalise("cifar10").state_dict()
    numbers = dict(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
    torch.testing.assert_close(Normalise(numbers)(torch.ones(1, 3, 1, 1)), torch.full((1, 3, 1, 1), 2.0))


@pytest.mark.parametrize("network", [WideResNet(10, 1, 2), SmallConvNet(2, channels=8), PlacedConvNet(2, 16)])
def test_learns_left_from_right(network: nn.Module) -> None:
    torch.manual_seed(0)
    labels = torch.arange(32) % 2
    images = 0.1 * torch.randn(32, 3, 16, 16)
    images[labels == 0, :, :4] += 1
    images[labels == 1, 0] -= 1
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(8):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
    assert (network(images).argmax(1) == labels).all()


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        ("cifar-10", r"normalisation='cifar-10' is not known.*did you mean 'cifar10'"),
        (dict(mean=[0, 0, 0]), r"normalisation has keys \['mean'\], expected 'mean' and 'std'"),
        (dict(mean=[0, 0, 0], std=[1, 0, 1]), r"std above 0"),
        (dict(mean=[0], std=[1]), r"three numbers"),
    ],
)
def test_bad_normalisation(statistics: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmallConvNet(normalisation=statistics)


def test_bad_depth() -> None:
    with pytest.raises(ValueError, match=r"depth=29 is not 6 n \+ 4: take 28"):
        WideResNet(depth=29)


def test_places_count_and_need_a_size() -> None:
    """The same strip left and right: means over all places cannot tell, a layer over places can."""
    left = torch.zeros(1, 3, 64, 64)
    left[..., 20:24] = 1
    places, means = PlacedConvNet(2, 64, 4, 8).eval(), SmallConvNet(2, channels=4).eval()
    with torch.no_grad():
        off = [(one.features(left) - one.features(left.roll(16, 3))).abs().max() for one in (places, means)]
    assert off[0] > 1e-3 > 1e-5 > off[1]
    assert places.features(left).shape == (1, 8) == (1, places.n_features)
    with pytest.raises(ValueError, match="image_size=40 must be a multiple of 16"):
        PlacedConvNet(image_size=40)
