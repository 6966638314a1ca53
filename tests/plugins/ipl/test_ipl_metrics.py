"""Metrics of adaptation: recorded values, the contract of metrics, two ranks equal to one, errors."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.plugins.ipl.formula import golden
from tests.plugins.ipl.test_ipl_metric_networks import IMAGES, hed_file, stem_tensors
from toolbox import build
from toolbox.interfaces import Condition, Metric, Sample
from toolbox.registry import BuildError
from toolbox.testing import check_metric, random_sample
from toolbox.testing.processes import run_ranks
from toolbox_ipl.metrics import formulas
from toolbox_ipl.metrics.directions import DirectionAgreement
from toolbox_ipl.metrics.distances import IntraDistance, PairwiseDistance, distances
from toolbox_ipl.metrics.similarity import IdentitySimilarity, ImageSimilarity
from toolbox_ipl.metrics.structure import StructuralConsistency
from toolbox_ipl.metrics.style import SIFID

__all__ = ["hed_file"]  # a fixture
PIXELS = dict(type="PooledPixels", size=2)
CLIP = dict(type="EmbeddedClip")
MODULES = ["directions", "distances", "formulas", "similarity", "structure", "style"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, one of them no square."""
    folder = tmp_path / "references"
    folder.mkdir()
    for number, size in enumerate([(32, 32), (40, 48), (64, 64)]):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def metrics(pictures: Path) -> list[dict[str, Any]]:
    return [
        dict(type="StructuralConsistency", edges="sobel", size=32),
        dict(type="StructuralConsistency", edges="sobel", size=None, quantise=True),
        dict(type="ImageSimilarity", extractor=PIXELS),
        dict(type="SIFID", references=str(pictures), network="toy-clip", size=32),
        dict(type="PairwiseDistance", extractor=PIXELS, n_fake=None),
        dict(type="IntraDistance", references=str(pictures), extractor=PIXELS, most=10),
        dict(type="DirectionAgreement", clip=CLIP, source="dog", target="cat"),
    ]


def test_metrics_keep_the_contract(pictures: Path) -> None:
    for config in metrics(pictures):
        check_metric(config)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"toolbox_ipl.metrics.{name}")
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried and not failed


# recorded values


def test_structural_consistency() -> None:
    arrays = golden("scs")
    maps = arrays["edge_source"], arrays["edge_target"]
    plain, cut = formulas.structural_consistency(*maps), formulas.structural_consistency(*maps, quantise=True)
    np.testing.assert_allclose(plain[:6], arrays["scs_per_pair_float"][:6], rtol=1e-12)
    np.testing.assert_allclose(cut[:6], arrays["scs_per_pair_uint8"][:6], rtol=1e-12)
    assert plain[6] == cut[6] == 1 and np.isnan(arrays["scs_per_pair_float"][6])  # no edge on either side
    ours = golden("ipl")
    maps = ours["in_scs_edges_src_uint8"] / 255, ours["in_scs_edges_tgt_uint8"] / 255
    np.testing.assert_allclose(formulas.structural_consistency(*maps), ours["out_scs_per_pair"], rtol=1e-12)


def test_scs_through_heds_network(hed_file: Path) -> None:
    metric = StructuralConsistency(weights=hed_file, size=None)
    metric.update_pairs(Sample(IMAGES[:1]), Sample(IMAGES[1:]))
    assert metric.compute()[""] == pytest.approx(float(golden("hed")["scs_img0_img1"]), abs=1e-6)
    assert metric.name == "scs[hed,native,1]"


def test_single_image_distance() -> None:
    arrays = golden("sifid")
    found = formulas.single_image_distance(arrays["feat_a"], arrays["feat_b"])
    assert found == pytest.approx(float(arrays["sifid"]), rel=1e-9)
    table = [[formulas.single_image_distance(g, r) for g in arrays["gen"]] for r in arrays["refs"]]
    np.testing.assert_allclose(table, arrays["sifid_matrix"], rtol=1e-8)
    ours = golden("ipl")
    maps = ours["in_sifid_feature_map_a"], ours["in_sifid_feature_map_b"]
    assert formulas.single_image_distance(*maps) == pytest.approx(float(ours["out_sifid"]), rel=1e-5)


@pytest.mark.parametrize("layer", [64, 192])
def test_sifid_through_inception(layer: int, tmp_path: Path) -> None:
    torch.save(stem_tensors(), tmp_path / "inception.pth")
    pixels = ((IMAGES[1, :, :40] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "one.png")
    metric = SIFID(
        tmp_path / "one.png", weights=tmp_path / "inception.pth", layer=layer, size=40, sha256=None
    )
    metric.update_fake(Sample(IMAGES[:1, :, :40]))
    maps = metric._maps_of(IMAGES[:, :, :40])
    assert metric.compute()["R1"] == pytest.approx(formulas.single_image_distance(maps[0], maps[1]), rel=1e-5)
    assert metric.name == f"sifid[inception-{layer},40px,1refs,1]"
    native = metric._maps_of(IMAGES)
    expected = float(golden("maps")[f"sifid{layer}_img0_img1"])
    assert formulas.single_image_distance(native[0], native[1]) == pytest.approx(expected, rel=1e-4)


def test_identity_is_the_mean_cosine() -> None:
    arrays = golden("identity")

    class Given(torch.nn.Module):
        name, n_features = "given", 16

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :, :, :].flatten(1)[:, :16]

    metric = ImageSimilarity(build(PIXELS))
    metric.extractor = Given()  # type: ignore[assignment]
    values = metric.of_pairs(*(torch.from_numpy(arrays[k]).view(20, 1, 4, 4) for k in ("emb_a", "emb_b")))
    np.testing.assert_allclose(values, arrays["cos"], atol=1e-6)
    assert float(values.mean()) == pytest.approx(float(arrays["id_mean"]), abs=1e-6)


def test_distance_within_clusters() -> None:
    arrays = golden("intra")
    members = formulas.cluster_members(arrays["dist_to_centres"])
    between = arrays["pairwise"]
    means = [formulas.mean_distance(between[np.ix_(own, own)]) for own in members]
    known = arrays["cluster_means"][~np.isnan(arrays["cluster_means"])]
    np.testing.assert_allclose(means, known, rtol=1e-12)
    assert np.mean(means) == pytest.approx(float(arrays["ic_lpips_nanmean"]), rel=1e-12)
    assert np.std(means, ddof=1) == pytest.approx(float(arrays["ic_lpips_std_ddof1"]), rel=1e-12)
    assert formulas.mean_distance(between) == pytest.approx(float(arrays["all_pairs_mean"]), rel=1e-12)


def test_large_clusters_are_drawn_from() -> None:
    near = np.zeros((70, 1))
    first, again = (formulas.cluster_members(near, most=50, seed=3)[0] for _ in range(2))
    assert len(set(first.tolist())) == 50 and (first == again).all() and (np.diff(first) > 0).all()
    assert formulas.cluster_members(near[:1]) == []


# behaviour


def test_distances_of_images_to_each_other() -> None:
    images = (random_sample(5).images * 127 + 127).byte()
    extractor = build(PIXELS)
    table = distances(extractor, images)
    unit = torch.nn.functional.normalize(extractor(images.float() / 127.5 - 1).double(), dim=1)
    np.testing.assert_allclose(table, (1 - unit @ unit.T).fill_diagonal_(0), atol=1e-6)
    np.testing.assert_allclose(distances(extractor, images, images)[:, :2], table[:, :2], atol=1e-6)


def test_copies_of_the_references_have_no_distance_within_clusters(pictures: Path) -> None:
    metric = IntraDistance(pictures, PIXELS, size=32)
    copies = (metric.pictures.float() / 127.5 - 1).repeat(2, 1, 1, 1)
    metric.update_fake(Sample(copies))
    none = pytest.approx(0, abs=1e-6)
    assert metric.compute() == {"": none, "std": none, "clusters": 3}
    assert metric.name == "intra-distance[pixels-2x2,cosine,3refs,6]"


def test_images_that_move_as_the_words_agree() -> None:
    metric = DirectionAgreement(CLIP, "dog", "cat")
    torch.manual_seed(0)
    text = metric._text_direction
    source = torch.randn(3, len(text), dtype=torch.float64)
    metric.rows.add((source * 0 + text), None)
    assert metric.compute() == {"": pytest.approx(1), "std": pytest.approx(0), "spread": pytest.approx(0)}
    metric.reset()
    metric.rows.add(torch.stack([text, -text, text]), None)
    assert metric.compute()["spread"] == pytest.approx(1 + 1 / 3)


def test_pairs_without_edges_are_counted() -> None:
    flat = Sample(torch.zeros(2, 3, 16, 16))
    metric = StructuralConsistency("sobel", size=16)
    metric.update_pairs(flat, flat)
    assert metric.compute() == {"": 1.0, "std": 0.0, "edgeless": 1.0}


def two_ranks(references: str) -> dict[str, dict[str, float]]:
    from toolbox import ranks

    found = {}
    for config in metrics(Path(references)):
        metric: Metric = build(config)
        for number in range(3):
            if ranks.is_mine(number):
                feed(metric, slice(8 * number, 8 * number + 8))
        states = ranks.gather_to_main(metric.state())
        if ranks.is_main():
            for state in states[1:]:
                metric.merge(state)
            found[metric.name] = metric.compute()
    return found


def feed(metric: Metric, rows: slice) -> None:
    fake, source = random_sample(24, seed=2), random_sample(24, seed=3)
    if "pairs" in metric.needs:
        metric.update_pairs(source[rows], fake[rows])
    else:
        metric.update_fake(fake[rows])


@pytest.mark.slow
def test_two_ranks_are_one(pictures: Path) -> None:
    found = run_ranks(two_ranks, str(pictures))[0]
    for config in metrics(pictures):
        metric: Metric = build(config)
        for number in range(3):
            feed(metric, slice(8 * number, 8 * number + 8))
        assert found[metric.name] == metric.compute()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StructuralConsistency(), r"HED: weights is not given.*edges='sobel' needs no file"),
        (
            lambda: StructuralConsistency("sobl"),
            r"edges='sobl' - did you mean 'sobel'\?; allowed: hed, sobel",
        ),
        (lambda: StructuralConsistency("sobel", "file"), r"weights='file' are HED's, and edges='sobel'"),
        (lambda: StructuralConsistency("sobel", size=8), r"size=8 must be a whole number of 16 or more"),
        (lambda: IdentitySimilarity("gone"), r"IRSE50: weights='gone': no such file"),
        (
            lambda: SIFID("gone.png", "toy-clip"),
            r"references: 'gone.png' is neither a picture file",
        ),
        (lambda: SIFID([], "toyclip"), r"network='toyclip' - did you mean 'toy-clip'"),
        (lambda: SIFID([], "toy-clip", "file"), r"weights='file' are Inception's"),
        (lambda: SIFID(__file__, "toy-clip"), r"is not a readable picture"),
        (lambda: SIFID(Path(__file__).parent, "toy-clip"), r"holds no pictures \(.png"),
        (lambda: DirectionAgreement(CLIP, "cat", " cat"), r"source and target are both 'cat'"),
        (lambda: DirectionAgreement(CLIP, "", "cat"), r"source='' must be a label, such as 'photo'"),
        (lambda: DirectionAgreement(CLIP, "dog", "cat", ["a photo"]), r"sentences, each with \{\}"),
        (lambda: PairwiseDistance(PIXELS, n_fake=1), r"n_fake=1 must be a whole number of 2 or more"),
    ],
)
def test_faults(make: Any, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make()


def test_faults_of_what_is_fed(pictures: Path) -> None:
    metric = StructuralConsistency("sobel", size=16, n_fake=3)
    images = torch.zeros(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"scs-sobel: source and generated images have shapes"):
        metric.update_pairs(Sample(images), Sample(images[:1]))
    with pytest.raises(ValueError, match=r"image 1 of the batch holds values that are not finite"):
        metric.update_pairs(Sample(images), Sample(torch.stack([images[0], images[0] / 0])))
    with pytest.raises(ValueError, match=r"expected \(N, 3, H, W\), RGB"):
        metric.update_pairs(Sample(images[:, :1]), Sample(images))
    metric.update_pairs(Sample(images), Sample(images))
    with pytest.raises(ValueError, match=r"scs-sobel\[16px,3\]: 2 pairs were fed, the protocol takes 3"):
        metric.compute()
    again = Sample(images, Condition(), index=torch.tensor([4, 4]))
    metric.update_pairs(again, again)
    with pytest.raises(ValueError, match=r"image 4 was fed twice"):
        metric.state()
    scattered = IntraDistance(pictures, PIXELS, size=32)
    scattered.update_fake(Sample(scattered.pictures.float() / 127.5 - 1))
    with pytest.raises(ValueError, match=r"no reference is the nearest of 2 images"):
        scattered.compute()
    with pytest.raises(BuildError, match=r"StructuralConsistency.*edge.*did you mean 'edges'"):
        build(dict(type="StructuralConsistency", edge="sobel"))
