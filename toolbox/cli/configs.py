"""``toolbox configs``: every config with one line."""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path

from toolbox.plugins import host
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List them: name, first line of the file, and its path."""
    paths = dict(sorted(host().configs().items()))
    summaries = {name: _summary(path) for name, path in paths.items()}
    if arguments.json:
        listed = {name: dict(summary=summaries[name], path=str(path)) for name, path in paths.items()}
        show(json.dumps(listed, indent=2))
        return 0
    width = max((len(name) for name in paths), default=0)
    for name, summary in summaries.items():
        show(f"{name:<{width}}  {summary}")
    return 0


def _summary(path: Path) -> str:
    """The docstring's first line, read without running the file."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    except SyntaxError as error:
        return f"(does not parse: {error})"
    return text.strip().splitlines()[0] if text else ""
