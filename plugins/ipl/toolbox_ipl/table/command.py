"""``toolbox ipl table``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from toolbox.runs.terminal import show
from toolbox_ipl.published import ROWS
from toolbox_ipl.table.plan import LAMBDAS, METHODS, TARGETS, Budget

SUMMARY = "adapt the embedded generator by several methods, and judge"
_HELP = {
    "iterations": "of the generator",
    "prompting": "iterations of the prompts",
    "n_fake": "generated images that are judged",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    known = "; ".join(f"{name} = {words}" for name, words in METHODS.items())
    parser.description = (
        "Adapt the embedded generator of drawn portraits, judged by a network that no loss has seen; write "
        "FOLDER/table.md and FOLDER/table.json. What is done is kept: the same command goes on where it "
        "stopped. Some minutes a row and seed on one core. Nothing of it speaks of real CLIPs. Methods: "
        f"{known}; ipl@10 = IPL with lambda 10 (the paper tries {', '.join(LAMBDAS)})."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/ipl_table"), metavar="FOLDER")
    parser.add_argument(
        "--targets", nargs="+", choices=list(TARGETS), default=["watercolour", "pencil", "neon"]
    )
    parser.add_argument("--methods", nargs="+", default=["nada", "ipl"], metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N-1 (default: 3)")
    group = parser.add_argument_group("budget, equal for all rows")
    for field in fields(Budget):
        option, words = "--" + field.name.replace("_", "-"), f"{_HELP[field.name]} (default: %(default)s)"
        group.add_argument(option, type=int, default=field.default, metavar="N", help=words)
    only = parser.add_argument_group("what only the source can show, in place of it; FOLDER/source_only.md")
    words = (
        "do the target's prompts speak of colours, with each lambda? Prompts alone are learnt, of one target"
    )
    only.add_argument("--source-only", action="store_true", help=words)
    only.add_argument("--lambdas", nargs="+", type=float, default=[0, *map(float, LAMBDAS)], metavar="LAMBDA")
    paper = parser.add_argument_group("the paper's table in place of it; FOLDER/paper.md")
    paper.add_argument("--paper", action="store_true", help="its ten rows, trained by their configs")
    rows = [row.config for row in ROWS]
    paper.add_argument("--rows", nargs="+", choices=rows, default=rows, metavar="ROW", help=", ".join(rows))
    paper.add_argument(
        "--references",
        type=Path,
        default=Path("data/references"),
        metavar="FOLDER",
        help="SIFID's pictures of a row in FOLDER/ROW (default: %(default)s); the paper's are not published",
    )
    paper.add_argument("--quick", action="store_true", help="the configs' small version: no files needed")


def execute(arguments: argparse.Namespace) -> int:
    """Make the table, print it; returns the exit code.

    Raises:
        ValueError: for an unknown method, or a number out of its range.
        ConfigError: for a folder of another budget.
    """
    from toolbox.ranges import check_whole
    from toolbox_ipl.table.run import make

    check_whole(1, seeds=arguments.seeds)
    if arguments.paper:
        return _paper(arguments)
    if arguments.source_only:
        return _source_only(arguments)
    for method in arguments.methods:
        _check(method)
    budget = Budget(**{field.name: getattr(arguments, field.name) for field in fields(Budget)})
    show(make(arguments.folder, arguments.targets, arguments.methods, range(arguments.seeds), budget))
    return 0


def _paper(arguments: argparse.Namespace) -> int:
    from toolbox_ipl.table.paper import make_paper

    own = arguments
    show(make_paper(own.folder, own.rows, range(own.seeds), own.references, own.quick))
    return 0


def _source_only(arguments: argparse.Namespace) -> int:
    from toolbox_ipl.table.source_only import make_source_only

    own, target = arguments, arguments.targets[0]
    show(make_source_only(own.folder, own.lambdas, range(own.seeds), target, own.prompting))
    return 0


def _check(method: str) -> None:
    from toolbox.catalog import near_miss

    name, at, weight = method.partition("@")
    if name not in METHODS or (at and (name != "ipl" or not _is_number(weight))):
        known = ", ".join(METHODS)
        raise ValueError(f"method {method!r}{near_miss(name, METHODS)}; methods: {known}, ipl@LAMBDA")


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()
