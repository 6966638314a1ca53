"""Drawing and naming a run: every picture, the report, the commands, and what is said of gaps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox_klish.pictures.look import Look
from toolbox_klish.pictures.run import algorithm_titles
from toolbox_klish.pictures.toy import agreement, toy_clusterings
from toolbox_klish.runs.naming import Names
from toolbox_klish.runs.report import draw_run
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import PictureSettings
from toolbox_klish.segment import segment
from toolbox_klish.toy import three_sets

CONFIG = """
command = 'klish fit'
title = 'A small <run>'
generator = dict(
    type='StyleGAN2Generator', image_size=16, latent_dim=8, style_dim=8, channel_base=128, channel_max=8)
features = dict(images=6, size=16)
clusterers = dict(
    klish=dict(type='KLiSH', clusters=8, C=100.0, filter_sigma=None), kmeans=dict(type='LloydKMeans'),
    ahc=dict(type='AHC', rows=300, classifier_steps=5), other=dict(type='AHC', rows=300, classifier_steps=5))
shown = [6]
final = 4
seeds = [0, 1]
pictures = dict(samples=3, pool=4)
warn_iou = 1.0
device = 'cpu'
"""
PICTURES = {"algorithms", "clusters", "iou", "iou-bars", "maps-4", "maps-6", "step", "strip", "tree"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("klish")
    config = folder / "config.py"
    config.write_text(CONFIG)
    run = folder / "run"
    assert main(["klish", "fit", str(config), "--work-dir", str(run), "--no-pictures"]) == 0
    return run


@pytest.fixture
def folder(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


def test_drawing_writes_every_picture_and_one_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "draw", str(folder)]) == 0
    assert capsys.readouterr().out.strip().endswith(str(folder / "report.html"))
    assert {path.stem for path in (folder / "pictures").glob("*.png")} == PICTURES
    captions = json.loads((folder / "pictures" / "captions.json").read_text())
    assert {f"{name}.png" for name in PICTURES} == set(captions)
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(PICTURES) and "A small &lt;run&gt;" in page
    assert "Low separability" in page and "badly separable" in page and 'src="http' not in page
    assert algorithm_titles(ClusterRun.open(folder)) == {
        "klish": "KLiSH",
        "kmeans": "K-means",
        "ahc": "AHC (Ward) (ahc)",
        "other": "AHC (Ward) (other)",
    }


def test_what_is_asked_for_and_cannot_be_shown_is_said(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    page = draw_run(ClusterRun.open(folder), numbers=[7, 5], samples=2, seed=1, out=out).read_text()
    drawn = {path.stem for path in (out / "pictures").glob("maps-*.png")}
    assert drawn == {"maps-7", "maps-5", "maps-4"}
    assert "kmeans at K = 7 is not shown" in page and "1 of 0, 1" in page
    assert not (folder / "pictures").exists()


def test_samples_are_new_and_their_labels_those_of_the_classifiers(folder: Path) -> None:
    run = ClusterRun.open(folder)
    look = Look(run, PictureSettings(samples=2, pool=3, step=7))
    stream = run.stream(3, seed=2022)
    rows = np.concatenate([chunk.numpy() for chunk in stream])
    np.testing.assert_array_equal(look.labels["klish", 4].ravel(), run.classifier(4).predict(rows))
    assert look.labels["kmeans", 6].shape == (2, 16, 16) and look.labels["klish", 6].shape == (3, 16, 16)
    assert np.array_equal(look.images[1], stream.image(1))
    removed = look.step.removed
    scores = run.classifier(7).scores(rows[:256])[:, removed]
    expected = (np.clip(scores, -1, 1) + 1) / 2
    np.testing.assert_allclose(look.confidences[removed][0].ravel(), expected, atol=1e-4)
    assert look.strip_numbers == [8, 7, 6, 5, 4, 3, 2] and look.shares("klish", 4).sum() == pytest.approx(1)


def test_naming_is_kept_and_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "name", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "pictures/clusters.png" in shown and "names.json" in shown and "Share of pixels, %" in shown
    assert Names.read(folder / "names.json") == Names.template(4)
    assert main(["klish", "name", str(folder), "--set", "hair=0,3", "skin=1"]) == 0
    assert "3 hair" in capsys.readouterr().out
    run = ClusterRun.open(folder)
    names = run.names
    named = run.named
    stream = run.stream(2, seed=5)
    rows = np.concatenate([chunk.numpy() for chunk in stream])
    np.testing.assert_array_equal(named.predict(rows), names.apply(run.classifier().predict(rows)))
    np.testing.assert_array_equal(named.scores(rows).argmax(axis=1), named.predict(rows))
    np.testing.assert_array_equal(segment(named, stream.maps(1), 16).ravel(), named.predict(rows[256:]))
    assert names.titles[:3] == ["cluster 2", "hair", "skin"]
    before = (folder / "names.json").read_bytes()
    for settings, words in (
        (["hair=0,1", "skin=1"], "--set gives cluster 1 to 'hair' and to 'skin'"),
        (["hair=0", "hair=1"], "--set names 'hair' twice"),
    ):
        assert main(["klish", "name", str(folder), "--set", *settings]) == 1
        assert words in capsys.readouterr().err
    assert main(["klish", "draw", str(folder), "--clusters", "0"]) == 1
    assert "k=0 must be a whole number of 1 or more" in capsys.readouterr().err
    assert main(["klish", "name", str(folder), "--set", "eye=4"]) == 1
    assert "'eye' has 4, which is no cluster: they are 0 to 3" in capsys.readouterr().err
    assert (folder / "names.json").read_bytes() == before
    draw_run(ClusterRun.open(folder))
    assert "<td>3 hair</td>" in (folder / "report.html").read_text()
    other = draw_run(ClusterRun.open(folder), seed=1).read_text()
    assert "<td>3 hair</td>" not in other  # other clusters than those named


@pytest.mark.slow
def test_names_reach_report_and_maps_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what a name takes from another is said."""
    draw_run(ClusterRun.open(folder))
    maps = (folder / "pictures" / "maps-4.png").read_bytes()
    assert main(["klish", "name", str(folder), "--set", "hair=0,3"]) == 0
    told = capsys.readouterr().out
    assert "goes from" not in told and f"report:  {folder / 'report.html'}" in told
    assert "<td>3 hair</td>" in (folder / "report.html").read_text()
    assert (folder / "pictures" / "maps-4.png").read_bytes() != maps
    assert main(["klish", "name", str(folder), "--set", "skin=3,1"]) == 0
    assert "cluster 3 goes from 'hair' to 'skin'\n" in capsys.readouterr().out
    assert "<td>3 skin</td>" in (folder / "report.html").read_text()
    assert main(["klish", "name", str(folder), "--set", "skin=0"]) == 0
    told = capsys.readouterr().out
    assert "cluster 0 goes from 'hair' to 'skin'; no cluster is 'hair' now\n" in told
    assert "cluster 3 is no longer 'skin'\n" in told and "cluster 1 is no longer 'skin'\n" in told


def test_a_table_is_in_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "truth": {"type": "EmbeddedSegmenter"}}))
    assert main(["klish", "table", str(folder), "--test-images", "1", "--seed", "7"]) == 0
    assert main(["klish", "draw", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    assert "could not be read" not in page and "<td>MIoU (official)</td>" in page


def test_names_of_another_number_of_clusters_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Names(5, {"hair": [4]}).write(folder / "names.json")
    assert main(["klish", "draw", str(folder)]) == 1
    assert "names 5 clusters, the classifier has 4" in capsys.readouterr().err
    assert not (folder / "pictures").exists()


def test_clusters_of_other_weights_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((folder / "record.json").read_text())
    record["generator"]["fingerprint"] = "0" * 64
    (folder / "record.json").write_text(json.dumps(record))
    assert main(["klish", "draw", str(folder)]) == 1
    words = "the weights of its generator have changed since its features were clustered"
    assert words in capsys.readouterr().err


def test_several_runs_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    words = ["--out", str(tmp_path / "both"), "--samples", "2", "--clusters", "6"]
    assert main(["klish", "draw", str(folder), str(other), *words]) == 0
    with Image.open(tmp_path / "both" / "pictures" / "generators.png") as picture:
        assert picture.width > 4 * 100 and picture.height > 5 * 100
    assert "Generators side by side" in (tmp_path / "both" / "report.html").read_text()


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"pictures: unknown key 'sample'.*did you mean 'samples'"):
        PictureSettings.of({"sample": 3})
    with pytest.raises(ValueError, match=r"pictures\.pool=0 must be a whole number of 1 or more"):
        PictureSettings.of({"pool": 0})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toy", "--seed", "-1"], "--seed: -1 must lie in 0..4294967295"),
        (["cost", "--rows", "0"], "--rows=0 must be a whole number of 1 or more"),
        (["table", "--fits", "-1"], "--fits: -1 must lie in 0..4294967295"),
        (["table", "--features", __file__], "is no npz file: write it by np.savez"),
    ],
)
def test_slips_of_commands(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", *words]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_run_without_klish_is_drawn_too(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["clusterers"].pop("klish")
    (folder / "config.json").write_text(json.dumps(config))
    draw_run(ClusterRun.open(folder), out=folder / "out")
    drawn = {path.stem for path in (folder / "out" / "pictures").glob("*.png")}
    assert drawn == {"algorithms", "clusters", "maps-4", "maps-6"}


def test_the_toy_of_figure_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines part the three sets, so that KLiSH finds them; the measure is that of scikit-learn."""
    X, truth = three_sets(1200, seed=3)
    assert X.shape == (1200, 2) and np.bincount(truth).tolist() == [600, 300, 300]
    found = {name: classifier.labels_ for name, classifier in toy_clusterings(X, seed=3, first=8).items()}
    assert agreement(truth, found["KLiSH"]) > 0.98
    for labels in found.values():
        assert agreement(truth, labels) == pytest.approx(adjusted_rand_score(truth, labels))
    assert main(["klish", "toy", "--out", str(tmp_path / "toy.png")]) == 0
    assert "KLiSH 1.00" in capsys.readouterr().out and (tmp_path / "toy.png").stat().st_size > 20_000
