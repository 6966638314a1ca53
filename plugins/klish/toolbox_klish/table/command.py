"""``toolbox klish table``: of a clustering run, or of features at hand."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.runs.terminal import show
from toolbox_klish.table.published import GENERATORS

if TYPE_CHECKING:
    from toolbox_klish.table.table import Table

#: What the command takes where no run is named, with the defaults; a run has its own.
OF_FEATURES: dict[str, Any] = dict(data=None, first=30, rows=2000, C=5000.0, filter_sigma=1.0)
OF_RUNS = ("images", "seed", "size")


#: Options that are not called as their settings.
_OPTIONS = dict(images="--test-images", data="--features", rows="--ahc-rows", seeds="--fits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="folder of a clustering run with a truth; none: features at hand",
    )
    parser.add_argument(
        "--clusters",
        type=int,
        nargs="+",
        help="numbers of clusters to compare at (default: the run's, or 6 8)",
    )
    parser.add_argument(
        "--fits",
        type=int,
        nargs="+",
        dest="seeds",
        metavar="SEED",
        help="which, by their seeds (default: all of the run, or 0 1 2 3 4)",
    )
    parser.add_argument(
        "--paper",
        choices=GENERATORS,
        help="print the paper's rows for this generator beside ours "
        "(default: the one that the run's title names)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for table.md and table.json (default: RUN/tables, or runs/klish_table)",
    )
    of_runs = parser.add_argument_group("with RUN")
    of_runs.add_argument(
        "--test-images", type=int, dest="images", help="new images to judge on (200; paper: 10,000)"
    )
    of_runs.add_argument("--seed", type=int, help="of these images (2022)")
    of_runs.add_argument(
        "--size", type=int, help="pixels of a side to judge at (the images' own, at most the run's)"
    )
    of_features = parser.add_argument_group("without RUN")
    of_features.add_argument(
        "--features",
        dest="data",
        help="npz file with fit (N, D), test (I, ..., D), truth (I, ...); default: a drawn set",
    )
    of_features.add_argument(
        "--first", type=int, help="clusters that KLiSH and KASP start from (30; paper: 100)"
    )
    of_features.add_argument("--ahc-rows", type=int, dest="rows", help="rows that AHC clusters (2000)")
    of_features.add_argument("--C", type=float, help="weight of the hinge (5000)")
    of_features.add_argument("--filter-sigma", type=float, help="of KLiSH's filter (1); below 0: no filter")


def execute(arguments: argparse.Namespace) -> int:
    """Make the table, print and write it; returns the exit code.

    Raises:
        ConfigError, ValueError: for what cannot be judged.
    """
    _check_options(arguments)
    if arguments.run:
        table = _of_run(arguments)
        folder = Path(arguments.run) / "tables"
    else:
        table = _of_features(arguments)
        folder = Path("runs/klish_table")
    table.write(arguments.out or folder)
    show(table.markdown())  # the command's answer
    return 0


def _check_options(arguments: argparse.Namespace) -> None:
    """Some options go with a run only, others without one only."""
    foreign = OF_FEATURES if arguments.run else OF_RUNS
    given = [name for name in foreign if getattr(arguments, name) is not None]
    if not given:
        return
    option = _OPTIONS.get(given[0], "--" + given[0].replace("_", "-"))
    if arguments.run:
        raise ValueError(f"{option} goes without a run: a run was fitted with its own settings; leave it out")
    raise ValueError(f"{option} goes with a run: name its folder, toolbox klish table RUN {option} ...")


def _of_run(arguments: argparse.Namespace) -> Table:
    from toolbox_klish.runs.run import ClusterRun
    from toolbox_klish.table.run import IMAGES, SEED, judge

    images = IMAGES if arguments.images is None else arguments.images
    seed = SEED if arguments.seed is None else arguments.seed
    given = {name: getattr(arguments, name) for name in ("clusters", "seeds", "size", "paper")}
    return judge(ClusterRun.open(arguments.run), images, seed, **given)


def _of_features(arguments: argparse.Namespace) -> Table:
    from toolbox_klish.runs.settings import check_seed
    from toolbox_klish.table.features import drawn, fit_all, read_data
    from toolbox_klish.table.table import Table

    chosen = {name: getattr(arguments, name) for name in OF_FEATURES}
    given = {name: OF_FEATURES[name] if value is None else value for name, value in chosen.items()}
    data = read_data(given["data"]) if given["data"] else drawn()
    sigma = given["filter_sigma"] if given["filter_sigma"] >= 0 else None
    settings = dict(C=given["C"], filter_sigma=sigma)
    seeds = arguments.seeds or [0, 1, 2, 3, 4]
    for seed in seeds:
        check_seed(seed, "--fits")
    results = fit_all(data, arguments.clusters or [6, 8], given["first"], seeds, given["rows"], settings)
    details = dict(data=data.name, first=given["first"], seeds=seeds, ahc_rows=given["rows"], **settings)
    return Table(f"Clusters of {data.name}", results, paper=arguments.paper, details=details)
