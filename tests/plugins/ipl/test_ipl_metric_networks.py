"""Networks of metrics: the authors' names, recorded outputs under weights of a formula, wrong files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.plugins.ipl.formula import NAMES, filled, golden, hed_tensors
from toolbox.interfaces import from_bytes
from toolbox.metrics.functional.inception_score import inception_score
from toolbox.models.extractors import resize
from toolbox.testing import check_extractor
from toolbox_ipl.networks import irse50
from toolbox_ipl.networks.hed import HED, Sobel
from toolbox_ipl.networks.irse50 import IRSE50, face_of
from toolbox_ipl.networks.lpips import LPIPS, STAGES
from toolbox_ipl.networks.maps import InceptionMaps, ToyClipMaps

IMAGES = from_bytes(torch.from_numpy(golden("hed")["images_u8"]))
STEM = {"Conv2d_1a_3x3": (32, 3, 3), "Conv2d_2a_3x3": (32, 32, 3), "Conv2d_2b_3x3": (64, 32, 3)}
STEM |= {"Conv2d_3b_1x1": (80, 64, 1), "Conv2d_4a_3x3": (192, 80, 3)}
NORM = ("weight", "bias", "running_mean", "running_var")


def close(ours: Tensor, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4 * np.abs(theirs).max())


def stem_tensors() -> dict[str, Tensor]:
    """The first five layers of torchvision's Inception, and one more that the file has."""
    shapes = {f"{name}.conv.weight": [o, i, k, k] for name, (o, i, k) in STEM.items()}
    shapes |= {f"{name}.bn.{part}": [o] for name, (o, _, _) in STEM.items() for part in NORM}
    return {key: filled(key, shape) for key, shape in shapes.items()} | {"fc.bias": torch.zeros(1000)}


@pytest.fixture(scope="module")
def hed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "network-bsds500.pytorch"
    torch.save(hed_tensors(), path)
    return path


@torch.no_grad()
def test_edges_are_those_of_the_authors_network(hed_file: Path) -> None:
    network = HED(hed_file)
    close(network(IMAGES), golden("hed")["edges"])
    assert not network.train().training and not any(p.requires_grad for p in network.parameters())
    assert len(network.state_dict()) == 38 and sum(p.numel() for p in network.parameters()) == 14_716_171
    assert network.fingerprint() != Sobel().fingerprint()


def test_a_file_that_does_not_fit_is_named(hed_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"HED: weights is not given; it takes network-bsds500"):
        HED()
    with pytest.raises(FileNotFoundError, match=r"HED: weights='gone': no such file; it takes"):
        HED("gone")
    wrong = tmp_path / "wrong.pth"
    torch.save({"moduleScoreOne.weight": torch.zeros(1, 64, 1, 1), "extra": torch.zeros(1)}, wrong)
    with pytest.raises(ValueError, match=r"HED: weights=.*missing in the file \(37\).*not in the model"):
        HED(wrong)
    wrong.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"HED: weights: .* is a web page: the download failed; it takes"):
        HED(wrong)


def test_sobel_sees_a_step() -> None:
    images = torch.full((1, 3, 8, 8), -1.0)
    images[..., 4:] = 1
    edges = Sobel()(images)[0, 0]
    assert torch.equal(edges[:, 3:5], torch.ones(8, 2)) and edges.sum() == 16


def test_names_of_the_face_network(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {key: torch.zeros(shape) for key, shape in NAMES["ir_se50"].items()}
    monkeypatch.setattr(irse50, "tensors_of", lambda *arguments: wanted)
    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", lambda tensor, **_: tensor)  # time
    network = IRSE50("file")
    assert len(network.state_dict()) == 397
    assert sum(p.numel() for p in network.parameters()) == 43_797_696
    del wanted["body.23.res_layer.5.fc2.weight"]
    with pytest.raises(ValueError, match=r"IRSE50: .*missing in the file \(1\): body.23.res_layer.5.fc2.we"):
        IRSE50("file")
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"it takes model_ir_se50.pth of github.com/TreB1eN"):
        IRSE50()


def test_the_face_is_cut_out() -> None:
    arrays = golden("identity")
    small = from_bytes(torch.from_numpy(arrays["images_u8_64"]))
    images = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    close(face_of(images)[:, :, ::8, ::8], arrays["face112"])
    close(face_of(images.repeat_interleave(2, 2).repeat_interleave(2, 3))[:, :, ::8, ::8], arrays["face112"])


@pytest.mark.slow
@torch.no_grad()
def test_embeddings_are_those_of_the_authors_network(tmp_path: Path) -> None:
    arrays = golden("irse50")
    path = tmp_path / "model_ir_se50.pth"
    torch.save({key: filled(key, shape) for key, shape in NAMES["ir_se50"].items()}, path)
    images = from_bytes(torch.from_numpy(arrays["images_u8"]))
    large = torch.nn.functional.interpolate(images, (256, 256), mode="bilinear", align_corners=False)
    found = IRSE50(path)(large).numpy()
    # under these weights a relative change of the first image by 1e-6 changes its embedding by 1e-2
    np.testing.assert_allclose(found[0], arrays["embedding"][0], atol=2e-2)
    np.testing.assert_allclose(found[1], arrays["embedding"][1], atol=5e-4)
    assert found[0] @ found[1] == pytest.approx(float(arrays["cos"]), abs=5e-3)


@pytest.fixture(scope="module")
def lpips(tmp_path_factory: pytest.TempPathFactory) -> LPIPS:
    """LPIPS of 32 pixels, from files as they are published."""
    folder = tmp_path_factory.mktemp("lpips")
    shapes: dict[str, list[int]] = {"classifier.0.bias": [4096]}
    numbers = iter((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
    width = 3
    for depth, channels in STAGES:
        for _ in range(depth):
            number = next(numbers)
            shapes |= {f"features.{number}.weight": [channels, width, 3, 3]}
            shapes |= {f"features.{number}.bias": [channels]}
            width = channels
    torch.save({key: filled(key, shape) for key, shape in shapes.items()}, folder / "vgg16.pth")
    names = {f"lin{i}.model.1.weight": [1, channels, 1, 1] for i, (_, channels) in enumerate(STAGES)}
    torch.save({key: filled(key, shape).abs() for key, shape in names.items()}, folder / "vgg.pth")
    return LPIPS(folder / "vgg16.pth", folder / "vgg.pth", size=32, sha256=None)


@torch.no_grad()
def test_lpips_is_that_of_torchmetrics(lpips: LPIPS) -> None:
    vectors = lpips(resize(IMAGES, 32)).double()
    assert vectors.shape == (2, lpips.n_features) and lpips.name == "lpips-vgg-32px"
    found = float((vectors[0] - vectors[1]).square().sum())
    assert found == pytest.approx(float(golden("lpips")["distance32"]), rel=1e-5)


def test_lpips_names_its_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"LPIPS: heads is not given; it takes lpips/weights/v0.1"):
        LPIPS()
    heads = tmp_path / "vgg.pth"
    torch.save({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, heads)
    with pytest.raises(FileNotFoundError, match=r"LPIPS: backbone is not given; it takes vgg16-397923af.pth"):
        LPIPS(heads=heads)
    with pytest.raises(ValueError, match=r"LPIPS: backbone=.* has sha256 .*expected 397923af"):
        LPIPS(heads, heads)


def test_lpips_keeps_the_contract_of_extractors(lpips: LPIPS) -> None:
    check_extractor(lpips)


@torch.no_grad()
@pytest.mark.parametrize("channels", [64, 192])
def test_maps_are_those_of_torchvision(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "inception.pth"
    torch.save(stem_tensors(), path)
    maps = InceptionMaps(path, channels, sha256=None)(IMAGES)
    close(maps[:1, ::8], golden("maps")[f"tv_sifid{channels}_map"])
    with pytest.raises(ValueError, match=r"channels=128: allowed are 64 and 192"):
        InceptionMaps(path, 128)
    with pytest.raises(ValueError, match=r"expected 0cc3c7bd"):
        InceptionMaps(path)


def test_the_toy_clips_maps_are_of_any_size() -> None:
    maps = ToyClipMaps()(torch.zeros(2, 3, 48, 64))
    assert maps.shape == (2, 12, 12, 16)


def test_the_inception_score_is_the_authors() -> None:
    arrays: dict[str, Any] = golden("ipl")
    score, _ = inception_score(np.log(arrays["in_is_probs"]), 1, "boundaries", None)
    assert score == pytest.approx(float(arrays["out_is_one_split"]), rel=1e-9)
