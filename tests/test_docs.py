"""The guides say what is true: their code runs, their files are those that are written, their tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from toolbox.catalog import KINDS
from toolbox.cli.new_plugin import write_plugin

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
TRAPS = (ROOT / "docs" / "mmengine.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`([\w./]+\.py)`:\n\n```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", [name for name, _ in FILE.findall(GUIDE)])
def test_the_guide_shows_what_new_plugin_writes(name: str, tmp_path: Path) -> None:
    folder = write_plugin("my_paper", tmp_path)
    assert dict(FILE.findall(GUIDE))[name] == (folder / name).read_text().rstrip()


def test_the_code_of_the_guide_runs() -> None:
    namespace: dict[str, object] = {}
    blocks = BLOCK.findall(FILE.sub("", GUIDE))
    for block in blocks:
        exec(compile(block, "docs/plugins.md", "exec"), namespace)
    assert len(blocks) == 4 and "clusterer" in namespace


def test_the_guide_names_every_kind_and_every_check() -> None:
    import toolbox.testing

    assert all(f"`{kind}`" in GUIDE for kind in KINDS)
    assert all(name in GUIDE for name in toolbox.testing.__all__ if name.startswith("check_"))


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
