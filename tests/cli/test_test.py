"""``toolbox test``: a run by itself, or a checkpoint by another config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.training import tiny_run
from toolbox import pipeline
from toolbox.cli.main import build_parser, main
from toolbox.loading import export
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.evaluation import measure
from toolbox.training.release import evaluation_of
from toolbox.weights.card import card_path

METRIC = dict(type="FID", extractor=dict(type="EmbeddedClipFeatures"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five iterations whose config says what to measure; its release beside it."""
    folder = tmp_path_factory.mktemp("runs")
    config = tiny_run.write_config(folder / "tiny.py")
    real = dict(type="EmbeddedFashion", split="test", image_size=8)
    said = dict(real=real, metrics=dict(fid=METRIC), n_fake=20, cache_dir=str(folder / "statistics"))
    config.write_text(f"{config.read_text()}\nevaluation = {said!r}\n")
    found = pipeline.train(config, work_dir=folder / "run", evaluate=False, report=False)
    export(found, folder / "tiny.safetensors")
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Mapping[str, Any], Path, str]]:
    """(settings, record, checkpoint) of each evaluation; nothing is measured."""
    calls: list[tuple[Mapping[str, Any], Path, str]] = []

    def evaluate(game: Any, settings: Mapping[str, Any], record: Path, checkpoint: str) -> dict[str, float]:
        calls.append((settings, record, checkpoint))
        return {"fid[toy,20]": 1.5}

    monkeypatch.setattr(measure, "evaluate_game", evaluate)
    return calls


def test_a_run_needs_no_config(
    run: Path, asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folder, checkpoint and release know what to measure; a config may be named all the same."""
    config, newest = str(run / "config.py"), str(run / "iter_5.pth")
    for words in (
        [str(run)],
        [newest],
        [str(run.parent / "tiny.safetensors")],
        [config, newest],
        [config, "--n-fake", "20", str(run)],
    ):
        assert main(["test", *words]) == 0
        assert "fid[toy,20]  1.5000" in capsys.readouterr().out
    assert [settings["n_fake"] for settings, _, _ in asked] == [20] * 5
    assert all(settings["metrics"]["fid"]["type"] == "FID" for settings, _, _ in asked)
    assert [name for _, _, name in asked] == ["iter_5.pth"] * 2 + ["tiny.safetensors"] + ["iter_5.pth"] * 2
    assert asked[0][1] == run / "metrics.jsonl"


def test_options_change_the_run_s_own_config(run: Path, asked: list[Any]) -> None:
    assert main(["test", str(run), "--cfg-options", "evaluation.seed=7", "--n-fake", "30"]) == 0
    assert (asked[0][0]["seed"], asked[0][0]["n_fake"]) == (7, 30)


def test_quick_belongs_to_a_config(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(run), "--quick"]) == 1
    assert "--quick belongs to a config" in capsys.readouterr().err


def test_the_second_word_may_come_after_options() -> None:
    """As it could when both were required; a third one, or an unknown option, is refused as ever."""
    words = ["test", "config.py", "--quick", "run", "--device", "cpu"]
    parsed = build_parser(words).parse_args(words)
    assert (parsed.run, parsed.checkpoint, parsed.quick) == ("config.py", "run", True)
    for more in (["a", "b", "c"], ["a", "--qick"]):
        with pytest.raises(SystemExit):
            build_parser(["test"]).parse_args(["test", *more])


def test_what_a_card_may_say_of_an_evaluation(run: Path, tmp_path: Path) -> None:
    """A card comes from outside: it names registered components, and no folder to write into."""
    file = run.parent / "tiny.safetensors"
    assert "cache_dir" not in evaluation_of(file)
    card = json.loads(card_path(file).read_text())
    card["config"]["evaluation"]["real"] = dict(type="os.system", command="true")
    (tmp_path / "evil.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="may name registered components only"):
        evaluation_of(tmp_path / "evil.safetensors")
    del card["config"]["evaluation"]
    (tmp_path / "evil.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="says nothing of an evaluation"):
        evaluation_of(tmp_path / "evil.safetensors")
