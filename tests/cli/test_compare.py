"""``toolbox compare``: metrics beside pictures, written where it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training import tiny_run
from toolbox.cli.main import main
from toolbox.loading import export
from toolbox.pipeline import train
from toolbox.training.evaluation.records import values_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with metrics of two iterations; its release beside it."""
    folder = tmp_path_factory.mktemp("runs")
    run = train(
        tiny_run.write_config(folder / "tiny.py"), work_dir=folder / "run", evaluate=False, report=False
    )
    several = dict(precision=0.5, recall=0.25)
    records = [
        dict(metric="fid[toy,10]", value=9.0, values={"": 9.0}, iteration=3),
        dict(metric="fid[toy,10]", value=2.5, values={"": 2.5}, iteration=5),
        dict(metric="kid[toy,10]", value=0.1, values={"": 0.1, "std": 0.01}, iteration=5),
        dict(metric="precision-recall[toy,10]", value=None, values=several, iteration=5),
        dict(metric="is[toy,10]", error="too few images", iteration=5),
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records))
    export(run, folder / "tiny.safetensors")
    return run


def test_metrics_are_printed_drawn_and_kept(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the checkpoint that is shown; a release's are in its card."""
    sources = [f"early={run / 'iter_3.pth'}", f"late={run}", f"release={run.parent / 'tiny.safetensors'}"]
    capsys.readouterr()
    assert main(["compare", *sources, "-o", str(tmp_path / "new" / "c.png"), "--columns", "2"]) == 0
    printed = capsys.readouterr().out
    runs = json.loads((tmp_path / "new" / "c.json").read_text())["runs"]
    assert runs["early"]["fid[toy,10]"] == 9.0 and "kid[toy,10]" not in runs["early"]
    measured = {
        "fid[toy,10]": 2.5,
        "kid[toy,10]": 0.1,
        "precision-recall[toy,10].precision": 0.5,
        "precision-recall[toy,10].recall": 0.25,
    }
    for name in ("late", "release"):
        assert {key: value for key, value in runs[name].items() if "[" in key} == measured
    assert (
        printed.startswith(f"{tmp_path / 'new' / 'c.png'}\n") and "| late |" in printed and "2.5" in printed
    )


def test_it_writes_where_it_is_told(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder takes comparison.png; nothing else is written, nor over a file of another kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "notes.json").write_text("mine")
    for out in ("there", "new/folder"):
        assert main(["compare", str(run), "-o", out, "--columns", "2"]) == 0
        names = {path.name for path in (tmp_path / out).iterdir()}
        assert names == {"comparison.png", "comparison.json", "comparison.md"}
    assert {path.name for path in tmp_path.iterdir()} == {"there", "new", "notes.json"}
    assert main(["compare", str(run), "-o", "notes.json"]) == 1
    assert (
        "-o notes.json: the picture is a PNG, name it notes.png, or name a folder" in capsys.readouterr().err
    )
    assert (tmp_path / "notes.json").read_text() == "mine"


def test_values_are_of_one_iteration() -> None:
    records = [
        dict(metric="a", value=1.0, iteration=1),
        dict(metric="a", value=2.0, iteration=2),
        dict(metric="b"),
    ]
    assert values_of(records, 2) == {"a": 2.0} and values_of([], 1) == {}


def test_what_a_value_must_be_compared_with_stays_beside_it() -> None:
    record = dict(metric="r", value=0.5, values={"": 0.5, "std": 0.1, "chance": 0.01, "real": 0.98})
    assert values_of([record], 1) == {"r": 0.5, "r.real": 0.98, "r.chance": 0.01}
