"""``toolbox scl table``: which cells there are, one of each kind at tiny size, and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox_scl.table import run, training
from toolbox_scl.table.judging import OF_GANS
from toolbox_scl.table.plan import GANS, Budget, Cell, cells, encoders, gan, heads
from toolbox_scl.table.report import Tables
from toolbox_scl.table.run import make

TINY = Budget(pretraining=1, iterations=1, pretraining_batch=6, batch=6, n_fake=20)


def few_words() -> dict[str, Any]:
    """Two kinds of emoji."""
    emoji = dict(type="EmbeddedEmoji", split="train", image_size=32)
    groups = {"play": ["Activities"], "food": ["Food & Drink"]}
    source = dict(type="RelabelledSet", source=emoji, groups=groups)
    return dict(type="Wordings", templates=["{name}", "{name}, {keywords}"], each=4, unseen=1, source=source)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "wordings", few_words)


def test_what_cells_share_is_trained_once_and_before_them() -> None:
    order = cells(("encoders", "gans", "placement"), range(3))
    assert len(order) == len(set(order)) == 3 * (4 + 1 + 16 + 2)
    for number, cell in enumerate(order):
        assert all(needed in order[:number] for needed in cell.needs())
    assert [cell.seed for cell in order] == sorted(cell.seed for cell in order)
    assert [cell.name for cell in cells(("placement",), [0])] == [
        "damsm_none",
        "attngan_none_none",
        "damsm_scl",
        "attngan_scl_none",
        "attngan_none_scl",
        "attngan_scl_scl",
    ]


@pytest.mark.usefixtures("small")
def test_a_cell_is_trained_and_judged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "cells", lambda parts, seeds: [encoders("scl", 0)])
    broken_off = tmp_path / "seed0" / "damsm_scl" / "iter_9.pth"
    broken_off.parent.mkdir(parents=True)
    broken_off.touch()
    tables = make(tmp_path, ["encoders"], [0], TINY)
    assert not broken_off.exists()
    text = (tmp_path / "table.md").read_text()
    assert text == tables.markdown() and "| SCL | 0.0" in text and "| the shipped toy CLIP | " in text
    kept = json.loads((tmp_path / "table.json").read_text())
    assert [(cell["cell"], cell["seed"]) for cell in kept["cells"]] == [("damsm_scl", 0)]
    assert kept["references"]["gans"]["real images"]["r-precision"] > 0.5

    monkeypatch.setattr(run, "_measured", None)  # nothing is trained again
    assert make(tmp_path, ["encoders"], [0], TINY).results == tables.results
    longer = Budget(**{**kept["budget"], "pretraining": 2})
    with pytest.raises(ConfigError, match="was made with pretraining=1: take that budget again"):
        make(tmp_path, ["encoders"], [0], longer)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_one_cell_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-entropy is the loss that takes most: classifiers that pre-training has trained."""
    few = [encoders("ce", 0), *(gan(model, "ce", 0) for model in GANS[:3]), heads(0), gan("galip", "ce", 0)]
    monkeypatch.setattr(run, "cells", lambda parts, seeds: few)
    found = make(tmp_path, ["encoders", "gans"], [0], TINY)
    assert list(found.results) == few
    assert all(set(OF_GANS) <= set(found.results[cell]) for cell in few if not cell.pretrains)
    assert "| SSA-GAN | cross-entropy | " in found.markdown() and "| real images |" in found.markdown()


def test_a_table_of_two_seeds_has_mean_deviation_and_differences() -> None:
    results = {encoders("scl", seed): {"image-to-text": 0.25 * (seed + 1)} for seed in range(2)}
    results[encoders("none", 1)] = {"image-to-text": 0.75}
    others = dict.fromkeys(("text-to-image", "silhouette-images", "silhouette-texts"), 0.0)
    values = {cell: {**found, **others} for cell, found in results.items()}
    references = {"encoders": {"chance": {"image-to-text": 0.01}}, "gans": {}}
    lines = Tables(values, references, ["encoders"], [0, 1], TINY).markdown().splitlines()
    assert "| SCL | 0.375 ± 0.177 | 0.000 ± 0.000 | 0.000 ± 0.000 | 0.000 ± 0.000 | 2 |" in lines
    assert "| chance | 0.010 | - | - | - |  |" in lines
    assert "| none | 0.750 | 0.000 | 0.000 | 0.000 | 1 |" in lines
    assert "| UniCL | - | - | - | - | 0 |" in lines
    assert "| SCL | -0.250 | +0.000 | +0.000 | +0.000 | 1 |" in lines  # of the seed that both have


def test_the_command_refuses_what_makes_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scl", "table", str(tmp_path), "--seeds", "0"]) != 0
    assert "seeds=0 must be a whole number of 1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="batch=1 must be a whole number of 2"):
        Budget(batch=1)
    assert Cell("damsm", "scl", "", 1).folder(tmp_path) == tmp_path / "seed1" / "damsm_scl"
