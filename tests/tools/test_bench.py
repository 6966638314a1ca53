"""The table of benchmarks: its rows, and its place in the page."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_script", ROOT / "tools" / "bench.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAIR = dict(title="ours; theirs", ratio=0.5, quartiles=[0.4, 0.62], ours=0.0123, theirs=2.0)


def test_rows_of_pairs_and_of_paces(script: ModuleType) -> None:
    lines = script.table([PAIR, dict(title="BigGAN", images_per_second=12.4), dict(other=1)])
    assert "| ours; theirs | 0.50 | 0.40 to 0.62 | 12.3 ms | 2.00 s |" in lines
    assert lines[-1] == "| BigGAN | 12 |"
    assert script.table([PAIR]) == lines[:3]


def test_the_table_goes_between_the_markers(script: ModuleType) -> None:
    page = f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n"
    new = script.replaced(page, ["line"])
    assert new == f"before\n{script.BEGIN}\n\nline\n\n{script.END}\nafter\n"
    assert script.replaced(new, ["line"]) == new
    with pytest.raises(ValueError, match="once each"):
        script.replaced("no markers", ["line"])


def test_the_page_has_a_place_for_it(script: ModuleType) -> None:
    assert "new" in script.replaced(script.PAGE.read_text(encoding="utf-8"), ["new"])


def test_a_part_of_the_benchmarks_is_not_written(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        script.main(["--write", "-k", "klish"])
    assert "wants all benchmarks" in capsys.readouterr().err


def test_it_says_what_machine_it_was(script: ModuleType) -> None:
    (line,) = script.about()
    assert "torch" in line and "commit" in line
