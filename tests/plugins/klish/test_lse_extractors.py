"""The linear extractor and its relatives: formulas, files, planes, annotated images, few of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.plugins.klish.tiny_lse import PARTS, Brightest, small_generator
from toolbox.data.base import DataError
from toolbox.features import feature_layers_of
from toolbox.interfaces import Generator, Segmenter
from toolbox.registry import build
from toolbox.weights.errors import WeightsError
from toolbox_klish.lse import losses
from toolbox_klish.lse.annotations import Annotations, annotate
from toolbox_klish.lse.extractors import LSE, NSE1, NSE2
from toolbox_klish.lse.files import load_official, save_official
from toolbox_klish.lse.fitting import Fit, GeneratedParts, few_batch, fit_few, fit_full, of_cross_entropy
from toolbox_klish.lse.planes import Planes
from toolbox_klish.lse.taps import Taps, drawn
from toolbox_klish.segment import score_maps, segment


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_generator()


@pytest.fixture(scope="module")
def teacher() -> Segmenter:
    return Brightest()


def filled(extractor: Any) -> Any:
    """With random tensors, also where it begins with ones."""
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in extractor.parameters():
            value.copy_(torch.randn(value.shape, generator=rng))
    return extractor.eval()


@pytest.mark.parametrize("weighting", ["none", "softplus", "sigmoid"])
@pytest.mark.parametrize("bias", [False, True])
def test_scores_are_those_of_the_formula(generator: Generator, weighting: str, bias: bool) -> None:
    """S = sum_l lambda_l up(W_l x_l + b_l): resized first and joined, a matrix product."""
    lse = filled(LSE(PARTS, generator, weighting=weighting, bias=bias))
    maps = drawn(generator, 2, 0, "test").maps(lse.layers)
    number = lse.layer_weight.detach()
    positive = {"none": torch.ones_like(number), "softplus": F.softplus(number), "sigmoid": number.sigmoid()}
    share = positive[weighting] if weighting == "none" else positive[weighting] / positive[weighting].sum()
    expected = torch.zeros(2, 3, 12, 12)
    for factor, convolution, layer in zip(share, lse.extractor, maps, strict=True):
        large = F.interpolate(layer, (12, 12), mode="bilinear", align_corners=True)
        expected += factor * torch.einsum("kc,nchw->nkhw", convolution.weight[:, :, 0, 0], large)
        if bias:
            expected += factor * convolution.bias[:, None, None]
    torch.testing.assert_close(lse(maps, 12), expected, rtol=1e-4, atol=1e-4)
    planes = Planes.of(lse)
    torch.testing.assert_close(score_maps(planes, maps, 12), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(segment(planes, maps, 12), expected.argmax(dim=1))


def test_planes_answer_as_clusterers_do(generator: Generator) -> None:
    lse = filled(LSE(PARTS, generator, layers=["8x8", "16x16"], bias=True))
    planes = Planes.of(lse)
    maps = drawn(generator, 1, 0, "test").maps(planes.layers)
    rows = torch.cat([F.interpolate(x, (16, 16), mode="bilinear", align_corners=True) for x in maps], dim=1)
    found = planes.predict(rows[0].flatten(1).T.numpy())
    assert planes.n_clusters == 3 and planes.weight.shape == (3, sum(lse.channels))
    np.testing.assert_array_equal(found, lse(maps, 16)[0].argmax(dim=0).flatten().numpy())


@pytest.mark.parametrize("kind", [NSE1, NSE2])
def test_extractors_that_are_not_linear(kind: Any, generator: Generator) -> None:
    extractor = kind(PARTS, generator)
    maps = drawn(generator, 2, 0, "test").maps(extractor.layers)
    scores = extractor(maps, 16)
    assert scores.shape == (2, 3, 16, 16)
    scores.square().mean().backward()
    assert all(value.grad is not None for value in extractor.parameters())
    with pytest.raises(ValueError, match=f"channels, {kind.__name__} reads"):
        extractor(maps[1:], 16)


def test_layers_are_named_numbered_or_all(generator: Generator) -> None:
    assert LSE(PARTS, generator).layers == tuple(layer.name for layer in feature_layers_of(generator))
    assert LSE(PARTS, generator, layers=[3, "16x16"]).layers == ("8x8", "16x16")
    for wrong, words in [
        (dict(layers=["32x32"]), "layers: '32x32' is none of the generator's"),
        (dict(weighting="softmax"), "weighting='softmax' is not one of none, softplus, sigmoid"),
        (dict(part_names=["one"]), "name at least two parts"),
        (dict(generator=None), "generator=None: name one"),
        (dict(generator=None, layers=["a"], channels=[3, 4]), "layers names 1 maps, channels=\\[3, 4\\]"),
    ]:
        with pytest.raises(ValueError, match=words):
            LSE(**{"part_names": PARTS, "generator": generator, **wrong})


def test_the_official_file(generator: Generator, tmp_path: Path) -> None:
    lse = filled(LSE(PARTS, generator, weighting="softplus", bias=True))
    save_official(lse, tmp_path / "lse.pth")
    content = torch.load(tmp_path / "lse.pth", weights_only=True)
    assert {"n_class", "dims", "layers", "lw_type", "use_bias", "type"} <= set(content["arch"])
    names = {f"extractor.{i}.{kind}" for i in range(len(lse.layers)) for kind in ("weight", "bias")}
    assert set(content["param"]) == {*names, "layer_weight"}
    again = load_official(tmp_path / "lse.pth", generator)
    maps = drawn(generator, 1, 0, "test").maps(lse.layers)
    assert torch.equal(again(maps, 16), lse(maps, 16)) and again.part_names == PARTS
    del content["arch"]["part_names"], content["arch"]["layer_names"]  # as the authors' files are
    torch.save(content, tmp_path / "theirs.pth")
    assert load_official(tmp_path / "theirs.pth", generator).part_names == ["part 0", "part 1", "part 2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(dims=[1, 2, 3, 4, 5, 6]), "is for maps of 1, 2, 3, 4, 5, 6 channels, those layers of"),
        (dict(layers=[0, 1, 2, 3, 4, 9]), "reads layer 9, StyleGAN2Generator has 0 to 5"),
        (dict(n_class=4), "has 4 parts, part_names=.* names 3"),
        (dict(type="NSE-1"), "is no file of a linear extractor"),
        (dict(use_bias=False), "does not fit StyleGAN2Generator: .*not in the model"),
    ],
)
def test_files_that_do_not_fit(
    change: dict[str, Any], words: str, generator: Generator, tmp_path: Path
) -> None:
    lse = LSE(PARTS, generator, bias=True)
    save_official(lse, tmp_path / "lse.pth")
    content = torch.load(tmp_path / "lse.pth", weights_only=True)
    content["arch"].update(change)
    torch.save(content, tmp_path / "lse.pth")
    with pytest.raises(WeightsError, match=words):
        load_official(tmp_path / "lse.pth", generator)


def test_images_and_maps_are_of_the_same_noise(generator: Generator) -> None:
    """Their own generator is asked twice; fresh noise changes both."""
    taps = drawn(generator, 2, 0, "test", truncation=0.7)
    again = Taps(generator, taps.latents, None, None, 0.7)
    assert torch.equal(taps.images(), taps.images())
    last = generator.feature_layers[-1]
    assert torch.equal(taps.maps([last])[0], taps.maps([last])[0])
    assert not torch.equal(taps.maps([last])[0], again.maps([last])[0])
    assert not torch.equal(taps.images(), again.images())


def test_annotated_images_are_kept(generator: Generator, teacher: Segmenter, tmp_path: Path) -> None:
    few = annotate(generator, teacher, 3, seed=5, size=8)
    assert few.masks.shape == (3, 8, 8) and len(few) == 3 and few.size == 8
    assert np.array_equal(few.masks[:2], annotate(generator, teacher, 2, seed=5, size=8).masks)
    few.save(tmp_path / "few.npz")
    again = Annotations.load(tmp_path / "few.npz")
    assert np.array_equal(again.masks, few.masks) and np.array_equal(again.latents, few.latents)
    assert again.part_names == PARTS and again.truncation == few.truncation and again.labels is None


def test_annotated_images_of_classes(teacher: Segmenter) -> None:
    torch.manual_seed(0)
    biggan = build(dict(type="BigGANGenerator", channels=8, image_size=32, n_conditions=3)).eval()
    few = annotate(biggan, teacher, 4)
    assert few.labels is not None and len(few.labels) == 4
    assert fit_few(biggan, few, shown=8).extractor[0].weight.abs().sum() > 0


def test_annotated_images_that_do_not_fit(generator: Generator, tmp_path: Path) -> None:
    latents, masks = np.zeros((2, 8), np.float32), np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(DataError, match="the mask of image 1 has part 3, but there are 3 part names"):
        Annotations(latents, np.stack([masks[0], masks[1] + 3]), PARTS, 0.7)
    with pytest.raises(DataError, match=r"latents \(1, 8\) and masks \(2, 4, 4\): expected"):
        Annotations(latents[:1], masks, PARTS, 0.7)
    other = Annotations(np.zeros((2, 5), np.float32), masks, PARTS, 0.7)
    with pytest.raises(DataError, match="latents of 5 numbers, the generator takes 8"):
        other.taps(generator, [0], None)
    np.savez(tmp_path / "bad.npz", latents=latents)
    with pytest.raises(DataError, match=r"bad.npz has no 'masks': it must hold latents, masks"):
        Annotations.load(tmp_path / "bad.npz")
    with pytest.raises(DataError, match="is not there, or no npz"):
        Annotations.load(tmp_path / "none.npz")


def test_few_annotations_are_learnt(generator: Generator, teacher: Segmenter) -> None:
    few = annotate(generator, teacher, 2, seed=1)
    lse = fit_few(generator, few, shown=80, lr=0.03)
    taps, truth = few_batch(generator, few, 0, 2, seed=9)
    found = GeneratedParts(generator, lse).of(taps)
    most_common = truth.flatten().bincount().max() / truth.numel()
    assert (found == truth).float().mean() > most_common + 0.01
    images, parts = GeneratedParts(generator, lse, size=8)(3, seed=1)
    assert images.shape == (3, 3, 16, 16) and parts.shape == (3, 8, 8)


def test_a_fit_goes_on_where_it_stopped(generator: Generator, teacher: Segmenter) -> None:
    few = annotate(generator, teacher, 2)

    def begun() -> Fit:
        torch.manual_seed(0)
        return Fit({"lse": LSE(PARTS, generator)}, {"lse": of_cross_entropy}, 10)

    whole, half = begun(), begun()
    for step in range(10):
        whole.step(*few_batch(generator, few, step, 2, 0))
    for step in range(5):
        half.step(*few_batch(generator, few, step, 2, 0))
    other = begun()
    other.load_state(half.state())
    for step in range(5, 10):
        other.step(*few_batch(generator, few, step, 2, 0))
    one, two = whole.extractors["lse"].state_dict(), other.extractors["lse"].state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_full_fits_see_new_images(generator: Generator, teacher: Segmenter) -> None:
    lse = fit_full(generator, teacher, steps=3, batch_size=2, layers=["16x16"])
    assert lse.layers == ("16x16",) and not lse.extractor[0].weight.requires_grad


def test_the_squared_hinge() -> None:
    scores, labels = torch.tensor([0.5, -2.0]).view(1, 2, 1, 1), torch.tensor([[[0]]])
    assert float(losses.squared_hinge(scores, labels)) == pytest.approx((0.5**2 + 0) / 2)
    lse = LSE(["a", "b"], layers=["x", "y"], channels=[1, 2])
    with torch.no_grad():
        lse.extractor[0].weight.fill_(2.0)
        lse.extractor[1].weight.fill_(1.0)
    assert float(losses.margin(lse).detach()) == pytest.approx(0.5 * (4 + 2))
    assert float(losses.svm(lse, scores, labels, 10.0).detach()) == pytest.approx(10 * 0.125 + 3)
