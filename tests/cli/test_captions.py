"""Text-to-image runs: captions in grids, comparisons and reports, and where a generator looks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training import tiny_text
from toolbox.cli.main import main
from toolbox.loading import export
from toolbox.pipeline import train

LONG = "a blue disc at the left side of a white picture"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DMGANGenerator, and SSAGANGenerator with a release beside it."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("DMGANGenerator", "SSAGANGenerator"):
        config = tiny_text.write_config(folder / f"{name}.py", name)
        train(config, work_dir=folder / name, evaluate=False, report=name == "DMGANGenerator")
    export(folder / "SSAGANGenerator", folder / "ssa.safetensors")
    return folder


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_panel_of_runs_and_captions(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows are runs and releases, columns captions; who reads which words is said."""
    (tmp_path / "more.txt").write_text(f"{LONG}\n\nthe square is green\n")
    asked = ["--text", "a red zebra", "--texts", str(tmp_path / "more.txt"), "--each", "2"]
    sources = [f"dm={runs / 'DMGANGenerator'}", f"ssa={runs / 'ssa.safetensors'}"]
    assert main(["compare", *sources, *asked, "-o", str(tmp_path / "c.png")]) == 0
    record = json.loads((tmp_path / "c.json").read_text())
    assert record["captions"] == ["a red zebra", LONG, "the square is green"]
    assert list(record["runs"]) == ["dm", "ssa"]
    said = capsys.readouterr().err
    assert "dm: 'a red zebra' is read without 1 of its words: zebra" in said and "ssa: 'a red zebra'" in said
    assert size(tmp_path / "c.png")[1] > 4 * 96 + 3 * 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "zebra"], "dm: 'zebra' has no word that the vocabulary knows"),
        (["--text", " "], '--text "": a caption needs words'),
        (["--text", "a disc", "--columns", "3"], "--columns goes without --text"),
        (["--texts", "missing.txt"], "--texts missing.txt: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_captions_that_cannot_be_shown(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    out = str(tmp_path / "c.png")
    assert main(["compare", f"dm={runs / 'DMGANGenerator'}", *words, "-o", out]) == 1
    assert message in capsys.readouterr().err


def test_samples_stand_under_or_beside_their_captions(runs: Path, tmp_path: Path) -> None:
    run = str(runs / "DMGANGenerator")
    texts = ["--text", "a red square", "--text", LONG]
    assert main(["sample", run, *texts, "--columns", "3", "-o", str(tmp_path / "two.png")]) == 0
    assert main(["sample", run, *texts[:2], "--columns", "3", "-o", str(tmp_path / "one.png")]) == 0
    beside, above = size(tmp_path / "two.png"), size(tmp_path / "one.png")
    assert beside[0] > above[0] + 100  # of the same images


def test_files_keep_their_captions(runs: Path, tmp_path: Path) -> None:
    """As the run reads them; without --text those that it draws itself."""
    run, folder = str(runs / "ssa.safetensors"), tmp_path / "asked"
    assert main(["sample", run, "--text", "A red square!", "--n", "2", "--out", str(folder)]) == 0
    assert main(["sample", run, "--n", "2", "--out", str(tmp_path / "drawn")]) == 0
    header, *rows = (folder / "samples.csv").read_text().splitlines()
    assert header == "file,seed,text" and all(row.endswith(",a red square") for row in rows)
    drawn = (tmp_path / "drawn" / "samples.csv").read_text().splitlines()
    assert len(drawn) == 3 and all(len(row.split(",")[2].split()) >= 3 for row in drawn[1:])


def test_where_a_generator_looks(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A block a caption; AttnGAN and DM-GAN have a column a word, SSA-GAN one a mask."""
    texts = ["--text", "a red square", "--text", LONG, "--attention"]
    for source in ("DMGANGenerator", "ssa.safetensors"):
        assert main(["sample", str(runs / source), *texts, "-o", str(tmp_path / f"{source}.png")]) == 0
    pictures = [np.array(Image.open(path)) for path in sorted(tmp_path.iterdir())]
    (words, masks) = (picture.shape for picture in pictures)
    assert words[1] > 7 * 64 and 4 * 64 < masks[1] < 7 * 64  # six words are read; masks of 4, 8, 16 pixels
    run = str(runs / "DMGANGenerator")
    capsys.readouterr()
    for wrong, message in (
        (["--attention"], "say which with --text or --texts"),
        ([*texts[:2], "--attention", "--n", "2", "--out", "x"], "--attention does not go with --n"),
        ([*texts, "--truncation", "0.5"], "with truncation=1, not 0.5"),
    ):
        assert main(["sample", run, *wrong]) == 1
        assert message in capsys.readouterr().err


def test_a_run_shows_its_captions(runs: Path) -> None:
    """Grids while it trains, generated and real images in the report."""
    run = runs / "DMGANGenerator"
    assert size(run / "samples" / "iter_0000002.png")[0] > 3 * 64 + 100
    captions = json.loads((run / "pictures" / "captions.json").read_text())
    assert captions["classes.png"] == "Generated, one row a caption; the same latents in every row."
    assert captions["real.png"] == "Real images and their captions (Toy captions (embedded))."
    assert "one row a class, or a caption" in (run / "report.html").read_text()
