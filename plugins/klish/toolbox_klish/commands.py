"""``toolbox klish``: what the plugin adds to the command line.

Heavy modules are imported when a command is called.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.runs.terminal import show
from toolbox_klish import cost
from toolbox_klish.lse import command as lse_command
from toolbox_klish.pairs import command as pairs_command
from toolbox_klish.separability import command as separability_command
from toolbox_klish.table import command as table_command
from toolbox_klish.ufgs import command as segment_command
from toolbox_klish.ufgs.table import command as segtable_command
from toolbox_klish.why import command as why_command

# what --help says of a command, what adds its options, what is called with them
Command = tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]


def add_commands(subparsers: Any) -> None:
    """Add ``klish`` with its own sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "klish",
        help="clusters of generator features: fits, pictures, tables",
        description="Clusters of generator features (KLiSH).",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (summary, add_arguments, execute) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        add_arguments(command)
        command.set_defaults(execute=execute)


def _fit_arguments(parser: argparse.ArgumentParser) -> None:
    from toolbox.cli.common import add_config_arguments

    parser.description = (
        "Cluster the features of a generator, and draw the clusters. CONFIG is a config; or a run's folder, "
        "a release, a file of published weights or an address of one, whose generator is clustered by the "
        "paper's settings and rule of layers."
    )
    add_config_arguments(parser)
    parser.add_argument("--work-dir", help="the run's folder (default runs/<config>, or runs/klish_<file>)")
    _choice_arguments(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run of this folder: fit what is missing"
    )
    parser.add_argument("--no-pictures", action="store_true", help="skip the pictures at the end")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, what it takes, and stop"
    )


def _choice_arguments(parser: argparse.ArgumentParser) -> None:
    """Options named as the fields of ``Choices``."""
    group = parser.add_argument_group("settings, in place of the config's")
    group.add_argument("--images", type=int, help="that are clustered (paper: 256)")
    group.add_argument("--size", type=int, help="pixels of a side of the feature maps (paper: 256)")
    group.add_argument("--truncation", type=float, help="in (0, 1] (paper: 0.5)")
    group.add_argument("--layers", nargs="+", help="names, or numbers of table II (default: its rule)")
    group.add_argument("--label", type=int, help="class of all images, of a class-conditional generator")
    group.add_argument(
        "--first", type=int, dest="clusters", help="clusters that KLiSH and KASP start from (paper: 100)"
    )
    group.add_argument("--clusterers", nargs="+", metavar="NAME", help="of the config's, those to fit")
    group.add_argument("--shown", type=int, nargs="+", metavar="K", help="numbers of clusters in pictures")
    group.add_argument("--final", type=int, metavar="K", help="number of clusters that is used")
    group.add_argument(
        "--seed", type=int, nargs="+", dest="seeds", metavar="SEED", help="one fit of everything for each"
    )
    group.add_argument("--device", help="cpu, cuda, ... (default: a GPU if there is one)")


def _choices(arguments: argparse.Namespace) -> Any:
    from dataclasses import fields

    from toolbox_klish.runs.choices import Choices, layers_of

    chosen = {field.name: getattr(arguments, field.name) for field in fields(Choices)}
    return Choices(**{**chosen, "layers": layers_of(arguments.layers)})


def _cost_arguments(parser: argparse.ArgumentParser) -> None:
    """The defaults are the paper's size."""
    parser.add_argument(
        "--rows", type=int, default=256 * 256 * 256, help="pixels (paper: 256 images of 256 x 256)"
    )
    parser.add_argument("--width", type=int, default=992, help="channels (paper: 496 to 992)")
    parser.add_argument("--first", type=int, default=100, help="first clusters (paper: 100)")
    parser.add_argument("--bytes-each", type=int, choices=(2, 4), default=2, help="of a stored feature")
    parser.add_argument("--gpu", choices=tuple(cost.MACHINES), default="h100", help="what it would run on")


def _draw_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders of `toolbox klish fit`; several: a generator each"
    )
    parser.add_argument(
        "--clusters", type=int, nargs="+", help="numbers of clusters (default: those of the config)"
    )
    parser.add_argument("--samples", type=int, help="images a picture (default: as the config says)")
    parser.add_argument(
        "--fit", type=int, metavar="SEED", help="which fit is shown, by its seed (default: the run's first)"
    )
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


def _fit(arguments: argparse.Namespace) -> int:
    """The folder, or its report, is the last line."""
    from toolbox.cli.common import read_options
    from toolbox_klish.runs.fitting import fit, planned

    options = read_options(arguments.cfg_options)
    choices = _choices(arguments)
    if arguments.dry_run:
        from toolbox_klish.runs.plan import describe

        named = (arguments.config, arguments.work_dir, arguments.quick, options, arguments.plugin)
        show(describe(planned(*named, choices)))
        return 0
    folder = fit(
        arguments.config,
        arguments.work_dir,
        arguments.quick,
        arguments.resume,
        options,
        arguments.plugin,
        pictures=not arguments.no_pictures,
        choices=choices,
    )
    report = folder / "report.html"
    show(report if report.is_file() else folder)
    return 0


def _draw(arguments: argparse.Namespace) -> int:
    """The path of the report is the last line."""
    from toolbox_klish.runs.report import draw_run, draw_runs
    from toolbox_klish.runs.run import ClusterRun

    runs = [ClusterRun.open(folder, arguments.device) for folder in arguments.runs]
    chosen = dict(numbers=arguments.clusters, samples=arguments.samples, seed=arguments.fit)
    if len(runs) == 1:
        show(draw_run(runs[0], out=arguments.out, **chosen))
    else:
        show(draw_runs(runs, arguments.out or Path("runs/klish_generators"), **chosen))
    return 0


def _name(arguments: argparse.Namespace) -> int:
    from toolbox_klish.runs.naming import parse_setting
    from toolbox_klish.runs.report import show_clusters
    from toolbox_klish.runs.run import ClusterRun

    settings = [parse_setting(text) for text in arguments.set]
    show("\n".join(show_clusters(ClusterRun.open(arguments.run, arguments.device), settings)))
    return 0


def _toy(arguments: argparse.Namespace) -> int:
    from toolbox_klish.pictures import draw_toy
    from toolbox_klish.runs.settings import check_seed

    check_seed(arguments.seed, "--seed")
    path, scores = draw_toy(arguments.out, arguments.seed, arguments.first)
    show("adjusted Rand index: " + ", ".join(f"{name} {score:.2f}" for name, score in scores.items()))
    show(path)
    return 0


_COMMANDS: dict[str, Command] = {
    "fit": (
        "cluster the features of a generator as a config says, and draw the clusters",
        _fit_arguments,
        _fit,
    ),
    "table": (
        "Table IV: k-means, KASP, AHC and KLiSH at equal numbers of clusters",
        table_command.add_arguments,
        table_command.execute,
    ),
    "lse": (
        "linear extractors (LSE) from 1, 10 or all annotated images, judged by a teacher",
        lse_command.add_arguments,
        lse_command.execute,
    ),
    "segment": (segment_command.SUMMARY, segment_command.add_arguments, segment_command.execute),
    "segtable": (segtable_command.SUMMARY, segtable_command.add_arguments, segtable_command.execute),
    "separability": (
        "Tables I and III: linear extractor, SVM and class centroids on generators' features",
        separability_command.add_arguments,
        separability_command.execute,
    ),
    "draw": (
        "every picture of a clustering run, and its report; several runs: side by side",
        _draw_arguments,
        _draw,
    ),
    "name": ("show the clusters of a run, give them names and merge them", _name_arguments, _name),
    "pairs": (
        "images of a run's generator with their clusters as masks, for segmenters and painters",
        pairs_command.add_arguments,
        pairs_command.execute,
    ),
    "toy": ("three sets in the plane under four algorithms (Fig. 2)", _toy_arguments, _toy),
    "why": (why_command.SUMMARY, why_command.add_arguments, why_command.execute),
    "cost": ("memory and time that a fit would take, by a model", _cost_arguments, cost.execute),
}
