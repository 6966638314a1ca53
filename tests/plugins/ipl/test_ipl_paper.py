"""``toolbox ipl table --paper``: rows are trained once, own values stand beside the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolbox.cli.main import main
from toolbox_ipl.published import read_results
from toolbox_ipl.table import paper

RECORDS = {
    "is[inception-logits,5k]": {"": 2.5},
    "scs[hed,256px,500]": {"": 0.4},
    "scs-sobel[256px,500]": {"": 0.9},
    "sifid[inception-192,256px,2refs,5k]": {"": 1.5, "R1": 1.0, "R2": 2.0},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], bool]]:
    """What is trained; a run writes what it would have measured, its seed added."""
    calls: list[tuple[str, dict[str, Any], bool]] = []

    def trained(folder: Path, config: str, options: dict[str, Any], quick: bool = False) -> None:
        calls.append((config, dict(options), quick))
        folder.mkdir(parents=True, exist_ok=True)
        seed = options["seed"]
        lines = [
            json.dumps(dict(metric=name, value=values[""] + seed, values=values))
            for name, values in RECORDS.items()
        ]
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")

    monkeypatch.setattr(paper, "trained", trained)
    return calls


def test_own_values_stand_beside_the_published(
    tmp_path: Path, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Means over seeds; what stand-ins measure has no column; a second call trains nothing."""
    pictures = tmp_path / "references" / "ffhq_elf"
    pictures.mkdir(parents=True)
    out = tmp_path / "out"
    command = ["ipl", "table", str(out), "--paper", "--rows", "ffhq_elf", "--seeds", "2"]
    command += ["--references", str(pictures.parent)]
    assert main(command) == 0
    assert [config for config, *_ in asked] == ["ipl/nada_ffhq_elf"] * 2 + ["ipl/ipl_ffhq_elf"] * 2
    assert all(call[1]["evaluation.metrics.sifid"]["references"] == str(pictures) for call in asked)
    shown = capsys.readouterr().out
    assert "| 2.778 (3.000) | 0.491 (0.900) | 0.772 | 0.690* (1.000) | 0.637 (2.000) | 0.701 |" in shown
    assert shown.strip().endswith((out / "paper.md").read_text().strip())
    assert read_results(out / "own.json")["ffhq_elf"]["ipl"]["IS"] == 3.0
    assert main(command) == 0 and len(asked) == 4


def test_a_rehearsal_and_a_run_are_not_mixed(tmp_path: Path, asked: list[Any]) -> None:
    command = ["ipl", "table", str(tmp_path), "--paper", "--rows", "dog_cubism", "--seeds", "1"]
    assert main([*command, "--quick"]) == 0
    assert main(command) == 0
    assert [quick for *_, quick in asked] == [True, True, False, False]


def test_a_row_without_its_files_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ipl", "table", str(tmp_path), "--paper", "--rows", "dog_cubism", "--seeds", "1"]) == 1
    assert "weights/afhqdog.pkl (NVIDIA's" in capsys.readouterr().err
