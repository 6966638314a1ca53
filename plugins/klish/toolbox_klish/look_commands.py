"""``toolbox klish draw``, ``name`` and ``toy``: what is looked at, and what it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_look_commands(commands: Any) -> None:
    """Add the commands that draw and name."""
    for name, summary, arguments, execute in (
        (
            "draw",
            "every picture of a clustering run, and its report; several runs: side by side",
            _draw_arguments,
            _draw,
        ),
        ("name", "show the clusters of a run, give them names and merge them", _name_arguments, _name),
        ("toy", "three sets in the plane under four algorithms (Fig. 2)", _toy_arguments, _toy),
    ):
        parser = commands.add_parser(name, help=summary)
        add: Callable[[argparse.ArgumentParser], None] = arguments
        add(parser)
        parser.set_defaults(execute=execute)


def _draw_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders of `toolbox klish fit`; several: a generator each"
    )
    parser.add_argument("--k", type=int, nargs="+", help="numbers of clusters (default: those of the config)")
    parser.add_argument("--samples", type=int, help="images a picture (default: as the config says)")
    parser.add_argument("--seed", type=int, help="which fit is shown (default: the run's first)")
    parser.add_argument(
        "--out",
        type=Path,
        help="another folder for pictures and report (default: the run's; for several runs "
        "runs/klish_generators)",
    )
    parser.add_argument("--device", help="where the generator runs (default: as the config says)")


def _name_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="folder of `toolbox klish fit`")
    parser.add_argument(
        "--set",
        metavar="NAME=NUMBERS",
        nargs="+",
        default=[],
        help="clusters that have a name: hair=0,3 skin=1; several are merged; 'hair=' drops a name",
    )
    parser.add_argument("--device", help="where the generator runs (default: as the config says)")


def _toy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/klish_toy.png"), help="PNG to write")
    parser.add_argument("--seed", type=int, default=0, help="of the points and of k-means")
    parser.add_argument("--first", type=int, default=8, help="clusters that KLiSH and KASP start from")


def _draw(arguments: argparse.Namespace) -> int:
    """The path of the report is the last line."""
    from toolbox_klish.runs.report import draw_run, draw_runs
    from toolbox_klish.runs.run import ClusterRun

    runs = [ClusterRun.open(folder, arguments.device) for folder in arguments.runs]
    chosen = dict(numbers=arguments.k, samples=arguments.samples, seed=arguments.seed)
    if len(runs) == 1:
        print(draw_run(runs[0], out=arguments.out, **chosen))
    else:
        print(draw_runs(runs, arguments.out or Path("runs/klish_generators"), **chosen))
    return 0


def _name(arguments: argparse.Namespace) -> int:
    from toolbox_klish.runs.naming import parse_setting
    from toolbox_klish.runs.report import show_clusters
    from toolbox_klish.runs.run import ClusterRun

    settings = [parse_setting(text) for text in arguments.set]
    print("\n".join(show_clusters(ClusterRun.open(arguments.run, arguments.device), settings)))
    return 0


def _toy(arguments: argparse.Namespace) -> int:
    from toolbox_klish.pictures import draw_toy
    from toolbox_klish.runs.settings import check_seed

    check_seed(arguments.seed, "--seed")
    path, scores = draw_toy(arguments.out, arguments.seed, arguments.first)
    print("adjusted Rand index: " + ", ".join(f"{name} {score:.2f}" for name, score in scores.items()))
    print(path)
    return 0
