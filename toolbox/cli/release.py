"""``toolbox release RUN -o NAME.safetensors``: a trained run as two small files."""

from __future__ import annotations

import argparse

from toolbox.cli.common import add_plugin_argument, load_plugins
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("run", help="a run's folder (its newest checkpoint), or a checkpoint in one")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="NAME.safetensors",
        help="what to write; a card (NAME.json) comes beside it",
    )
    parser.add_argument("--licence", default="", help="of the weights, for the card")
    parser.add_argument("--force", action="store_true", help="write over files that are there")
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write both files, and print their paths."""
    load_plugins(arguments)
    from toolbox.loading import export
    from toolbox.weights.card import card_path

    out = export(arguments.run, arguments.out, licence=arguments.licence, replace=arguments.force)
    show(f"{out}\n{card_path(out)}")
    return 0
