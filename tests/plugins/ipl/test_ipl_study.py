"""A user study: a page that names no method, answers read back by the key, recorded statistics, the table."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.plugins.ipl.formula import golden
from toolbox.cli.main import main
from toolbox_ipl.published import ROWS, published_json, published_table, read_results
from toolbox_ipl.study.page import Study, make_study
from toolbox_ipl.study.sources import pairs
from toolbox_ipl.study.votes import COLUMNS, as_json, preference, read_answers, summary


def pictures(seed: int, n: int = 5) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)


def study(seed: int = 3) -> Study:
    return make_study(["Kappa", "Zeta"], pictures(0), pictures(1), "Which </script> is <b>odd</b>?", 2, seed)


def content_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def answers(path: Path, made: Study, rater: str, prefers: str, careless: bool = False) -> Path:
    """A file as the page writes it, of a rater who prefers one method always."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (question, names) in enumerate(made.key["questions"].items()):
            wanted = {prefers, "wrong" if careless else "right"}
            letter = next(letter for letter, name in names.items() if name in wanted)
            left = "xy"[number % 2]
            choice = "left" if left == letter else "right"
            writer.writerow([made.key["study"], rater, question, left, choice, "1.5"])
    return path


def test_the_page_names_no_method_and_loads_nothing() -> None:
    made = study()
    assert "Kappa" not in made.html and "Zeta" not in made.html and "http:" not in made.html
    content = content_of(made.html)  # the text in it does not end the element
    assert content["text"] == "Which </script> is <b>odd</b>?" and "<b>" not in made.html
    assert len(content["questions"]) == 7 and content["study"] == made.key["study"]
    assert all(question["x"].startswith("data:image/png;base64,") for question in content["questions"])


def test_a_seed_gives_the_same_study_and_sides_by_chance() -> None:
    assert study() == study() and study(4).key != study().key
    names = [
        names["x"] for names in make_study("ab", *[pictures(i, 60) for i in (0, 1)]).key["questions"].values()
    ]
    assert 15 < names.count("a") < 45 and names.count("right") + names.count("wrong") == 2


def test_answers_are_read_by_the_key(tmp_path: Path) -> None:
    made = study()
    page, key = made.write(tmp_path / "study.html")
    assert page.read_text() == made.html and key.name == "study.key.json"
    files = [
        answers(tmp_path / "1.csv", made, "ann", "Kappa"),
        answers(tmp_path / "2.csv", made, "bob", "Zeta"),
        answers(tmp_path / "3.csv", made, "cy", "Zeta", careless=True),
    ]
    found = read_answers(files, key)
    assert found.votes == {"ann": [True] * 5, "bob": [False] * 5} and found.failed == ["cy"]
    assert len(read_answers(files, key, allowed=2).votes) == 3
    said = preference(list(found.votes.values()), draws=200)
    assert said.share == 0.5 and said.p_value == 1 and said.clustered == (0.0, 1.0)
    assert "Kappa is preferred to Zeta in 50.0% of 10 votes of 2 raters; 1 failed" in summary(found, said)
    assert json.loads(as_json(found, said))["votes"] == 10
    with pytest.raises(ValueError, match=r"rater 'ann' answered question \d twice"):
        read_answers([files[0], files[0]], key)
    with pytest.raises(ValueError, match=r"is no file of answers: it lacks study, rater"):
        read_answers([page], key)
    with pytest.raises(ValueError, match=r"is no key of a study"):
        read_answers(files, files[0])
    _, other = study(4).write(tmp_path / "other.html")
    with pytest.raises(ValueError, match=r"answers study '.*', the key is of"):
        read_answers(files, other)


def test_intervals_are_the_recorded_ones() -> None:
    arrays = golden("votes")
    found = preference(list(arrays["votes"]), draws=500)
    assert found.share == pytest.approx(float(arrays["preference"]), rel=1e-12)
    expected = float(arrays["wilson_low"]), float(arrays["wilson_high"])
    assert found.wilson == pytest.approx(expected, rel=1e-9)
    assert found.clustered[0] < found.share < found.clustered[1] and 0 < found.p_value < 1
    with pytest.raises(ValueError, match=r"there is no vote"):
        preference([])


def test_folders_are_paired_by_name(tmp_path: Path) -> None:
    for folder, names in (("a", "123"), ("b", "234")):
        (tmp_path / folder).mkdir()
        for name in names:
            pixels = np.full((20, 20, 3), int(name) * 10, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    first, second = pairs(str(tmp_path / "a"), str(tmp_path / "b"), 2, size=16)
    assert first.shape == (2, 16, 16, 3) and (first == second).all() and first[0, 0, 0, 0] == 20
    with pytest.raises(ValueError, match=r"have 2 pictures of the same names, 3 are asked for"):
        pairs(str(tmp_path / "a"), str(tmp_path / "b"), 3)
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match=r"both must be folders of pictures, or both runs"):
        pairs(str(tmp_path / "a"), str(tmp_path / "c"), 1)


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for i, pixels in enumerate(pictures(ord(folder), 3)):
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    page = tmp_path / "study.html"
    sources = [f"IPL={tmp_path / 'a'}", f"NADA={tmp_path / 'b'}"]
    assert main(["ipl", "study", *sources, "-o", str(page), "--pairs", "3"]) == 0
    made = Study(page.read_text(), json.loads(page.with_suffix(".key.json").read_text()))
    file = answers(tmp_path / "1.csv", made, "ann", "IPL")
    assert main(["ipl", "votes", str(file), "--key", str(page.with_suffix(".key.json"))]) == 0
    assert "IPL is preferred to NADA in 100.0% of 3 votes of 1 raters" in capsys.readouterr().out
    assert main(["ipl", "published"]) == 0
    assert "| FFHQ photo to Disney | NADA | 2.721 |" in capsys.readouterr().out
    assert main(["ipl", "study", "a", "b"]) != 0


def test_the_published_table() -> None:
    assert len(ROWS) == 10
    lost = {row.config: row.lost() for row in ROWS if row.lost()}
    assert lost == {
        "ffhq_ukiyoe": ["ID"],
        "ffhq_pixar": ["SIFID R3"],
        "ffhq_elf": ["SIFID R1"],
        "dog_cubism": ["SIFID R2"],
    }
    means = [np.mean([getattr(row, method) for row in ROWS], axis=0)[:3] for method in ("nada", "ipl")]
    np.testing.assert_allclose(means, [[3.345, 0.380, 0.756], [4.218, 0.490, 0.798]], atol=6e-4)
    assert np.mean([row.preferred for row in ROWS]) == pytest.approx(80.53)
    assert published_table().count("*") == 4 + 1
    assert len(published_json()["rows"]) == 10


def test_own_values_stand_beside_the_published(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"ffhq_disney": {"ipl": {"SCS": 0.4567}}}))
    results = read_results(file)
    assert "| 0.448 (0.457) |" in published_table(results)
    assert published_json(results)["rows"][0]["own"] == {"ipl": {"SCS": 0.4567}}
    file.write_text(json.dumps({"ffhq_disny": {}}))
    with pytest.raises(ValueError, match=r"row 'ffhq_disny' - did you mean 'ffhq_disney'"):
        read_results(file)
    file.write_text(json.dumps({"ffhq_disney": {"ipl": {"scs": 1}}}))
    with pytest.raises(ValueError, match=r"metric 'scs'"):
        read_results(file)
