"""Tables V and VI: the paper's numbers, plan, report; cells that are done, kills and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.data.drawn import PARTS, DrawnPortraits
from toolbox_klish.ufgs.matching import scores_of
from toolbox_klish.ufgs.table import published, run, sources
from toolbox_klish.ufgs.table.cell import mask_name, real_tests
from toolbox_klish.ufgs.table.plan import Budget, Cell, cells, check_method, in_words
from toolbox_klish.ufgs.table.report import markdown

SMALL = Budget(clusters=6, pairs=3, validation=2, real=3, generated=2)


def scores(share: float) -> dict[str, Any]:
    """Of segmenters that find ``share`` of each part and take the rest for the background."""
    found = round(100 * share)
    counts = np.zeros((2, 11, 11), dtype=np.int64)
    counts[:, np.arange(11), np.arange(11)] = found
    counts[:, np.arange(11), 0] += 100 - found
    return scores_of(counts)


def record(real: float, generated: float, matched: bool = True) -> dict[str, Any]:
    keys = ("paper", "official", "hindsight") if matched else ("labels",)
    return dict(
        real=dict.fromkeys(keys, scores(real)), generated=dict.fromkeys(keys, scores(generated)), seconds=1.0
    )


@pytest.mark.parametrize(
    ("row", "mean"),
    [("UFGS (KLiSH), K = 26", 47.2), ("UFGS (AHC), K = 26", 36.6), ("LSE, 10 annotations", 58.5)],
)
def test_means_of_table_vi_are_table_v(row: str, mean: float) -> None:
    """Background is left out, parts that nothing was matched to count 0."""
    values = published.PER_PART[row]
    assert len(values) == len(published.PARTS) == 14 and None not in values
    assert round(float(np.mean(values)), 1) == pytest.approx(mean, abs=0.051)  # type: ignore[arg-type]


def test_methods() -> None:
    for method in (
        "klish",
        "klish@26",
        "klish+soft",
        "klish@26+soft",
        "kmeans@60",
        "lse-1",
        "supervised+soft",
        "teacher",
    ):
        check_method(method)
    for method in ("klisch", "lse-1@3", "klish@0", "klish+", "teacher@4"):
        with pytest.raises(ValueError, match="methods: klish, kmeans"):
            check_method(method)
    cell = Cell("klish@26+soft", 1)
    assert cell.source == "klish" and cell.soft and cell.matched and cell.clusters(20) == 26
    assert mask_name(cell, SMALL) == "klish@26" and mask_name(Cell("klish+soft", 0), SMALL) == "klish@6"
    assert mask_name(Cell("lse-1+soft", 0), SMALL) == "lse-1" and not Cell("lse-1", 0).matched
    assert in_words("klish@26+soft") == "UFGS (KLiSH), K = 26, blur and noise"
    assert [cell.seed for cell in cells(["klish", "lse-1"], [0, 1])] == [0, 0, 1, 1]


def test_report() -> None:
    found = {
        Cell("klish", 0): record(0.5, 0.75),
        Cell("klish", 1): record(0.7, 0.75),
        Cell("lse-1", 0): record(0.25, 0.25, matched=False),
    }
    text = markdown(found, PARTS, SMALL)
    assert "| UFGS (KLiSH) | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 ± 14.1 |" in text
    assert "| 75.0 ± 0.0 | 15.0 ± 14.1 | - | 2 |" in text  # generated; less real; no masks; seeds
    assert "| LSE, 1 annotation | 25.0 | - | - |" in text
    assert (
        "| RepurposeGAN (quoted) | 10 | 9 | 68.0 |" in text
        and "| LSE, 1 annotation | 1 | 15 | 47.1 ± 2.8 |" in text
    )
    assert "| segmenter | clothes | neck | skin |" in text


def test_what_is_done_stays_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the second cell; the same command trains that one and the rest; another budget is refused."""
    trained: list[str] = []

    def result(cell: Cell, budget: Budget, tests: Any, out: Path) -> dict[str, Any]:
        if cell.method == "lse-1" and trained == ["klish"]:
            trained.append("killed")
            raise KeyboardInterrupt
        trained.append(cell.method)
        folder = cell.folder(out)
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(record(0.5, 0.5, cell.matched)))
        return record(0.5, 0.5, cell.matched)

    monkeypatch.setattr(run, "_result", result)
    monkeypatch.setattr(run, "_prepared", lambda *_: {})
    methods = ["klish", "lse-1"]
    with pytest.raises(KeyboardInterrupt):
        run.make(tmp_path, methods, [0], SMALL)
    assert "UFGS (KLiSH)" in (tmp_path / "table.md").read_text()
    text = run.make(tmp_path, methods, [0], SMALL)
    assert trained == ["klish", "killed", "lse-1"] and text == (tmp_path / "table.md").read_text()
    assert run.make(tmp_path, methods, [0], SMALL) == text and len(trained) == 3
    with pytest.raises(ConfigError, match="was made with pairs=3: take that budget again"):
        run.make(tmp_path, methods, [0], Budget(clusters=6, pairs=4, validation=2, real=3, generated=2))


def test_images_that_are_kept(tmp_path: Path) -> None:
    data = DrawnPortraits(split="test", images=2)
    images = np.stack([data.image(i) for i in range(2)])
    masks = np.stack([data.mask(i) for i in range(2)])
    sources.keep(tmp_path / "drawn.npz", images, {"teacher": masks, "klish@6": masks * 0})
    again, found = sources.kept(tmp_path / "drawn.npz")
    assert (
        (again == images).all() and set(found) == {"teacher", "klish@6"} and (found["teacher"] == masks).all()
    )
    sources.keep(tmp_path / "drawn.npz", images, {"lse-1": masks})
    assert sources.names_of(tmp_path / "drawn.npz") == {"teacher", "klish@6", "lse-1"}
    assert sources.names_of(tmp_path / "none.npz") == set()
    kept = sources.GeneratedImages(again, found["teacher"], data.part_names)
    assert (kept.mask(1) == data.mask(1)).all() and list(kept.part_names) == list(data.part_names)
    sources.write_folder(tmp_path / "folder", images, masks)
    assert len(list((tmp_path / "folder" / "masks").iterdir())) == 2


def test_validation_images_are_none_that_the_supervised_row_sees() -> None:
    first, second = (real_tests(SMALL, seed)["validation"] for seed in (0, 1))
    train = DrawnPortraits(split="train", images=7)
    assert (first.image(0) == train.image(3)).all() and (second.mask(1) == train.mask(6)).all()
    assert len(first) == 2 and len(real_tests(SMALL, 0)["real"]) == 3


def test_command_names_a_method_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["klish", "segtable", str(tmp_path), "--methods", "klsh"]) == 1
    assert "method 'klsh' - did you mean 'klish'?; methods: klish, kmeans" in capsys.readouterr().err
