"""``toolbox klish``: what the plugin adds to the command line. Heavy modules are imported when a command is called."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from toolbox_klish.cost import MACHINES
from toolbox_klish.published import GENERATORS


def add_commands(subparsers: Any) -> None:
    """Add ``klish`` with its own sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser("klish", help="clusters of generator features: tables and costs",
                                                            description="Clusters of generator features (KLiSH).")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_table(commands.add_parser("table", help="Table IV: k-means, KASP, AHC and KLiSH at equal numbers of clusters"))
    _add_cost(commands.add_parser("cost", help="memory and time that a fit would take, by a model"))


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="npz file with fit (N, D), test (I, ..., D), truth (I, ...); default: a drawn set")
    parser.add_argument("--clusters", type=int, nargs="+", default=[6, 8], help="numbers of clusters to compare at")
    parser.add_argument("--first", type=int, default=30, help="clusters that KLiSH and KASP start from (paper: 100)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="one run of everything for each")
    parser.add_argument("--rows", type=int, default=2000, help="rows that AHC clusters")
    parser.add_argument("--C", type=float, default=5000.0, help="weight of the hinge")
    parser.add_argument("--filter-sigma", type=float, default=1.0, help="of KLiSH's filter; below 0: no filter")
    parser.add_argument("--paper", choices=GENERATORS, help="print the paper's rows for this generator beside ours")
    parser.add_argument("--out", type=Path, default=Path("runs/klish_table"), help="folder for table.md and table.json")
    parser.set_defaults(execute=_table)


def _add_cost(parser: argparse.ArgumentParser) -> None:
    """The defaults are the paper's size."""
    parser.add_argument("--rows", type=int, default=256 * 256 * 256, help="pixels (paper: 256 images of 256 x 256)")
    parser.add_argument("--width", type=int, default=992, help="channels (paper: 496 to 992)")
    parser.add_argument("--first", type=int, default=100, help="first clusters (paper: 100)")
    parser.add_argument("--bytes-each", type=int, choices=(2, 4), default=2, help="of a stored feature")
    parser.add_argument("--gpu", choices=tuple(MACHINES), default="h100", help="what it would run on")
    parser.set_defaults(execute=_cost)


def _table(arguments: argparse.Namespace) -> int:
    from toolbox_klish.table import execute

    return execute(arguments)


def _cost(arguments: argparse.Namespace) -> int:
    from toolbox_klish.cost import execute

    return execute(arguments)
