"""``toolbox sample``: images as files, from anything that draws, and grids beside each other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training import tiny_run
from toolbox.cli.main import main
from toolbox.loading import export, load_sampler
from toolbox.models.pggan import PGGANGenerator
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.pipeline import train
from toolbox.plugins import host
from toolbox.visual import sample_folder
from toolbox.visual.sample_folder import numbers_of
from toolbox.weights.card import write_with_card


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five iterations with ten classes; its release beside it."""
    folder = tmp_path_factory.mktemp("runs")
    config = tiny_run.write_config(folder / "tiny.py")
    run = train(config, work_dir=folder / "run", evaluate=False, report=False)
    export(run, folder / "tiny.safetensors")
    return run


@pytest.fixture(scope="module")
def styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small style-based generator, as ``toolbox convert --layout`` leaves them."""
    arguments = dict(image_size=16, latent_dim=8, style_dim=8, channel_base=64, channel_max=8)
    torch.manual_seed(0)
    network = StyleGAN2Generator(**arguments)  # type: ignore[arg-type]
    network.mapping.w_avg.add_(1.0)
    card = dict(kind="converted", network=dict(type="StyleGAN2Generator", **arguments))
    path = tmp_path_factory.mktemp("weights") / "styles.safetensors"
    return write_with_card(path, network.state_dict(), card)


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_run_becomes_a_folder_with_its_classes(run: Path, tmp_path: Path) -> None:
    """The files are the sampler's images of those numbers, and the table says what they show."""
    assert main(["sample", str(run), "--n", "12", "--out", str(tmp_path / "out")]) == 0
    drawn = load_sampler(run)(torch.arange(12))
    found = pixels(tmp_path / "out")
    assert list(found) == [f"seed{i:06d}.png" for i in range(12)]
    for image, file in zip(drawn.images, found.values(), strict=True):
        assert np.abs(image.clamp(-1, 1).permute(1, 2, 0).numpy() * 127.5 + 127.5 - file).max() <= 0.51
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = load_sampler(run).class_names
    assert [row["class"] for row in rows] == [names[int(label)] for label in drawn.condition.labels]
    assert len({row["class"] for row in rows}) > 3


def test_an_image_depends_on_its_number_alone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, two calls in another order, and one that was stopped and gone on with: the same files."""
    for words in (["--n", "10"], ["--seeds", "7-9,3"], ["--seeds", "0-9"]):
        out = tmp_path / ("whole" if words[0] == "--n" else "parts")
        assert main(["sample", str(run), *words, "--out", str(out)]) == 0
    whole = pixels(tmp_path / "whole")
    assert same(whole, pixels(tmp_path / "parts"))

    write, written = sample_folder.save_picture, []

    def stops(picture: np.ndarray, path: Path) -> Path:
        written.append(path)
        if len(written) == 4:
            raise KeyboardInterrupt
        return write(picture, path)

    monkeypatch.setattr(sample_folder, "save_picture", stops)
    words = ["sample", str(run), "--n", "10", "--out", str(tmp_path / "stopped")]
    assert main(words) == 130 and len(pixels(tmp_path / "stopped")) == 3
    monkeypatch.setattr(sample_folder, "save_picture", write)
    assert main(words) == 0 and same(whole, pixels(tmp_path / "stopped"))
    tables = [(tmp_path / name / "samples.csv").read_text() for name in ("whole", "parts", "stopped")]
    assert tables[0] == tables[1] == tables[2]


def test_images_that_are_there_are_left_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", str(run), "--out", str(tmp_path / "out")]
    assert main([*words, "--n", "3"]) == 0
    before = (tmp_path / "out" / "seed000001.png").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*words, "--n", "5"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: 2 images drawn; 3 were there already\n"
    assert (tmp_path / "out" / "seed000001.png").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--truncation", "0.7"], "holds images of truncation=1.0, not 0.7: name another folder"),
        (["--seed", "1"], "holds images of seed=0, not 1"),
        (["--class", "bag"], "holds images of show={}, not {'class_name': 'bag'}"),
        (["--bn", "batch"], "makes an image depend on others of its batch"),
        (["--by", "class"], "--by does not go with --n and --seeds"),
        (["--class", "bug"], "did you mean 'bag'?"),
        (["--cluster", "1"], "cannot be asked for mode=1"),
        (["--truncation", "0"], "truncation=0.0 must lie in (0, 1]"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_the_folder_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    command = ["sample", str(run), "--n", "2", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert main([*command, *words]) == 1
    assert message in capsys.readouterr().err
    assert len(pixels(tmp_path / "out")) == 2


def test_other_weights_and_foreign_pictures_are_refused(
    run: Path, styles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--n", "2", "--out", str(tmp_path / "out")]
    assert main(["sample", str(styles), *command]) == 0
    assert main(["sample", str(run), *command]) == 1
    assert "holds images of generator='StyleGAN2Generator', not 'ToyGenerator'" in capsys.readouterr().err
    (tmp_path / "out" / "samples.json").unlink()
    assert main(["sample", str(styles), *command]) == 1
    assert "holds pictures and no samples.json" in capsys.readouterr().err
    assert main(["sample", str(run), "--n", "2"]) == 1
    assert "say where the images are to go: --out FOLDER" in capsys.readouterr().err


def test_one_class_and_a_release(run: Path, tmp_path: Path) -> None:
    """A release draws what its run draws; every row of the table says the class asked for."""
    for source, name in ((run, "run"), (run.parent / "tiny.safetensors", "release")):
        words = ["--class", "bag", "--seeds", "2-4", "--out", str(tmp_path / name)]
        assert main(["sample", str(source), *words]) == 0
    assert same(pixels(tmp_path / "run"), pixels(tmp_path / "release"))
    rows = (tmp_path / "run" / "samples.csv").read_text().splitlines()
    assert rows[0] == "file,seed,class" and all(row.endswith(",bag") for row in rows[1:]) and len(rows) == 4


def test_published_weights_with_truncation(styles: Path, tmp_path: Path) -> None:
    """w is pulled to its mean: at a small truncation all images are nearly one."""
    spread = {}
    for psi in ("1", "0.01"):
        assert (
            main(["sample", str(styles), "--n", "4", "--truncation", psi, "--out", str(tmp_path / psi)]) == 0
        )
        spread[psi] = np.stack(list(pixels(tmp_path / psi).values())).std(axis=0).mean()
    assert spread["0.01"] < 0.2 * spread["1"]
    assert not (tmp_path / "1" / "samples.csv").exists()
    assert json.loads((tmp_path / "1" / "samples.json").read_text())["generator"] == "StyleGAN2Generator"


def test_a_generator_without_truncation_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = dict(image_size=8, latent_dim=8, channel_base=64, channel_max=8, n_conditions=3)
    network = PGGANGenerator(**arguments)  # type: ignore[arg-type]
    path = tmp_path / "pggan.safetensors"
    write_with_card(path, network.state_dict(), dict(network=dict(type="PGGANGenerator", **arguments)))
    words = ["sample", str(path), "--out", str(tmp_path / "out")]
    assert main([*words, "--n", "2", "--truncation", "0.7"]) == 1
    assert "truncation=0.7: PGGANGenerator has none" in capsys.readouterr().err
    assert main([*words, "--n", "4", "--class", "2"]) == 0
    assert (tmp_path / "out" / "samples.csv").read_text().splitlines()[1] == "seed000000.png,0,2"


def test_a_card_of_a_third_party(tmp_path: Path) -> None:
    """A card may name a generator that a plugin brings."""
    file = Path(tiny_run.__file__).with_name("toy_games.py")
    host().load_file(str(file))
    from toolbox.registry import build

    config = dict(type="ToyGenerator", latent_dim=3, image_size=8, bounded=True)
    path = tmp_path / "theirs.safetensors"
    write_with_card(path, build(config, "generator").state_dict(), dict(network=config))
    words = ["sample", str(path), "--plugin", str(file), "--n", "2", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert len(pixels(tmp_path / "out")) == 2


def test_grids_do_not_overwrite_each_other(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is called by what was asked for."""
    asked = [
        [],
        ["--class", "bag"],
        ["--class", "ankle boot"],
        ["--by", "class"],
        ["--seed", "3"],
        ["--truncation", "0.5"],
        ["--columns", "3"],
    ]
    capsys.readouterr()
    for words in asked:
        assert main(["sample", str(run), *words]) == 0
    paths = capsys.readouterr().out.split()
    assert len(set(paths)) == len(asked) and all(Path(path).is_file() for path in paths)
    assert Path(paths[0]) == run / "samples-iter_5.png"
    assert Path(paths[1]).name == "samples-iter_5-class-bag.png"
    assert main(["sample", str(run.parent / "tiny.safetensors"), "--by", "class"]) == 0
    assert capsys.readouterr().out.strip() == str(run.parent / "tiny-samples-by-class.png")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-3", [0, 1, 2, 3]), ("7", [7]), ("5,1,4-6", [1, 4, 5, 6]), ("9-3", None), ("-3", None)],
)
def test_numbers_as_they_are_written(text: str, numbers: list[int] | None) -> None:
    if numbers is None:
        with pytest.raises(ValueError, match="names no numbers"):
            numbers_of(text)
    else:
        assert numbers_of(text) == numbers
