"""``toolbox configs``: every config with one line."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Mapping
from pathlib import Path

from toolbox.plugins import host


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List them: name, first line of the file, and its path."""
    found = {name: (_summary(path), str(path)) for name, path in sorted(_once(host().configs()).items())}
    if arguments.json:
        print(
            json.dumps(
                {name: dict(summary=summary, path=path) for name, (summary, path) in found.items()}, indent=2
            )
        )
        return 0
    width = max((len(name) for name in found), default=0)
    for name, (summary, _) in found.items():
        print(f"{name:<{width}}  {summary}")
    return 0


def _once(configs: Mapping[str, Path]) -> dict[str, Path]:
    """Each file once: under its plugin's name where a plugin and the core's checkout both list it."""
    names: dict[Path, str] = {}
    for name, path in configs.items():
        if path.resolve() not in names or names[path.resolve()].startswith("toolbox/"):
            names[path.resolve()] = name
    return {name: configs[name] for name in names.values()}


def _summary(path: Path) -> str:
    """The docstring's first line, read without running the file."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
    except SyntaxError as error:
        return f"(does not parse: {error})"
    return text.strip().splitlines()[0] if text else ""
