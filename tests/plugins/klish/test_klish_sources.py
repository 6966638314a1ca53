"""``toolbox klish fit FILE``: a generator is clustered without a config, by the paper's settings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.models.stylegan2_embedded import WEIGHTS
from toolbox_klish.runs.choices import Choices
from toolbox_klish.runs.fitting import planned
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import read_config
from toolbox_klish.runs.sources import is_generator, name_of, settle

SMALL = [
    "--quick",
    "--images",
    "2",
    "--size",
    "16",
    "--clusterers",
    "klish",
    "--first",
    "8",
    "--seed",
    "3",
]
CONFIGS = Path(__file__).parents[3] / "configs"


def fit_words(folder: Path) -> list[str]:
    """A small fit of the embedded generator's file, without pictures."""
    options = ["--no-pictures", "--device", "cpu", "--work-dir", str(folder)]
    return ["klish", "fit", str(WEIGHTS), *SMALL, *options]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of the embedded generator's file, without pictures."""
    folder = tmp_path_factory.mktemp("sources") / "run"
    words = fit_words(folder)
    assert main(words) == 0
    return folder


def test_a_file_is_fitted_as_told(fitted: Path) -> None:
    run = ClusterRun.open(fitted)
    assert run.config.generator == {"weights": str(WEIGHTS.absolute())}
    assert run.seeds == [3] and run.clusterers == ["klish"] and run.config.device == "cpu"
    assert run.record["rows"] == 2 * 16 * 16 and run.config.clusterers.klish.clusters == 8
    assert run.classifier().n_clusters == run.config.final == 4


def test_the_taps_are_shown_before_the_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["klish", "fit", str(WEIGHTS), *SMALL, "--work-dir", str(tmp_path / "run"), "--no-pictures"]
    assert main([*words, "--layers", "5", "64x64"]) == 0
    told = capsys.readouterr().out
    assert "512 rows of 80 (16x16 (64), 64x64 (16)), truncation 0.5" in told.splitlines()[2]
    assert told.index("16x16 (64)") < told.index("klish-3")


def test_without_a_word_it_is_the_paper_but_for_the_images_size(tmp_path: Path) -> None:
    """Table II's rule of layers, K0 = 100, five seeds; maps are no larger than images of 64 pixels."""
    run = planned(WEIGHTS, tmp_path / "run")
    features = run.config.features
    assert (features.images, features.size, features.truncation, features.layers) == (256, 64, 0.5, None)
    assert run.stream().layers == ("4x4", "8x8", "16x16", "32x32", "64x64")
    assert run.seeds == [1990, 1991, 1992, 1993, 1994] and run.config.final == 20 and run.numbers == [30, 20]
    assert run.config.clusterers.klish.clusters == run.config.clusterers.kasp.centres == 100
    assert planned(WEIGHTS, tmp_path / "run", options={"features.size": 128}).config.features.size == 128


def test_it_goes_on_with_the_same_words(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = fit_words(fitted)
    assert main([*words, "--resume"]) == 0
    assert main([*words, "--resume", "--images", "3"]) == 1
    assert "features.images: 2 -> 3" in capsys.readouterr().err


def test_the_same_options_overrule_a_config() -> None:
    choices = Choices(images=7, clusters=50, clusterers=["klish", "kasp"], seeds=[1], device="cpu")
    config = read_config(CONFIGS / "klish_embedded.py", choices=choices)
    assert config.features.images == 7 and config.features.truncation == 0.7 and config.seeds == [1]
    assert config.clusterers.klish.clusters == 50 == config.clusterers.kasp.centres
    assert set(config.clusterers) == {"klish", "kasp"} and config.device == "cpu"
    with pytest.raises(ConfigError, match=r"--clusterers: the config has no 'klihs' - did you mean 'klish'"):
        read_config(CONFIGS / "klish_embedded.py", choices=Choices(clusterers=["klihs"]))


def test_what_is_a_config_and_what_a_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever ends in .py is a config, and a name that is no file at all."""
    assert is_generator(WEIGHTS) and is_generator(tmp_path)
    assert not is_generator(CONFIGS / "klish_embedded.py") and not is_generator(CONFIGS / "klish_embedded")
    assert not is_generator("klish/klish_embedded")
    assert is_generator(WEIGHTS.with_suffix(".json")) and not is_generator(tmp_path / "config.json")
    address = "hf://org/repo/folder/cat.pkl@main#sha256=" + 64 * "0"
    assert is_generator(address) and name_of(address) == "klish_cat" == name_of("https://host/a/cat.pth?b=c")
    beside = tmp_path / "cat.pkl"
    beside.touch()
    (tmp_path / "cat.py").touch()
    assert is_generator(beside) and name_of(beside) == "klish_cat"
    (tmp_path / "config.py").touch()
    assert name_of(tmp_path / "iter_8.pth") == "iter_8" and name_of(beside) == f"klish_{tmp_path.name}_cat"
    assert main(["klish", "fit", str(tmp_path / "dog.pkl")]) == 1
    assert "dog.pkl is not there: neither a file with a generator nor a config" in capsys.readouterr().err


def test_a_clustering_run_is_no_generator(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "fit", str(fitted)]) == 1
    assert "is a clustering run, which holds no generator" in capsys.readouterr().err


def test_a_generator_without_styles_is_not_truncated() -> None:
    from toolbox.interfaces import Generator

    class Plain(Generator):
        image_size = 32
        latent_dim = 4

        def forward(self, latents, condition=None):  # type: ignore[no-untyped-def]
            raise NotImplementedError

    features = SimpleNamespace(size=256, truncation=0.5)
    run = SimpleNamespace(generator=Plain(), config=SimpleNamespace(features=features))
    settle(run, Choices(), {})  # type: ignore[arg-type]
    assert (features.size, features.truncation) == (32, 1.0)
    features.size, features.truncation = 256, 0.5
    settle(run, Choices(size=256), {"features.truncation": 0.5})  # type: ignore[arg-type]
    assert (features.size, features.truncation) == (256, 0.5)
