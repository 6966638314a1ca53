"""Table IV: of features at hand, and of a clustering run under its teacher."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.models.segmenter import EmbeddedSegmenter
from toolbox.registry import BuildError
from toolbox_klish.runs.fitting import fit
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.table.features import drawn, fit_all, read_data
from toolbox_klish.table.published import ALGORITHMS
from toolbox_klish.table.run import in_table_iv, judge
from toolbox_klish.table.table import BEST, METRICS, Table, scores

SMALL = dict(rows=700, images=4, pixels=60, classes=4)
CONFIG = """
command = 'klish fit'
title = 'A tiny run'
generator = dict(type='EmbeddedStyleGAN2')
features = dict(images=6, size=64, pixels=150, truncation=0.7)
clusterers = dict(
    klish=dict(type='KLiSH', clusters=8),
    kmeans=dict(type='LloydKMeans'),
    kasp=dict(type='KASP', centres=12),
    angles=dict(type='AHC', linkage='arccos', rows=200, classifier_steps=20))
shown = [5]
final = 4
seeds = [0, 1]
truth = dict(type='EmbeddedSegmenter')
device = 'cpu'
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four clusterers with two seeds on six small images."""
    work = tmp_path_factory.mktemp("table")
    (work / "tiny.py").write_text(CONFIG)
    return fit(str(work / "tiny.py"), work_dir=work / "run", pictures=False)


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    return judge(ClusterRun.open(folder), images=3)


def test_every_clusterer_seed_and_number_is_judged(table: Table) -> None:
    assert set(table.results) == {4, 5} and table.paper is None
    for found in table.results.values():
        assert set(found) == {"klish", "kmeans", "kasp", "angles"}
        for of in found.values():
            assert {len(values) for values in of.values()} == {2}
            assert all(0 < value <= 100 for value in of["AMI"])
    details = table.details
    assert details["images"] == 3 and details["seed"] == 2022 and details["size"] == 64


@pytest.mark.parametrize("name", ["klish", "kasp"])
def test_the_numbers_are_scikit_learns(folder: Path, table: Table, name: str) -> None:
    """From rows predicted in one piece; the table scores maps layer by layer and sums image by image."""
    run = ClusterRun.open(folder)
    stream = run.stream(3, seed=2022, pixels=None)
    teacher = EmbeddedSegmenter()
    truth = np.concatenate([teacher.labels(stream.image(i)[None]).flatten().numpy() for i in range(3)])
    rows = torch.cat(list(stream)).numpy()
    for place, seed in enumerate(run.seeds):
        found = run.classifier(5, name, seed).predict(rows)
        of = table.results[5][name]
        assert of["AMI"][place] / 100 == pytest.approx(adjusted_mutual_info_score(truth, found), abs=1e-4)
        assert of["ARI"][place] / 100 == pytest.approx(adjusted_rand_score(truth, found), abs=1e-4)


def test_the_text_says_what_was_done(table: Table) -> None:
    text = table.markdown()
    assert text.startswith("A tiny run, in percent: mean")
    assert "| K | metric | klish | kmeans | kasp | angles |" in text and "| 5 | MIoU (official) |" in text
    assert BEST in text and "Judged on 3 new images (seed 2022; the paper: 10,000), 64 x 64 pixels." in text
    card = EmbeddedSegmenter().card["metrics"]
    theirs, each = card["test: miou-klish"], card["test: miou-per-image"]
    assert (
        f"mean IoU on test images with exact masks is {theirs:.3f} (the authors' evaluator of "
        f"segmentations), {each:.3f} (an image at a time, without background)"
    ) in text
    assert "paper " not in text.split("* AMI")[0]
    first, second = table.results[5]["klish"]["AMI"]
    mean, half = (first + second) / 2, abs(first - second) / 2**0.5
    assert f"| 5 | AMI | {mean:.1f} ± {half:.1f} ({max(first, second):.1f}) |" in text


def test_a_notebook_shows_it(table: Table) -> None:
    shown = table._repr_html_()
    assert (
        shown.startswith("<div") and "<td>MIoU (official)</td>" in shown and "Judged on 3 new images" in shown
    )
    record = table.record()
    assert record["columns"] == ["K", "metric", "klish", "kmeans", "kasp", "angles"]
    assert record["rows"][0][:2] == [record["rows"][0][0], "AMI"] and len(record["rows"]) == 4 * len(
        table.results
    )


def test_the_papers_values_stand_beside_the_algorithms_they_belong_to(folder: Path) -> None:
    """K = 20 is in Table IV; only euclidean k-means, KASP, AHC and KLiSH are."""
    run = ClusterRun.open(folder)
    found = judge(run, images=1, clusters=[4], seeds=[0], paper="StyleGAN2-FFHQ")
    results = {20: found.results[4]}
    named = Table("x", results, paper="StyleGAN2-FFHQ", algorithm_of=found.algorithm_of)
    row = next(line for line in named.markdown().splitlines() if line.startswith("| 20 | AMI"))
    theirs = [cell.partition("paper ")[2] for cell in row.split("|")[3:-1]]
    assert theirs == ["70.6) ", "64.8) ", "61.9) ", "65.2) "]


def test_a_generator_is_found_in_table_iv_by_its_title(folder: Path) -> None:
    run = ClusterRun.open(folder)
    run.config.title = "KLiSH on StyleGAN2 on FFHQ"
    assert in_table_iv(run) is None  # the embedded generator stands in
    run.config.generator = dict(weights="any.pkl")
    assert in_table_iv(run) == "StyleGAN2-FFHQ"
    run.config.title = "KLiSH on PGGAN on CelebA-HQ"
    assert in_table_iv(run) == "PGGAN-CelebAHQ"
    run.config.title = "KLiSH on StyleGAN on bedrooms"
    assert in_table_iv(run) is None


def test_what_a_filter_has_left_out_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed that lacks a number costs that cell, not the table."""
    run = ClusterRun.open(folder)
    usual = run.classifier

    def filtered(k: int, name: str, seed: int) -> object:
        return usual(9 if (name, seed) == ("klish", 0) else k, name, seed)

    monkeypatch.setattr(run, "classifier", filtered)
    table = judge(run, images=1, clusters=[5])
    lengths = {name: len(of["AMI"]) for name, of in table.results[5].items()}
    assert lengths == dict(klish=1, kmeans=2, kasp=2, angles=2)
    words = "* Not judged: klish, seed 0: cut(k=9): there is a classifier for each k from 2 to"
    assert words in table.markdown()
    monkeypatch.setattr(run, "classifier", lambda k, name, seed: usual(9, "klish", seed))
    with pytest.raises(ValueError, match=r"has nothing to judge\. Not judged: klish, seed 0"):
        judge(run, images=1, clusters=[5])


def test_the_command_writes_markdown_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "table", str(folder), "--test-images", "2", "--clusters", "5", "--fits", "1"]) == 0
    text = (folder / "tables" / "table.md").read_text()
    assert text in capsys.readouterr().out and "(seed 2022" in text
    written = json.loads((folder / "tables" / "table.json").read_text())
    assert written["seeds"] == [1] and written["truth"] == dict(type="EmbeddedSegmenter")
    assert written["protocol"].keys() == set(METRICS)
    values = written["results"]["5"]["klish"]["ARI"]
    assert written["summary"]["5"]["klish"]["ARI"] == dict(mean=values[0], deviation=None, best=values[0])


def test_a_run_that_cannot_be_judged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ClusterRun.open(folder)
    run.config.truth = None
    words = r'has no truth to compare with: give its config.json "truth": {"type": "Embedded'
    with pytest.raises(ConfigError, match=words):
        judge(run)
    run.config.truth = dict(type="EmbeddedSegmentr")
    with pytest.raises(BuildError, match="did you mean 'EmbeddedSegmenter'"):
        judge(run)
    run = ClusterRun.open(folder)
    words = r"seed=1: .* has clustered the images of this seed; .* none of \[0, 1\]"
    with pytest.raises(ConfigError, match=words):
        judge(run, seed=1)
    with pytest.raises(ValueError, match="images=0 must be a whole number of 1 or more"):
        judge(run, images=0)
    words = r"holds no 'klish-7' .*; of klish it holds klish-0, klish-1\. .*--resume"
    with pytest.raises(ConfigError, match=words):
        judge(run, images=1, seeds=[7])
    with pytest.raises(ValueError, match="clusters=0 must be a whole number of 1 or more"):
        judge(run, images=1, clusters=[0])
    with pytest.raises(ValueError, match="size=65 must be at most 64, that of the images"):
        judge(run, images=1, size=65)
    assert main(["klish", "table", str(tmp_path / "none")]) == 1
    assert "holds no clustering run" in capsys.readouterr().err
    assert main(["klish", "table", str(folder), "--first", "30"]) == 1
    assert "--first goes without a run" in capsys.readouterr().err
    assert main(["klish", "table", "--test-images", "3"]) == 1
    assert "--test-images goes with a run: name its folder" in capsys.readouterr().err


# -- features at hand ----------------------------------------------------------------------------------------


def test_the_table_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = drawn(**SMALL)
    test = data.test.reshape(4, 6, 10, -1)
    file = tmp_path / "features.npz"
    np.savez(file, fit=data.fit, test=test, truth=data.truth.reshape(4, 6, 10))
    words = [
        "--clusters",
        "20",
        "--first",
        "24",
        "--fits",
        "0",
        "--ahc-rows",
        "150",
        "--paper",
        "StyleGAN2-FFHQ",
    ]
    assert main(["klish", "table", "--features", str(file), *words, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert text.count(" (paper ") == 15 and "| 20 | AMI | 64.8 | 61.9 | 62.9 | 65.2 | 70.6 |" in text
    written = json.loads((tmp_path / "out" / "table.json").read_text())
    assert written["seeds"] == [0] and set(written["protocol"]) == set(METRICS) and written["C"] == 5000
    found = written["results"]["20"]
    assert set(found) == set(ALGORITHMS) and len(found["KLiSH"]["AMI"]) == 1


@pytest.mark.slow
def test_klish_finds_the_drawn_clusters() -> None:
    found = fit_all(drawn(rows=3000, images=4, pixels=100), [6], 30, [0], 300, dict(filter_sigma=1.0))[6]
    for metric in METRICS:
        assert found["KLiSH"][metric][0] > 95 > 60 > found["K-means"][metric][0]


def test_scores_of_a_perfect_partition() -> None:
    """Clusters that split classes, each inside one: both matchings reach 1."""
    tables = np.zeros((2, 2, 3), dtype=np.int32)
    tables[0] = [[5, 2, 0], [0, 0, 4]]
    tables[1] = [[0, 7, 0], [0, 0, 9]]
    found = scores(tables)
    assert found["MIoU (official)"] == found["MIoU (pooled)"] == 100 and 0 < found["ARI"] < 100
    assert scores(tables[:, :, [0, 2]] + 0)["ARI"] == 100


def test_files_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", fit=np.zeros((5, 2)), test=np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match=r"has no 'truth': it must hold fit \(N, D\)"):
        read_data(tmp_path / "a.npz")
    truth = np.zeros((2, 4), dtype=int)
    np.savez(tmp_path / "b.npz", fit=np.zeros((5, 2)), test=np.zeros((2, 3, 2)), truth=truth)
    with pytest.raises(ValueError, match=r"test \(2, 3, 2\) and truth \(2, 4\) do not fit together"):
        read_data(tmp_path / "b.npz")
    assert main(["klish", "table", "--clusters", "30", "--first", "30", "--out", str(tmp_path)]) == 1
    assert "error: clusters=30 must be below first=30" in capsys.readouterr().err
