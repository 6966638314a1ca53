"""The report of a run: whole, self-contained, and calm about whatever is missing or torn."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.visual.fake_run import NOTICE, fake_run
from toolbox.visual.report import write_report
from toolbox.visual.results import results
from toolbox.visual.run_folder import RunFolder, read_run_folder

SECTIONS = ("results", "samples", "pictures", "tables", "losses", "environment", "configuration")


class Page(HTMLParser):
    """What a test wants to know of a page; raises where tags do not close."""

    void = frozenset({"meta", "img", "br", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and every address in it."""
        self.tags.append(tag)
        loading = ("src", "href", "srcset", "action", "xlink:href", "data", "poster")
        self.addresses += [value or "" for key, value in attrs if key in loading]
        self.ids += [value or "" for key, value in attrs if key == "id"]
        if tag not in self.void:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG leaf."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Tags close in order."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text a reader sees (and the style sheet)."""
        self.words += data


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_run(tmp_path / "lcp")


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_everything_is_in_it(run: Path) -> None:
    page = page_of(run)
    assert set(SECTIONS) <= set(page.ids)
    for words in (
        "LCP-GAN on CIFAR-10, 10 % of the labels",
        "1,800 of 1,800",
        "finished",
        "21.44",
        "std 0.00021",
        "Precision",
        "Inception score",
        "intra-fid[toy-clip,2k] by class",
        "iter_1800.pth",
        "toy-clip, 2k",
        "iteration 1,200",
        "Clusters of",
        "Real images",
        "Nearest words of the prompts",
        "Stage clip",
        "Discriminator side",
        "Generator side",
        "Classifier",
        "2.13.0",
        "8,000, 800 labelled",
        "tools/train.py configs/lcp_cifar.py --quick",
        "# resolved from configs/lcp_cifar.py --quick",
    ):
        assert words in page.words, words
    assert "What could not be read" not in page.words


def test_a_metric_that_could_not_be_computed_is_said(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(dict(metric="kid[tiny,9]", value=None, values={}, error="too few <images>")))
    page = page_of(run)
    assert "kid[tiny,9]: not computed: too few <images>" in page.words and "21.44" in page.words


def test_nothing_is_loaded_from_elsewhere(run: Path) -> None:
    """All addresses are data or places in the page; no scripts; the page's own policy forbids the rest."""
    text = write_report(run).read_text(encoding="utf-8")
    page = Page(text)
    assert page.addresses and all(a.startswith(("data:image/png;base64,", "#")) for a in page.addresses)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src &#x27;none&#x27;" in text


def test_names_cannot_become_markup(run: Path) -> None:
    """A class is called <script>alert(1)</script>: it stands in table, caption and data as text."""
    page = page_of(run)
    assert "script" not in page.tags
    assert page.words.count("<script>alert(1)</script>") >= 3


@pytest.mark.parametrize("embedded", [True, False])
def test_embedded_data_is_announced(tmp_path: Path, embedded: bool) -> None:
    page = page_of(fake_run(tmp_path, embedded=embedded))
    assert ("Embedded data: not comparable with published numbers" in page.words) == embedded
    assert (NOTICE in page.words) == embedded


def test_torn_files_are_left_out_with_a_word(run: Path) -> None:
    for name in ("scalars.jsonl", "metrics.jsonl", "stages/clip/scalars.jsonl"):
        with open(run / name, "a") as file:
            file.write('{"iteration": 18')
    (run / "environment.json").write_text("[1")
    (run / "tables" / "torn.json").write_text('{"title": "half"}')
    whole = (run / "samples" / "iter_0001800.png").read_bytes()
    (run / "samples" / "iter_0001800.png").write_bytes(whole[: len(whole) // 2])
    page = page_of(run)
    for words in (
        "scalars.jsonl: 1 of 181 lines",
        "metrics.jsonl: 1 of 7 lines",
        "stages/clip/scalars.jsonl: 1 of",
        "environment.json could not be read",
        "tables/torn.json could not be read",
        "iter_0001800.png is not a whole PNG",
        "iteration 1,200",
    ):
        assert words in page.words, words


def test_an_empty_folder_gives_a_report(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    for words in (
        "running, or interrupted",
        "No metrics yet",
        "No sample grids yet",
        "No losses yet",
        "config.py is missing",
        "environment.json is missing",
    ):
        assert words in page.words, words


@pytest.mark.parametrize(
    "missing",
    [
        "config.py",
        "environment.json",
        "scalars.jsonl",
        "metrics.jsonl",
        "samples",
        "pictures",
        "pictures/captions.json",
        "tables",
        "stages",
        "stages/clip/scalars.jsonl",
    ],
)
def test_any_missing_file_is_borne(run: Path, missing: str) -> None:
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "finished" in page_of(run).words


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("metrics.jsonl", '{"metric": "fid[x]", "value": NaN, "values": null}'),
        ("metrics.jsonl", '{"metric": "fid[x]", "value": "none", "iteration": "x", "classes": [1]}'),
        ("metrics.jsonl", '{"metric": "x", "values": {"": 1.0, "std": Infinity}, "classes": {"0": 1}}'),
        ("metrics.jsonl", '{"metric": ["fid"], "value": 3}'),
        ("metrics.jsonl", '{"metric": "", "data": "x", "higher_is_better": "yes", "notice": 3}'),
        (
            "scalars.jsonl",
            '{"iteration": 2000, "kimg": "x", "a/b/c": NaN, "real_or_fake/generator": Infinity}',
        ),
        ("scalars.jsonl", '{"iteration": null}'),
        ("scalars.jsonl", "[]"),
        ("environment.json", '{"data": null, "seed": NaN, "versions": [], "git": {"a": {"b": 1}}}'),
        ("environment.json", '{"data": {"n": "many", "labelled": [1], "notices": "one", "title": 3}}'),
        ("config.py", "title = = 1\n\x00"),
        (
            "tables/nearest_words.json",
            '{"columns": ["a", "b"], "rows": [[1], [1, 2, 3], 4, [[1, 2], {"x": null}]]}',
        ),
        ("tables/nearest_words.json", '{"columns": 3, "rows": null}'),
        ("pictures/captions.json", '{"clusters.png": 3, "gone.png": "x"}'),
    ],
)
def test_odd_values_are_borne(run: Path, name: str, line: str) -> None:
    with open(run / name, "a" if name.endswith("jsonl") else "w") as file:
        file.write(line + "\n")
    assert "Configuration" in page_of(run).words


def test_metrics_over_the_run_are_shown_beside_each_other(run: Path) -> None:
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"metric": "fid[toy-clip,2k]", "value": 19.5, "iteration": 3600}\n')
    words = page_of(run).words
    assert "Over the run" in words and "iteration 3,600" in words and "19.5" in words


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        write_report(tmp_path / "none")


def test_long_films_are_thinned_and_end_with_the_last(run: Path) -> None:
    for i in range(40):
        shutil.copy(run / "samples" / "iter_0001800.png", run / "samples" / f"iter_{2000 + i:07d}.png")
    page = page_of(run)
    assert (
        page.tags.count("label") == 10 and "iteration 2,039" in page.words and "iteration 600" in page.words
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("environment.json", "[" * 100_000),
        ("environment.json", '{"data": ' + '{"a": ' * 500 + "1" + "}" * 501),
        ("environment.json", '{"seed": ' + "9" * 10_000 + "}"),
        ("environment.json", '{"seed": 1e999, "data": {"title": "\\ud800"}}'),
        ("done.json", '{"iterations": 1e999}'),
        ("done.json", "[" * 100_000),
        ("done.json", '{"iterations": ' + "9" * 10_000 + "}"),
        ("scalars.jsonl", "null\n" * 3 + "[" * 100_000 + '\n{"iteration": 1e999}\n'),
        (
            "scalars.jsonl",
            '{"iteration": ' + "9" * 290 + ', "a/generator": 1}\n{"iteration": 2, "a/generator": 2}',
        ),
        (
            "scalars.jsonl",
            "\n".join(f'{{"iteration": {i}, "a/generator": {v}}}' for i, v in ((1, "1e308"), (2, "-1e308"))),
        ),
        ("metrics.jsonl", '{"metric": "a", "value": 1e999}\n{"metric": "\\ud800", "value": "\\udfff"}\nnull'),
        ("metrics.jsonl", '{"metric": "a", "value": ' + "9" * 10_000 + "}"),
        ("tables/x.json", '{"columns": ' + "[" * 2000 + "]" * 2000 + ', "rows": []}'),
        ("tables/x.json", '{"columns": ["a"], "rows": [[1e999]]}'),
        ("pictures/captions.json", "[" * 100_000),
        ("config.py", "x = " + "(" * 5000),
        ("config.py", "x = " + "-" * 100_000 + "1"),
    ],
)
def test_hostile_values_are_borne(run: Path, name: str, content: str) -> None:
    """Deep, endless and infinite: the report is written, and is utf-8."""
    (run / name).write_text(content)
    assert "Configuration" in page_of(run).words


def test_a_picture_that_declares_60000_squared_is_left_out(run: Path) -> None:
    """Nothing is unpacked; the report says so."""
    header = struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for file in (run / "pictures" / "huge.png", run / "samples" / "iter_0009999.png"):
        file.write_bytes(png + bytes(100))
    assert "huge.png is not a whole PNG" in page_of(run).words


def test_stages_that_lead_back_are_read_once(run: Path) -> None:
    """A link in ``stages`` to the run itself."""
    for name in "abc":
        (run / "stages" / name).symlink_to(run)
    assert set(read_run_folder(run).stages["a"].stages) == set()


def test_real_images_and_chance_stand_beside_a_value(tmp_path: Path) -> None:
    values = {"": 0.5, "std": 0.02, "chance": 0.01, "real": 0.986}
    record = dict(metric="r-precision[toy-clip,1k]", value=0.5, values=values, higher_is_better=True)
    page = results(RunFolder(tmp_path, metrics=[record]))
    assert "std 0.02 · real images 0.986 · chance 0.01 · toy-clip, 1k · higher is better" in page
