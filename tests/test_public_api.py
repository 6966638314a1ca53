"""docs/api.md lists what plugins may import; ours, and those that new-plugin writes, import nothing else."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import toolbox
from toolbox.cli.new_plugin import write_plugin

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## What is not in it")[0]
PUBLIC = re.findall(r"^\| `(toolbox[\w.]*(?:\.\*)?)` \|", TABLE, re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
OUR_FILES = sorted(ROOT.glob("plugins/*/toolbox_*/**/*.py"))
OUR_MODULES = [file for file in OUR_FILES if "configs" not in file.parts]


def is_public(module: str) -> bool:
    for entry in PUBLIC:
        package = entry.removesuffix(".*")
        inside = entry.endswith(".*") and module.startswith(f"{package}.")
        if module == package or inside:
            return True
    return False


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False


def of_toolbox(module: str) -> bool:
    return module.split(".")[0] == "toolbox"


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name taken from it or '') of every import of the toolbox, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if of_toolbox(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level and of_toolbox(node.module or ""):
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, "") if is_module(inner) else (node.module, alias.name)


def attributes(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """('toolbox', name) of every ``toolbox.name`` in the code."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "toolbox"
        ):
            yield "toolbox", node.attr


def faults(source: str) -> list[str]:
    """What ``source`` uses of the toolbox that is not public."""
    tree = ast.parse(source)
    found = []
    for module, name in [*imports(tree), *attributes(tree)]:
        private = name.startswith("_") or not is_public(module)
        unlisted = module == "toolbox" and name not in ("", *toolbox.__all__)
        if private or unlisted:
            found.append(f"{module}: {name}" if name else module)
    return found


@pytest.mark.parametrize("file", OUR_MODULES, ids=lambda file: file.relative_to(ROOT / "plugins").as_posix())
def test_our_plugins_import_what_is_public(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) == []


def test_a_new_plugin_imports_what_is_public(tmp_path: Path) -> None:
    files = sorted(write_plugin("my_paper", tmp_path).rglob("*.py"))
    found = {file.name: faults(file.read_text(encoding="utf-8")) for file in files}
    assert len(found) >= 5
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_code_of_the_pages_uses_what_is_public(page: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)\n```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [fault for block in blocks for fault in faults(block)] == []


@pytest.mark.parametrize("entry", PUBLIC)
def test_what_is_public_imports(entry: str) -> None:
    module = importlib.import_module(entry.removesuffix(".*"))
    if entry.endswith(".*"):
        for found in pkgutil.walk_packages(module.__path__, f"{module.__name__}."):
            importlib.import_module(found.name)


def test_every_public_name_of_toolbox_is_there() -> None:
    assert [name for name in toolbox.__all__ if getattr(toolbox, name, None) is None] == []


@pytest.mark.parametrize(
    "source",
    [
        "import toolbox.training.game.game",
        "from toolbox import builtin",
        "from toolbox.cli import main",
        "from toolbox.registry import _hidden",
        "def late():\n    from toolbox.training.stages import anything",
        "import toolbox\ntoolbox.plugins.host()",
        "from toolbox.metrics import FID",
    ],
)
def test_what_is_not_public_is_found(source: str) -> None:
    assert len(faults(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import toolbox\ntoolbox.build(dict(type='FID'))",
        "from toolbox import hookimpl, ranks",
        "from toolbox.data import base",
        "from toolbox.metrics.functional import frechet",
        "import toolbox_other",
    ],
)
def test_what_is_public_is_let_through(source: str) -> None:
    assert faults(source) == []
