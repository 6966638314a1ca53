"""``toolbox test RUN``, or ``toolbox test CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolbox.cli.common import (
    add_config_options,
    add_device_argument,
    add_launcher_arguments,
    device_of,
    joined,
    load_plugins,
    read_options,
)
from toolbox.runs.terminal import show

if TYPE_CHECKING:
    from mmengine import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument(
        "run", metavar="RUN", help="a run's folder (its newest checkpoint), a checkpoint in one, or a release"
    )
    parser.add_argument(
        "checkpoint", nargs="?", help="then RUN stands for a config, which this checkpoint is measured by"
    )
    add_config_options(parser)
    parser.add_argument(
        "--n", "--n-fake", dest="n_fake", type=int, help="generated images; it is part of a metric's protocol"
    )
    parser.add_argument(
        "--bn", choices=("running", "batch", "standing"), help="how BatchNorm generators are evaluated"
    )
    parser.add_argument(
        "--truncation", type=float, metavar="PSI", help="in (0, 1]: images of less variety, said in the names"
    )
    add_device_argument(parser)
    add_launcher_arguments(parser)
    _take_the_second_word(parser)


def _take_the_second_word(parser: Any) -> None:
    """Also after options: argparse gives up an optional word at the first option."""
    parse = parser.parse_known_args

    def with_the_second(words: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, Sequence[str]]:
        parsed, left = parse(words, namespace)
        if parsed.checkpoint is None and len(left) == 1 and not left[0].startswith("-"):
            parsed.checkpoint = left.pop()
        return parsed, left

    parser.parse_known_args = with_the_second


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table, append to ``metrics.jsonl`` beside the checkpoint."""
    load_plugins(arguments)
    from toolbox import ranks
    from toolbox.pipeline import evaluate_run
    from toolbox.training.evaluation.measure import table

    config = _config(arguments)
    said = dict(n_fake=arguments.n_fake, bn=arguments.bn, truncation=arguments.truncation)
    changes = {key: value for key, value in said.items() if value is not None}
    with joined(arguments):
        measured = arguments.checkpoint or arguments.run
        results = evaluate_run(measured, config, device=device_of(arguments), **changes)
        if ranks.is_main():
            show(table(results))
    return 0


def _config(arguments: argparse.Namespace) -> Config | None:
    """The config that was named; else None, the run's own, or that one with --cfg-options."""
    from toolbox.config import ConfigError, load_config

    options = read_options(arguments.cfg_options)
    if arguments.checkpoint is not None:
        return load_config(arguments.run, arguments.quick, options)
    if arguments.quick:
        raise ConfigError("--quick belongs to a config: what a run keeps says already whether it was quick")
    if not options:
        return None
    from toolbox.loading import config_of

    return config_of(arguments.run, options)
