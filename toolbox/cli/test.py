"""``toolbox test CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse

from toolbox.cli.common import (
    add_config_arguments,
    add_device_argument,
    add_launcher_arguments,
    device_of,
    joined,
    load_plugins,
    read_options,
)
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    add_config_arguments(parser)
    parser.add_argument("checkpoint", help="a checkpoint, or a run's folder (its newest one)")
    parser.add_argument("--n-fake", type=int, help="generated images; it is part of a metric's protocol")
    parser.add_argument(
        "--bn", choices=("running", "batch", "standing"), help="how BatchNorm generators are evaluated"
    )
    add_device_argument(parser)
    add_launcher_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table, append to ``metrics.jsonl`` beside the checkpoint."""
    load_plugins(arguments)
    from toolbox import ranks
    from toolbox.config import load_config
    from toolbox.pipeline import evaluate_run
    from toolbox.training.evaluation.measure import table

    config = load_config(arguments.config, arguments.quick, read_options(arguments.cfg_options))
    said = dict(n_fake=arguments.n_fake, bn=arguments.bn)
    changes = {key: value for key, value in said.items() if value is not None}
    with joined(arguments):
        results = evaluate_run(arguments.checkpoint, config, device=device_of(arguments), **changes)
        if ranks.is_main():
            show(table(results))
    return 0
