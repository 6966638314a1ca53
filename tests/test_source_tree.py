"""Plugins of a source tree are found without being installed."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from toolbox.source_tree import SourceFinder, linked_folder, use_source_tree

SETUP = """
[metadata]
name = toolbox-made-up
version = 1.2.3
[options.entry_points]
toolbox.plugins =
    made_up = toolbox_made_up
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plugins" / "made_up"
    (folder / "toolbox_made_up").mkdir(parents=True)
    (folder / "toolbox_made_up" / "__init__.py").write_text("loaded = True\n")
    (folder / "setup.cfg").write_text(SETUP)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if not isinstance(f, SourceFinder)])
    monkeypatch.delitem(sys.modules, "toolbox_made_up", raising=False)
    return tmp_path


def test_an_uninstalled_plugin_is_found_and_loads(tree: Path) -> None:
    use_source_tree(tree)
    (point,) = [p for p in metadata.entry_points(group="toolbox.plugins") if p.name == "made_up"]
    assert point.load().loaded
    assert (point.dist.name, point.dist.version) == ("toolbox-made-up", "1.2.3")
    assert metadata.version("toolbox_made_up") == "1.2.3"


def test_an_installed_distribution_goes_first(tree: Path) -> None:
    installed = tree / "site" / "toolbox_made_up-9.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: toolbox-made-up\nVersion: 9.0\n")
    (installed / "entry_points.txt").write_text("[toolbox.plugins]\nmade_up = toolbox_made_up\n")
    sys.path.insert(0, str(installed.parent))
    use_source_tree(tree)
    points = [p for p in metadata.entry_points(group="toolbox.plugins") if p.name == "made_up"]
    assert [p.dist.version for p in points] == ["9.0"]


def test_a_second_call_changes_nothing(tree: Path) -> None:
    use_source_tree(tree)
    before = list(sys.path), list(sys.meta_path)
    use_source_tree(tree)
    assert (sys.path, sys.meta_path) == before


def test_a_link_that_git_could_not_make_is_followed(tmp_path: Path) -> None:
    """On Windows and in some archives it is a text file that holds the target."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "package").mkdir()
    link = tmp_path / "package" / "configs"
    assert linked_folder(link) == link  # nothing is there
    link.write_text("../configs")
    assert linked_folder(link).resolve() == (tmp_path / "configs").resolve()
    link.unlink()
    link.mkdir()
    assert linked_folder(link) == link
