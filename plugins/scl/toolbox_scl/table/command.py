"""``toolbox scl table``: DAMSM and four small GANs with every label loss, on the embedded emoji."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from toolbox.runs.terminal import show
from toolbox_scl.table.plan import PARTS, Budget

_HELP = {
    "pretraining": "iterations of DAMSM",
    "iterations": "iterations of a GAN",
    "pretraining_batch": "items of each of both branches, of DAMSM",
    "batch": "the same of a GAN",
    "n_fake": "generated images that are judged",
    "rate": "factor of the configs' learning rates in the GAN phase",
}


def add_commands(subparsers: Any) -> None:
    """Add ``scl`` with its own sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "scl",
        help="tables of label losses, on embedded data",
        description="Supervised contrast of images and captions (SCL).",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    summary = "DAMSM and four small GANs with and without label losses"
    command = commands.add_parser("table", help=summary, description=_DESCRIPTION)
    _add_arguments(command)
    command.set_defaults(execute=execute)


_DESCRIPTION = (
    "Train and judge every label loss at an equal budget on the embedded emoji; write FOLDER/table.md and "
    "FOLDER/table.json. What is done is kept: the same command goes on where it stopped. Hours on one core."
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("runs/scl_table"),
        metavar="FOLDER",
        help="of runs and tables (default: %(default)s)",
    )
    parser.add_argument(
        "--part", nargs="+", dest="parts", choices=PARTS, default=list(PARTS), help="tables (default: all)"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="runs of each row, seeds 0 to N-1 (default: 3)"
    )
    group = parser.add_argument_group("budget, equal for all rows")
    for field in fields(Budget):
        kind = float if field.name == "rate" else int
        option = "--" + field.name.replace("_", "-")
        words = f"{_HELP[field.name]} (default: %(default)s)"
        group.add_argument(option, type=kind, default=field.default, metavar="N", help=words)


def execute(arguments: argparse.Namespace) -> int:
    """Make the tables, print them; returns the exit code.

    Raises:
        ValueError: for a number out of its range.
        ConfigError: for a folder of another budget.
    """
    from toolbox.ranges import check_whole
    from toolbox_scl.table.run import make

    check_whole(1, seeds=arguments.seeds)
    budget = Budget(**{field.name: getattr(arguments, field.name) for field in fields(Budget)})
    tables = make(arguments.folder, arguments.parts, range(arguments.seeds), budget)
    show(tables.markdown())  # the command's answer
    return 0
