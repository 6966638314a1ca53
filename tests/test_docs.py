"""The guides say what is true: their code runs, their files are those that are written, their tests exist."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import toolbox
from toolbox.catalog import KINDS
from toolbox.cli.main import build_parser
from toolbox.cli.new_plugin import write_plugin
from toolbox.testing import __all__ as checks

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
TRAPS = (ROOT / "docs" / "mmengine.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`([\w./]+\.py)`:\n\n```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
SAVED_LATER = re.compile(
    r"^Save this as `(?:from_scratch|test_my_idea)\.py`.*?\n```$", re.MULTILINE | re.DOTALL
)
SAVED = re.compile(r"^Save this as `(\w+\.py)`.*?\n\n```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
]
MOST_WORDS = 40
MOST_COLUMNS = 120

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("name", [name for name, _ in FILE.findall(GUIDE)])
def test_the_guide_shows_what_new_plugin_writes(name: str, tmp_path: Path) -> None:
    folder = write_plugin("my_paper", tmp_path)
    assert dict(FILE.findall(GUIDE))[name] == (folder / name).read_text().rstrip()


def test_the_code_of_the_guide_runs() -> None:
    namespace: dict[str, object] = {}
    blocks = BLOCK.findall(SAVED_LATER.sub("", FILE.sub("", GUIDE)))
    for block in blocks:
        exec(compile(block, "docs/plugins.md", "exec"), namespace)
    assert len(blocks) == 7 and "clusterer" in namespace


def test_the_plugin_of_one_file_and_the_config_without_a_base_train_as_the_guide_says(tmp_path: Path) -> None:
    """Both commands in one process: it takes longer to start than they take to train."""
    save_the_guides_files(tmp_path)
    run_lines(["toolbox train from_scratch.py", "toolbox train my_config.py"], tmp_path)
    assert "fid[" in (tmp_path / "runs" / "from_scratch" / "metrics.jsonl").read_text()
    assert "brightness/generator" in (tmp_path / "runs" / "my_config-quick" / "scalars.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [False, True])
def test_the_check_of_two_processes_finds_what_the_guide_says(tmp_path: Path, wrong: bool) -> None:
    save_the_guides_files(tmp_path)
    class_of_all = next(block for block in BLOCK.findall(GUIDE) if "class BrightnessOfAll" in block)
    with (tmp_path / "my_idea.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{class_of_all.partition('check_objective')[0]}")
    test = tmp_path / "test_my_idea.py"
    if wrong:
        test.write_text(test.read_text().replace("BrightnessOfAll", "Brightness"))
    said = in_a_process("-m", "pytest", "-q", "-p", "no:cacheprovider", str(test), cwd=tmp_path)
    assert ("differs between 2 processes and one" in said.stdout) == wrong == (said.returncode == 1)


def save_the_guides_files(folder: Path) -> None:
    saved = dict(SAVED.findall(GUIDE))
    assert set(saved) == {"my_idea.py", "my_config.py", "from_scratch.py", "test_my_idea.py"}
    for name, code in saved.items():
        (folder / name).write_text(code + "\n", encoding="utf-8")


def run_lines(beginnings: list[str], folder: Path) -> None:
    """Those commands of the guide that begin so, one after the other."""
    found = [next(line for line in commands(GUIDE) if line.startswith(start)) for start in beginnings]
    words = [shlex.split(line)[1:] for line in found]
    code = f"from toolbox.cli.main import main; raise SystemExit(any([main(one) for one in {words!r}]))"
    done = in_a_process("-c", code, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def in_a_process(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(cwd), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_the_guide_names_every_kind_and_every_check() -> None:
    assert all(f"`{kind}`" in GUIDE for kind in KINDS)
    assert all(name in GUIDE for name in checks if name.startswith("check_"))


def test_the_table_of_traps_and_their_tests_agree() -> None:
    tests = set(
        re.findall(
            r"^def (test_trap_\w+)",
            (ROOT / "tests" / "training" / "test_mmengine_traps.py").read_text(),
            re.MULTILINE,
        )
    )
    assert set(re.findall(r"`(test_trap_\w+)`", TRAPS)) == tests


def test_the_tests_behind_each_promise_exist() -> None:
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    files = list((ROOT / "tests").rglob("*.py"))
    everything = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for path in re.findall(r"`(tests/[\w/]+\.py)`", page):
        assert (ROOT / path).is_file(), path
    for name in re.findall(r"(?<!/)\b((?:test|bench)_\w+\.py)", page):
        assert name in {path.name for path in files}, name
    for name in re.findall(r"(?:`|::)(test_\w+)(?!\w|\.py)", page):
        assert f"def {name}(" in everything, name


# -- how the pages read, and whether their commands are real -------------------------------------------------


def without_code(text: str) -> str:
    """A page without its fenced blocks and indented lines of code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    kept: list[str] = []
    for line in text.splitlines():
        after_a_gap = not kept or not kept[-1].strip() or kept[-1] == "CODE"
        kept.append("CODE" if line.startswith("    ") and after_a_gap else line)
    return "\n".join("" if line == "CODE" else line for line in kept)


def without_print_outs(text: str) -> str:
    """A page without its fenced blocks of no language: those show what a command prints, as it prints it."""
    fenced = re.compile(r"^```(\w*)\n.*?^```$", flags=re.MULTILINE | re.DOTALL)
    return fenced.sub(lambda block: block[0] if block[1] else "", text)


def sentences(text: str) -> Iterator[str]:
    """Every sentence of a page outside tables and code; a list's item and a heading end one."""
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[*\-#|]|\d+\.) ?)", without_code(text)):
        if paragraph.lstrip().startswith(("|", "!")):
            continue
        plain = re.sub(r"`[^`]*`", "CODE", " ".join(paragraph.split()))
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", plain)
        yield from re.split(r"(?<=[.!?])[*)\"]* +(?=[*(\"A-Z0-9])", plain)


def commands(text: str) -> Iterator[str]:
    """Every ``toolbox ...`` command of a page's indented blocks."""
    for line in text.splitlines():
        found = re.match(r"^    (?:\.venv/bin/)?(toolbox .*)", line)
        if found:
            yield found[1]


@each_page
def test_sentences_are_short(page: Path) -> None:
    long = [s for s in sentences(page.read_text(encoding="utf-8")) if len(s.split()) > MOST_WORDS]
    assert long == []


def test_a_long_sentence_is_found() -> None:
    text = "# Title\n\nShort one. " + "Word " * 41 + "\nend.\n\n* item\n  goes on.\n\n    code " + "x " * 50
    assert [len(s.split()) > MOST_WORDS for s in sentences(text)] == [False, False, True, False, False]


@each_page
def test_lines_are_short(page: Path) -> None:
    lines = without_print_outs(page.read_text(encoding="utf-8")).splitlines()
    assert [line for line in lines if len(line) > MOST_COLUMNS and not line.startswith("|")] == []


def test_only_print_outs_may_have_long_lines() -> None:
    text = "```python\ncode\n```\nprose\n\n```\nprinted\n```\n\nmore prose\n"
    assert without_print_outs(text).split() == ["```python", "code", "```", "prose", "more", "prose"]


@each_page
def test_the_commands_of_a_page_exist(page: Path) -> None:
    for line in commands(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True)[1:]
        parsed = build_parser(words).parse_args(words)  # exits at an unknown command or option
        assert isinstance(parsed, argparse.Namespace) and hasattr(parsed, "execute"), line


@each_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


@each_page
def test_the_configs_and_tools_of_a_page_exist(page: Path) -> None:
    named = re.findall(r"(?<![\w/])((?:configs|tools)/\w+\.py)\b", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_map_of_the_code_is_right() -> None:
    rooms = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Rules")[0]
    named = re.findall(r"`((?:toolbox|plugins|configs)/[\w/.]+)`", rooms)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_plugin_api_version_of_the_page_is_ours() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"`toolbox\.PLUGIN_API_VERSION` \((\d+) now\)", " ".join(page.split())) == [
        str(toolbox.PLUGIN_API_VERSION)
    ]
