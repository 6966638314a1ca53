"""What the documentation imports from the plugin is there under that name."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "plugins" / "klish" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
NAMED = {name for file in DOCUMENTS for name in re.findall(r"\btoolbox_klish(?:\.\w+)+", file.read_text())}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_name_in_the_documentation(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("toolbox_klish.runs", "ClusterRun"),
        ("toolbox_klish.segment", "segment"),
        ("toolbox_klish.segment", "score_maps"),
        ("toolbox_klish.storage", "save_features"),
        ("toolbox_klish.pictures", "draw_tree"),
        ("toolbox_klish.pictures", "draw_iou"),
    ],
)
def test_a_name_that_is_imported_from_a_module(module: str, name: str) -> None:
    assert callable(getattr(importlib.import_module(module), name))


def test_the_documentation_names_something() -> None:
    assert {"toolbox_klish.segment", "toolbox_klish.storage.save_features"} <= NAMED
