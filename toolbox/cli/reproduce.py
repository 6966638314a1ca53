"""``toolbox reproduce RUN``."""

from __future__ import annotations

import argparse

from toolbox.runs.terminal import complain, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("run", help="the folder of a finished run")
    parser.add_argument("--work-dir", help="where the second run is kept (default RUN-again)")
    parser.add_argument(
        "--allow-data", action="store_true", help="go on with other training data (fingerprints differ)"
    )
    parser.add_argument("--no-evaluation", action="store_true", help="compare weights only")


def run(arguments: argparse.Namespace) -> int:
    """Play it again and compare: exit code 0 when weights and metrics are the same, else 1."""
    from toolbox.pipeline import reproduce

    found = reproduce(
        arguments.run,
        arguments.work_dir,
        allow_data=arguments.allow_data,
        evaluate=not arguments.no_evaluation,
    )
    show("\n".join(found.lines))
    if found.differing:
        complain(f"not the same: {len(found.differing)} of the compared values differ")
        return 1
    show("the same")
    return 0
