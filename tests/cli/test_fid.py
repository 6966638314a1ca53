"""``toolbox fid A B``: folders, zips and samplers against each other, by any metric."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toolbox.cli.main import main
from toolbox.data.base import to_uint8
from toolbox.data.zipped import ZippedImages, write_zip
from toolbox.loading import load_sampler
from toolbox.models.biggan import BigGANGenerator
from toolbox.training.evaluation.distance import Drawn, chosen_metrics, distance
from toolbox.visual.grids import save_picture
from toolbox.weights.card import write_with_card


def pictures(folder: Path, seed: int, n: int = 24, size: int = 32, classes: tuple[str, ...] = ("",)) -> Path:
    """n pictures of noise of a brightness that depends on the seed, in each class folder."""
    rng = np.random.default_rng(seed)
    for name in classes:
        for i in range(n):
            noise = rng.integers(0, 128, (size, size, 3)) + 40 * seed
            save_picture(noise.clip(0, 255).astype(np.uint8), folder / name / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generator of 32 pixels and two classes, as a file with a card."""
    torch.manual_seed(0)
    arguments = dict(image_size=32, channels=8, latent_dim=8, embedding_dim=4, n_conditions=2)
    network = BigGANGenerator(**arguments)  # type: ignore[arg-type]
    card = dict(network=dict(type="BigGANGenerator", **arguments))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return write_with_card(path, network.state_dict(), card)


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, float]:
    """{name: value} of what the command prints."""
    capsys.readouterr()
    assert main(["fid", *words, "--device", "cpu"]) == 0
    rows = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    return {name: float(value) for name, value in rows}


def test_a_folder_against_itself_another_and_a_zip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing, something, and the same of the same images in a zip; the protocol is in the name."""
    a, b = pictures(tmp_path / "a", 0), pictures(tmp_path / "b", 2)
    images = ((path.name, np.asarray(Image.open(path))) for path in sorted(b.glob("*.png")))
    write_zip(tmp_path / "b.zip", images, {"labels": None})
    assert measured(capsys, str(a), str(a))["fid[toy-clip,24]"] < 1e-3
    apart = measured(capsys, str(a), str(b))["fid[toy-clip,24]"]
    assert apart > 1 and measured(capsys, str(a), str(tmp_path / "b.zip")) == {"fid[toy-clip,24]": apart}
    assert main(["fid", str(a), str(b)]) == 0
    assert "FIDInception is not available" in capsys.readouterr().err


def test_several_metrics_with_options_and_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = pictures(tmp_path / "a", 0), pictures(tmp_path / "b", 1)
    words = ["--metric", "fid", "KID", "precision_recall", "--options", "kid.subset_size=8", "kid.subsets=3"]
    record = tmp_path / "found.jsonl"
    found = measured(capsys, str(a), str(b), *words, "--n", "10", "--record", str(record))
    assert {"fid[toy-clip,10]", "kid[toy-clip,10,3x8]", "precision-recall[toy-clip,10].recall"} <= set(found)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["n_fake"] for line in lines] == [10, 10, 10] and lines[0]["data"]["n"] == 24


def test_what_a_generator_draws(generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On either side; the two sides of one generator are different draws of it, and no distance of 0."""
    a = pictures(tmp_path / "a", 0)
    one, other = (
        measured(capsys, *sides, "--n", "24")["fid[toy-clip,24]"]
        for sides in ((str(a), str(generator)), (str(generator), str(a)))
    )
    assert one > 1 and other > 1
    assert measured(capsys, str(generator), str(generator), "--n", "24")["fid[toy-clip,24]"] > 1e-3


def test_drawn_images_and_their_files_measure_the_same(generator: Path, tmp_path: Path) -> None:
    """A sampler is what its folder of images is."""
    reference = ZippedImages(pictures(tmp_path / "a", 0))
    sampler = load_sampler(generator, seed=5)
    for i, image in enumerate(to_uint8(sampler(torch.arange(12)).images).numpy()):
        save_picture(image, tmp_path / "drawn" / f"{i:02d}.png")
    files = ZippedImages(tmp_path / "drawn")
    metrics = list(chosen_metrics(["fid", "kid"], "EmbeddedClipFeatures", {"kid.subset_size": 8}).values())
    drawn = Drawn(sampler, 12, "x")
    for pair, other in (((reference, drawn), (reference, files)), ((drawn, reference), (files, reference))):
        assert distance(*pair, metrics) == pytest.approx(distance(*other, metrics), rel=1e-5)


def test_classes_are_folders_where_a_metric_asks_for_them(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (pictures(tmp_path / name, i, 8, classes=("0", "1")) for i, name in enumerate("ab"))
    c = pictures(tmp_path / "c", 1, 8, classes=("cat", "dog"))
    metric = ["--metric", "intra_fid"]
    assert measured(capsys, str(a), str(a), *metric)["intra-fid[toy-clip,16]"] < 1e-3
    assert measured(capsys, str(a), str(b), *metric)["intra-fid[toy-clip,16]"] > 1
    assert measured(capsys, str(a), str(generator), *metric, "--n", "16")["intra-fid[toy-clip,16]"] > 1
    assert main(["fid", str(a), str(c), *metric]) == 1
    assert "needs the same classes on both sides" in capsys.readouterr().err


def test_sizes_must_agree(tmp_path: Path, generator: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pictures(tmp_path / "a", 0), pictures(tmp_path / "b", 1, size=40)
    assert main(["fid", str(a), str(b)]) == 1
    assert re.search(r"a is 32 pixels wide and .*b 40: say which with --image-size", capsys.readouterr().err)
    for judged in (b, generator):
        assert len(measured(capsys, str(a), str(judged), "--image-size", "16", "--n", "20")) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--metric", "fdi"],
            "no metric is called 'fdi' - did you mean 'fid'?; metrics: answers_kept, classifier_accuracy",
        ),
        (
            ["--metric", "cluster_consistency"],
            "asks for clusters one by one, which a run has: toolbox test RUN",
        ),
        (["--options", "kid.subsets=3"], "kid.subsets: say METRIC.ARGUMENT of a metric that is measured"),
        (["--options", "fid.ddfo=0"], "FID has no argument 'ddfo' - did you mean 'ddof'?"),
        (["--extractor", "EmbeddedClipFeature"], "did you mean 'EmbeddedClipFeatures'"),
        (["--n", "25"], "holds 24 images, fewer than the 25 asked for"),
        (["--n", "0"], "--n 0: at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    a = pictures(tmp_path / "a", 0)
    assert main(["fid", str(a), str(a), *words]) == 1
    error = capsys.readouterr().err
    assert message in error and error.splitlines()[-1].startswith("error: ")


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fid", str(tmp_path / "nowhere"), str(tmp_path)]) == 1
    assert "nowhere: no such file or folder" in capsys.readouterr().err
    assert main(["fid", str(tmp_path), str(tmp_path)]) == 1
    assert "holds no images" in capsys.readouterr().err
