"""Every command, on a run of two iterations: what it writes, what it says, and what a mistake gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.cli.main import COMMANDS, main
from toolbox.data import zipped

CONFIG = str(Path(__file__).parents[2] / "configs" / "lcp_cifar.py")
SMALL = [
    "train_cfg.max_iters=2",
    "before.classifier.train_cfg.max_iters=2",
    "evaluation.n_fake=100",
    "evaluation.metrics.kid=None",
    "evaluation.metrics.inception_score=None",
    "evaluation.metrics.accuracy=None",
    "evaluation.bn=running",
    "train_dataloader.batch_size=16",
    "before.classifier.train_dataloader.batch_size=16",
    "model.networks.generator.channels=8",
    "model.networks.discriminator.channels=8",
]


@pytest.fixture(scope="module", autouse=True)
def _fewer_images() -> Iterator[None]:
    """A ninth of the embedded images: passing all of them through CLIP takes longer than all else here."""
    all_rows = zipped._rows_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipped, "_rows_of", lambda *of: all_rows(*of)[::9])
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: both stages, metrics, pictures, report."""
    folder = tmp_path_factory.mktemp("runs") / "lcp"
    assert main(["train", CONFIG, "--quick", "--work-dir", str(folder), "--cfg-options", *SMALL]) == 0
    return folder


def test_train_leaves_a_whole_run(run: Path) -> None:
    """Checkpoint, metrics, pictures of the clusters, prompt words, and a report that says the data are
    embedded.
    """
    for name in (
        "iter_2.pth",
        "config.json",
        "config.py",
        "environment.json",
        "metrics.jsonl",
        "report.html",
        "pictures/clusters.png",
        "pictures/interpolations.png",
        "pictures/real.png",
        "tables/prompt_discriminator-words.json",
        "stages/classifier/iter_2.pth",
    ):
        assert (run / name).is_file(), name
    assert "Embedded data" in (run / "report.html").read_text()
    assert json.loads((run / "environment.json").read_text())["data"]["labelled"] == 400
    names = [json.loads(line)["metric"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any(name.startswith("fid[toy-clip,100]") for name in names)
    assert any(name.startswith("pseudo-labeller-accuracy") for name in names)


def test_a_finished_run_is_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --resume the folder is refused; with it there is nothing left to train or to measure."""
    assert main(["train", CONFIG, "--quick", "--work-dir", str(run)]) == 1
    assert "already holds a run: continue it with --resume" in capsys.readouterr().err
    before, measured = (
        (run / "iter_2.pth").stat().st_mtime,
        len((run / "metrics.jsonl").read_text().splitlines()),
    )
    assert (
        main(["train", CONFIG, "--quick", "--work-dir", str(run), "--resume", "--cfg-options", *SMALL]) == 0
    )
    assert (run / "iter_2.pth").stat().st_mtime == before
    assert len((run / "metrics.jsonl").read_text().splitlines()) == measured


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--class", "bag"],
        ["--by", "cluster", "--class", "bag"],
        ["--class", "bag", "--cluster", "1"],
        ["--class", "bag", "--coefficients", "0.5,0.5,0"],
        ["--class", "bag", "--interpolate", "0", "2", "--steps", "4"],
    ],
    ids=lambda words: " ".join(words) or "classes",
)
def test_sample_draws_what_is_asked_for(run: Path, tmp_path: Path, words: list[str]) -> None:
    """By class, by cluster, by coefficients, between clusters."""
    assert main(["sample", str(run), "--columns", "3", "-o", str(tmp_path / "out.png"), *words]) == 0
    assert (tmp_path / "out.png").stat().st_size > 500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--by", "clutser"],
            "nothing of the kind 'clutser' - did you mean 'cluster'?; it has: class, cluster",
        ),
        (["--class", "bag", "--cluster", "7"], "there is no cluster 7; there are: bag 0, bag 1, bag 2"),
        (["--class", "bag", "--coefficients", "0.5,0.6"], "must be 3 numbers >= 0 with sum 1"),
        (["--interpolate", "0", "1"], "--class is needed here; classes: t-shirt"),
        (
            ["--text", "a red bird"],
            "cannot be asked for text='a red bird'; it can be asked for: class_name, mode",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_sample_says_what_can_be_asked_for(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """One line, from the conditioner's own answer."""
    assert main(["sample", str(run), *words]) == 1
    assert message in capsys.readouterr().err


def test_sample_prints_the_prompts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each of the 30 cluster prompts, four words each."""
    assert main(["sample", str(run), "--prompts"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 30
    assert lines[0].startswith("prompt_discriminator  t-shirt / cluster 0:")


def test_test_measures_again_and_compare_draws(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same checkpoint gives the same numbers; two rows in the comparison."""
    old = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert main(["test", str(run / "config.py"), str(run / "iter_2.pth")]) == 0
    assert f"{old['value']:.4f}" in capsys.readouterr().out
    assert main(["test", str(run)]) == 0
    assert f"{old['value']:.4f}" in capsys.readouterr().out
    assert (
        main(
            [
                "compare",
                f"a={run}",
                f"b={run / 'iter_2.pth'}",
                "-o",
                str(tmp_path / "c.png"),
                "--columns",
                "3",
            ]
        )
        == 0
    )
    assert set(json.loads((tmp_path / "c.json").read_text())["runs"]) == {"a", "b"}


def test_from_python_in_three_lines(run: Path) -> None:
    """load_generator, sample: images in [-1, 1], the same for the same seed."""
    import toolbox

    images = toolbox.load_generator(run).sample(4, seed=0)
    assert images.shape == (4, 3, 32, 32)
    assert images.abs().max() <= 1
    assert images.equal(toolbox.load_generator(run).sample(4, seed=0))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "nosuch.py"], "neither a file nor"),
        (["train", CONFIG, "--cfg-options", "trian_cfg.max_iters=2"], "train_cfg"),
        (
            ["train", CONFIG, "--quick", "--cfg-options", "model.objectives.prompts.type=HingeAdversarail"],
            "HingeAdversarial",
        ),
        (["test", CONFIG, "missing.pth", "--quick"], "missing.pth"),
        (["sample", "/nowhere"], "/nowhere"),
        (["explain", "lpc/lcp_cifar"], "lcp/lcp_cifar"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[-40:],
)
def test_a_mistake_is_one_line(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback: the cause, and the near miss."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    *notes, error = capsys.readouterr().err.strip().splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert all(note.startswith("--quick ") for note in notes)


def test_wrong_class_names_the_near_miss(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """'bug' is nearly 'bag'."""
    assert main(["sample", str(run), "--class", "bug", "--cluster", "0"]) == 1
    assert "did you mean 'bag'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cluster", "9"], "no cluster 9: the classes have up to 3 (0..2)"),
        (["--class", "bag", "--coefficients", "0.7,0.7"], "'bag' must be 3 numbers >= 0 with sum 1"),
        (["--class", "bag", "--interpolate", "0", "9"], "'bag' has no cluster 9: it has 3 (0..2)"),
    ],
    ids=["cluster", "coefficients", "interpolate"],
)
def test_clusters_that_are_not_there(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """One line each."""
    assert main(["sample", str(run), *words]) == 1
    assert message in capsys.readouterr().err


def test_coefficients_that_are_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Found before anything is loaded."""
    with pytest.raises(SystemExit):
        main(["sample", "run", "--class", "bag", "--coefficients", "much,little"])
    assert "is not a list of numbers such as" in capsys.readouterr().err


def test_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    """Two rows, not one that hides the other."""
    assert main(["compare", str(run), str(run), "-o", str(tmp_path / "c.png"), "--columns", "2"]) == 0
    assert list(json.loads((tmp_path / "c.json").read_text())["runs"]) == ["lcp", "lcp (2)"]


def test_a_release_draws_what_the_run_draws(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files, without discriminators, CLIP or the run's folder: classes, clusters, metrics."""
    out = tmp_path / "lcp.safetensors"
    assert main(["release", str(run), "-o", str(out), "--licence", "CC0-1.0"]) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["networks"] == ["generator"] and card["metrics"] and card["data"]["embedded"]
    for words in (["--class", "bag"], ["--by", "cluster", "--class", "bag"]):
        for name, source in (("run", run), ("release", out)):
            assert (
                main(["sample", str(source), "--columns", "3", "-o", str(tmp_path / f"{name}.png"), *words])
                == 0
            )
        assert (tmp_path / "run.png").read_bytes() == (tmp_path / "release.png").read_bytes()
    capsys.readouterr()
    assert main(["test", CONFIG, str(out), "--quick", "--cfg-options", *SMALL]) == 0
    assert "fid[toy-clip,100]" in capsys.readouterr().out


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """``toolbox COMMAND --help`` answers for all of them."""
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_lists_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Configs and plugins, for programs."""
    assert main(["configs", "--json"]) == 0
    configs = json.loads(capsys.readouterr().out)
    assert {"lcp/lcp_cifar", "toolbox/biggan_cifar"} <= set(configs)
    assert "toolbox/lcp_cifar" not in configs  # each once
    assert main(["plugins", "--json"]) == 0
    assert {record["name"] for record in json.loads(capsys.readouterr().out)["plugins"]} >= {"toolbox", "lcp"}
