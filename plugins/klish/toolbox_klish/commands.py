"""``toolbox klish``: what the plugin adds to the command line. Heavy modules are imported when a command is
called.
"""

from __future__ import annotations

import argparse
from typing import Any

from toolbox_klish.cost import MACHINES
from toolbox_klish.look_commands import add_look_commands
from toolbox_klish.table.command import add_arguments


def add_commands(subparsers: Any) -> None:
    """Add ``klish`` with its own sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "klish",
        help="clusters of generator features: fits, pictures, tables",
        description="Clusters of generator features (KLiSH).",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_fit(
        commands.add_parser(
            "fit", help="cluster the features of a generator as a config says, and draw the clusters"
        )
    )
    table = commands.add_parser(
        "table", help="Table IV: k-means, KASP, AHC and KLiSH at equal numbers of clusters"
    )
    add_arguments(table)
    table.set_defaults(execute=_table)
    add_look_commands(commands)
    _add_cost(commands.add_parser("cost", help="memory and time that a fit would take, by a model"))


def _add_fit(parser: argparse.ArgumentParser) -> None:
    from toolbox.cli.common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("--work-dir", help="the run's folder (default runs/<config>)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run of this folder: fit what is missing"
    )
    parser.add_argument("--no-pictures", action="store_true", help="skip the pictures at the end")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, what it takes, and stop"
    )
    parser.set_defaults(execute=_fit)


def _add_cost(parser: argparse.ArgumentParser) -> None:
    """The defaults are the paper's size."""
    parser.add_argument(
        "--rows", type=int, default=256 * 256 * 256, help="pixels (paper: 256 images of 256 x 256)"
    )
    parser.add_argument("--width", type=int, default=992, help="channels (paper: 496 to 992)")
    parser.add_argument("--first", type=int, default=100, help="first clusters (paper: 100)")
    parser.add_argument("--bytes-each", type=int, choices=(2, 4), default=2, help="of a stored feature")
    parser.add_argument("--gpu", choices=tuple(MACHINES), default="h100", help="what it would run on")
    parser.set_defaults(execute=_cost)


def _fit(arguments: argparse.Namespace) -> int:
    """The folder, or its report, is the last line."""
    from toolbox.cli.common import read_options
    from toolbox_klish.runs.fitting import fit, planned

    options = read_options(arguments.cfg_options)
    if arguments.dry_run:
        from toolbox_klish.runs.plan import describe

        print(
            describe(
                planned(arguments.config, arguments.work_dir, arguments.quick, options, arguments.plugin)
            )
        )
        return 0
    folder = fit(
        arguments.config,
        arguments.work_dir,
        arguments.quick,
        arguments.resume,
        options,
        arguments.plugin,
        pictures=not arguments.no_pictures,
    )
    print(folder / "report.html" if (folder / "report.html").is_file() else folder)
    return 0


def _table(arguments: argparse.Namespace) -> int:
    from toolbox_klish.table.command import execute

    return execute(arguments)


def _cost(arguments: argparse.Namespace) -> int:
    from toolbox_klish.cost import execute

    return execute(arguments)
