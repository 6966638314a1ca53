"""``toolbox klish pairs``: images of a run's generator with their clusters as masks."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolbox.runs.terminal import show

_SETTINGS = (
    "images",
    "size",
    "seed",
    "truncation",
    "noise",
    "label",
    "batch_size",
    "jpeg",
    "border_rows",
    "border_images",
    "shard",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options; those of ``PairSettings`` are called as its fields."""
    from toolbox.cli.common import add_launcher_arguments

    parser.description = (
        "Write images of a run's generator, and their clusters as masks, into numbered zips: what segmenters "
        "and painters are trained on. Clusters that have names become classes of these names."
    )
    parser.add_argument("run", metavar="RUN", help="folder of `toolbox klish fit`")
    parser.add_argument("-o", "--out", type=Path, help="the folder (default: RUN/pairs)")
    parser.add_argument("--resume", action="store_true", help="go on with the pairs of this folder")
    _which_arguments(parser.add_argument_group("which clusters"))
    _how_arguments(parser.add_argument_group("how"))
    parser.add_argument("--device", help="where the generator runs (default: as the config says)")
    add_launcher_arguments(parser)


def _which_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--clusterer", metavar="NAME", help="of the run (default: klish, or the first)")
    group.add_argument("--clusters", type=int, metavar="K", help="number of clusters (default: the final)")
    group.add_argument("--fit", type=int, metavar="SEED", help="which fit, by its seed (default: the first)")


def _how_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--images", type=int, help="how many (default and paper: 50,000)")
    group.add_argument("--size", type=int, help="pixels of a side (512, at most the generator's)")
    group.add_argument("--seed", type=int, help="of the images (1113)")
    group.add_argument("--truncation", type=float, help="in (0, 1] (0.7, none where there is no w)")
    group.add_argument(
        "--noise", choices=("random", "const"), help="new for each image, or that of the weights (const)"
    )
    group.add_argument("--label", type=int, help="class of all images, of a class-conditional generator")
    group.add_argument("--batch-size", type=int, help="images at a time (at most 16)")
    group.add_argument("--jpeg", type=int, metavar="QUALITY", help="JPEG of this quality (default: PNG)")
    group.add_argument(
        "--border-rows",
        type=int,
        metavar="ROWS",
        help="cut them off above and below; clusters that mostly lie there become background",
    )
    group.add_argument("--border-images", type=int, metavar="N", help="that this is decided by (100)")
    group.add_argument("--shard", type=int, metavar="N", help="images of a file (512)")


def execute(arguments: argparse.Namespace) -> int:
    """Write them; the folder is the last line."""
    from toolbox import ranks
    from toolbox.cli.common import joined
    from toolbox_klish.pairs.make import make_pairs
    from toolbox_klish.pairs.settings import PairSettings
    from toolbox_klish.runs.run import ClusterRun

    given = {name: getattr(arguments, name) for name in _SETTINGS}
    settings = PairSettings(**{name: value for name, value in given.items() if value is not None})
    with joined(arguments):
        run = ClusterRun.open(arguments.run, arguments.device)
        out = arguments.out or run.folder / "pairs"
        which = (arguments.clusterer, arguments.clusters, arguments.fit)
        folder = make_pairs(run, out, settings, *which, resume=arguments.resume)
        if ranks.is_main():
            show(folder)
    return 0
