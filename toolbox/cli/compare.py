"""``toolbox compare RUN RUN ...``."""

from __future__ import annotations

import argparse

from toolbox.cli.common import add_device_argument, device_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder or a checkpoint; NAME=RUN gives the row a name")
    parser.add_argument("-o", "--out", default="comparison.png", help="the picture (default comparison.png)")
    parser.add_argument("--columns", type=int, default=10, help="latents and conditions to show")
    parser.add_argument("--seed", type=int, default=0, help="of the latents")
    add_device_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rows = runs, columns = the same latents and conditions; prints the picture's path."""
    from toolbox.release import load_run
    from toolbox.visual.compare import compare

    named = dict(_named(text) for text in arguments.runs)
    samplers = {name: load_run(path, seed=arguments.seed, device=device_of(arguments)) for name, path in named.items()}
    details = {name: dict(run=path, iteration=int(samplers[name].game.iteration)) for name, path in named.items()}
    print(compare(samplers, arguments.out, columns=arguments.columns, details=details))
    return 0


def _named(text: str) -> tuple[str, str]:
    name, _, path = text.rpartition("=")
    return (name or path.rstrip("/").split("/")[-1], path)
