"""``toolbox explain CONFIG``."""

from __future__ import annotations

import argparse

from toolbox.cli.common import add_config_arguments, load_plugins, read_options
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one iteration."""
    load_plugins(arguments)
    from toolbox.config import load_config
    from toolbox.training.explain.iteration import explain

    show(explain(load_config(arguments.config, arguments.quick, read_options(arguments.cfg_options))))
    return 0
