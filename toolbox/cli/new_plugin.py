"""``toolbox new-plugin NAME``: a folder with a plugin that works."""

from __future__ import annotations

import argparse
import keyword
import re
from pathlib import Path
from string import Template

import toolbox
from toolbox.plugins import host
from toolbox.runs.terminal import show

TEMPLATES = Path(__file__).parent / "templates"

#: template -> where it goes in the plugin's folder.
FILES = {
    "setup.cfg.in": "setup.cfg",
    "pyproject.toml.in": "pyproject.toml",
    "README.md.in": "README.md",
    "init.py.in": "toolbox_$name/__init__.py",
    "feature_matching.py.in": "toolbox_$name/feature_matching.py",
    "config.py.in": "toolbox_$name/configs/cifar.py",
    "conftest.py.in": "tests/conftest.py",
    "test_plugin.py.in": "tests/test_$name.py",
}


class NewPluginError(ValueError):
    """A plugin that cannot be written; the message names the reason and the remedy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    name_help = "short and lower-case, such as my_paper; the package will be toolbox_my_paper"
    into_help = "where to put the plugin's folder; default plugins/ of a source tree, else here"
    parser.add_argument("name", help=name_help)
    parser.add_argument("--into", metavar="FOLDER", help=into_help)


def run(arguments: argparse.Namespace) -> int:
    """Write it, and say what to do next."""
    folder = write_plugin(arguments.name, arguments.into)
    show(
        f"{folder}\nnext:\n  pip install -e {folder}\n  python -m pytest {folder}\n"
        f"  toolbox train {arguments.name}/cifar --quick"
    )
    return 0


def write_plugin(name: str, into: str | Path | None = None) -> Path:
    """Write the plugin ``name`` into ``into/name``.

    Raises:
        NewPluginError: for a name that is no package name, a keyword or taken, or a folder that exists.
    """
    check_name(name)
    folder = (_default_folder() if into is None else Path(into)) / name
    if folder.exists():
        raise NewPluginError(f"{folder} exists already: choose another name, or another place with --into")
    words = _words(name)
    for template, target in FILES.items():
        file = folder / Template(target).substitute(words)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
        file.write_text(text, encoding="utf-8")
    return folder


def check_name(name: str) -> None:
    """Raise NewPluginError unless ``name`` can be a plugin's name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        mended = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")
        hint = f", such as {mended!r}" if mended else ""
        raise NewPluginError(
            f"plugin name {name!r} must be lower-case letters, digits and underscores, a letter first{hint}"
        )
    if keyword.iskeyword(name) or name in ("test", "tests"):
        raise NewPluginError(
            f"plugin name {name!r} is a word of Python or of its tools: choose another, "
            f"such as {name + '_paper'!r}"
        )
    taken = {record.name: record for record in host().records}
    if name in taken:
        raise NewPluginError(
            f"plugin name {name!r} is taken by {taken[name].distribution or taken[name].source}; "
            f"taken names: {', '.join(taken)}"
        )


def _words(name: str) -> dict[str, str]:
    major, minor = toolbox.__version__.split(".")[:2]
    return dict(
        name=name,
        dashed=name.replace("_", "-"),
        Name="".join(part.capitalize() for part in name.split("_")),
        versions=f">={major}.{minor},<{major}.{int(minor) + 1}",
        api=str(toolbox.PLUGIN_API_VERSION),
    )


def _default_folder() -> Path:
    here = Path.cwd()
    return here / "plugins" if (here / "plugins").is_dir() and (here / "toolbox").is_dir() else here
