"""Text-to-image runs with SCL: stopped and resumed, or released and taken away from their data, they draw the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_texts
import torch

from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config
from toolbox.data.base import DataError
from toolbox.interfaces import Request
from toolbox.loading import export, load_run
from toolbox.pipeline import train
from toolbox.registry import BuildError
from toolbox.training.run.prepare import prepare
from toolbox.training.run.rehearse import rehearse


class Drawn:
    """A run, the same run stopped half way and resumed, and a release of it; all made of one config."""

    def __init__(self, config: Any, folder: Path, options: dict[str, Any], iterations: int = 4) -> None:
        self.run, self.resumed = folder / "run", folder / "resumed"
        settings: dict[str, Any] = dict(evaluate=False, report=False)
        last = {"train_cfg.max_iters": iterations}
        train(config, work_dir=self.run, options={**options, **last}, **settings)
        half = {"train_cfg.max_iters": iterations // 2}
        train(config, work_dir=self.resumed, options={**options, **half}, **settings)
        train(config, work_dir=self.resumed, options={**options, **last}, resume=True, **settings)
        self.release = export(self.run, folder / "release.safetensors")

    @property
    def all(self) -> tuple[Path, Path, Path]:
        return self.run, self.resumed, self.release


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """With its own small pictures, which are then gone."""
    folder = tmp_path_factory.mktemp("tiny")
    config = tiny_texts.write_config(folder)
    made = Drawn(config, folder, {})
    (folder / "tiny_words.npz").unlink()
    return made


def images_of(path: Path, texts: list[str]) -> bytes:
    """Of captions, and of what the conditioner draws, to the last bit."""
    sampler = load_run(path, seed=3)
    asked = [sampler(torch.arange(2), requests=Request(text=text)).images for text in texts]
    return torch.cat([*asked, sampler(torch.arange(4)).images]).numpy().tobytes()


WEIGHTS = ["model.networks.text_encoder.weights", "model.networks.image_encoder.weights"]
TEXTS = ["a red bird", "fish on a green hill at night"]  # the second is no caption of the data


def test_run_resumed_run_and_release_draw_the_same_without_the_data(tiny: Drawn) -> None:
    first, resumed, released = (images_of(path, TEXTS) for path in tiny.all)
    assert first == resumed == released
    assert images_of(tiny.run, ["a red tree"]) != images_of(tiny.run, ["a grey fish"])


def test_unknown_words_are_counted(tiny: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", str(tiny.release), "--columns", "2", "-o", str(tmp_path / "grid.png")]
    assert main([*words, "--text", "a red zebra, a zebra bird", "--text", "an okapi tree"]) == 0
    said = capsys.readouterr().err
    assert "'a red zebra, a zebra bird' is read without 2 of its words: zebra, zebra" in said
    assert "'an okapi tree' is read without 2 of its words: an, okapi" in said
    assert main([*words, "--text", "a red bird"]) == 0
    assert "without" not in capsys.readouterr().err
    assert main([*words, "--text", "zebra"]) == 1
    assert "'zebra' has no word that the vocabulary knows" in capsys.readouterr().err


def test_files_of_a_release_are_those_of_the_run(tiny: Drawn, tmp_path: Path) -> None:
    for path in (tiny.run, tiny.release):
        words = ["--n", "2", "--text", "blue fish", "--out", str(tmp_path / path.name)]
        assert main(["sample", str(path), *words]) == 0
    files = [sorted((tmp_path / path.name).glob("*.png")) for path in (tiny.run, tiny.release)]
    assert len(files[0]) == 2
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(*files, strict=True))


def test_classes_that_take_turns_are_not_all_one_in_the_rehearsal(tmp_path: Path) -> None:
    """Every eighth of 24 images would be of one class, which nothing could be told apart by."""
    stages = rehearse(prepare(load_config(tiny_texts.write_config(tmp_path))))
    assert all(one.trial.played for one in stages)
    labels = np.load(tmp_path / "tiny_words.npz")["labels"]
    assert len(set(labels[::3])) == 1


def write_words(file: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    with np.load(file) as arrays:
        own = dict(arrays)
    change(own)
    np.savez(file, **own)


def one_label(arrays: dict[str, np.ndarray]) -> None:
    arrays["labels"] *= 0


def other_words(arrays: dict[str, np.ndarray]) -> None:
    """As many as before."""
    arrays["captions"] = np.char.replace(arrays["captions"], "bird", "zebra")


def more_words(arrays: dict[str, np.ndarray]) -> None:
    arrays["captions"] = np.char.add(arrays["captions"], " really")


def no_words(arrays: dict[str, np.ndarray]) -> None:
    arrays["captions"][3] = " "


def one_caption_short(arrays: dict[str, np.ndarray]) -> None:
    arrays["captions"] = arrays["captions"][1:]


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"train_dataloader.batch_size": 1}, None, "a batch of one item has no negatives: take a larger one"),
        (
            {"train_dataloader.batch_size": 1, "stages": [], **dict.fromkeys(WEIGHTS)},
            None,
            "a batch of one has no mismatched caption: train_dataloader.batch_size must be 2 or more",
        ),
        ({}, one_label, "all 24 items share one label, so that no pair differs from another"),
        ({}, no_words, r"1 images have no caption with a word, the first is image 3"),
        ({}, one_caption_short, r"tiny: captions has 23 entries for 24 images; it needs one for each"),
    ],
)
def test_bad_input_is_refused_before_training(
    options: dict[str, Any], change: Any, message: str, tmp_path: Path
) -> None:
    config = tiny_texts.write_config(tmp_path)
    if change is not None:
        write_words(tmp_path / "tiny_words.npz", change)
    with pytest.raises((ConfigError, DataError, BuildError), match=message):
        rehearse(prepare(load_config(config, options=options)))


def test_words_of_another_vocabulary(tmp_path: Path) -> None:
    """A resumed run with other captions; a text encoder of another run, with fewer words."""
    config = tiny_texts.write_config(tmp_path)
    settings: dict[str, Any] = dict(work_dir=tmp_path / "run", evaluate=False, report=False)
    train(config, options={"train_cfg.max_iters": 2}, **settings)
    write_words(tmp_path / "tiny_words.npz", other_words)
    with pytest.raises(ConfigError, match=r"data \(fingerprint\)"):
        train(config, options={"train_cfg.max_iters": 4}, resume=True, **settings)
    write_words(tmp_path / "tiny_words.npz", more_words)
    with pytest.raises(ConfigError, match=r"text_encoder.n_tokens: 14 -> 15"):
        train(config, options={"train_cfg.max_iters": 4}, resume=True, **settings)
    file = str(tmp_path / "run" / "stages" / "damsm" / "iter_4.pth")
    weights = dict(_delete_=True, checkpoint=file)
    options = {"stages": [], WEIGHTS[0]: weights, WEIGHTS[1]: None}
    message = r"network 'text_encoder'.*encoder.weight.*\(15, 4\)"
    with pytest.raises(BuildError, match=message):
        rehearse(prepare(load_config(config, options=options)))


SMALL = {
    "scl_galip_emoji": {"model.networks.generator.channels": 2, "model.networks.discriminator.channels": 2},
    "scl_ssagan_emoji": {
        "model.networks.generator.channels": 2,
        "model.networks.discriminator.channels": 2,
        "before.damsm.train_cfg.max_iters": 2,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_models_draw_the_same_without_the_data(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"threads": 1, "train_dataloader.batch_size": 4, "evaluation": None, **SMALL[name]}
    made = Drawn(f"scl/{name}", tmp_path, options, iterations=2)

    def gone(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("the data are not on this machine")

    monkeypatch.setattr("toolbox.data.zipped.ZippedImages.__init__", gone)
    first, resumed, released = (images_of(path, ["a red heart", "smiling cat"]) for path in made.all)
    assert first == resumed == released
