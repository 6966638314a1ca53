"""``toolbox compare RUN RUN ...``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolbox.cli.common import add_device_argument, add_plugin_argument, device_of, load_plugins
from toolbox.runs.terminal import show

if TYPE_CHECKING:
    from toolbox.training.game.sampler import Sampler


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run's folder or a checkpoint; NAME=RUN gives the row a name"
    )
    parser.add_argument("-o", "--out", default="comparison.png", help="the picture (default comparison.png)")
    parser.add_argument("--columns", type=int, default=10, help="latents and conditions to show")
    parser.add_argument("--seed", type=int, default=0, help="of the latents")
    add_device_argument(parser)
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rows = runs, columns = the same latents and conditions; prints the picture's path."""
    load_plugins(arguments)
    from toolbox.loading import load_run
    from toolbox.visual.compare import compare

    device = device_of(arguments)
    samplers: dict[str, Sampler] = {}
    details: dict[str, dict[str, object]] = {}
    for name, path in _named(arguments.runs).items():
        samplers[name] = load_run(path, seed=arguments.seed, device=device)
        details[name] = dict(path=path, iteration=int(samplers[name].game.iteration))
    show(compare(samplers, arguments.out, columns=arguments.columns, details=details))
    return 0


def _named(runs: Sequence[str]) -> dict[str, str]:
    """{name of the row: path}; runs of one name are told apart by a number."""
    named: dict[str, str] = {}
    for text in runs:
        name, _, path = text.rpartition("=")
        name = name or Path(path).name
        taken = sum(other == name or other.startswith(f"{name} (") for other in named)
        named[f"{name} ({taken + 1})" if taken else name] = path
    return named
