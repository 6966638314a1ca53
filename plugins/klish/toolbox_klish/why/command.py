"""``toolbox klish why``."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolbox.runs.terminal import show

SUMMARY = "why AHC by angle is ahead of KLiSH here: settings and data changed one at a time"
DATA = ("embedded", "embedded-parts", "arcs", "wall-2", "blurred-0", "blurred-1", "blurred-2")
CURVE = (5, 8, 15, 25)
CLUSTERS = (11, 20)
#: of --quick, in FOLDER-quick
_QUICK = dict(images=6, pixels=256, test_images=8, shown=2)
_QUICK_VARIANTS = ("ahc-angle", "klish", "no-place")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = (
        "Cluster features whose parts are known by KLiSH, by AHC and by KLiSH with one thing changed; count "
        "how many clusters the wall behind the portraits falls into, and what that costs. Writes "
        "FOLDER/why.md, why.json and pictures. What is done is kept: the same command goes on where it "
        "stopped. About 8 seconds of a core a fit, 100 fits a seed."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/klish_why"), metavar="FOLDER")
    parser.add_argument(
        "--on",
        nargs="+",
        metavar="DATA",
        help="embedded, arcs, wall-AMPLITUDE, blurred-AMPLITUDE, or a folder or file of a generator of drawn "
        f"portraits; NAME-parts = without the wall (default: {' '.join(DATA)})",
    )
    parser.add_argument(
        "--variants", nargs="+", metavar="NAME", help="default: all on embedded, most on others"
    )
    parser.add_argument("--fits", type=int, nargs="+", dest="seeds", metavar="SEED", help="(default: 0 1 2)")
    parser.add_argument("--clusters", type=int, nargs="+", metavar="K", help="in the tables (default: 11 20)")
    parser.add_argument("--quick", action="store_true", help="a toy size in FOLDER-quick: shows how it goes")


def execute(arguments: argparse.Namespace) -> int:
    """Make the tables, print them; returns the exit code.

    Raises:
        ValueError: for an unknown sample or variant, or a number out of its range.
        ConfigError: for a folder of another size.
    """
    from toolbox.ranges import check_whole
    from toolbox_klish.runs.settings import check_seed
    from toolbox_klish.why.picture import draw
    from toolbox_klish.why.run import make
    from toolbox_klish.why.samples import Size
    from toolbox_klish.why.variants import variants_of

    quick = arguments.quick
    for k in arguments.clusters or ():
        check_whole(1, clusters=k)
    for seed in arguments.seeds or ():
        check_seed(seed, "--fits")
    data = arguments.on or (DATA[:1] if quick else DATA)
    chosen = arguments.variants or (_QUICK_VARIANTS if quick else None)
    plan = {name: tuple(chosen or variants_of(name)) for name in data}
    seeds = arguments.seeds or ([0] if quick else [0, 1, 2])
    clusters = arguments.clusters or CLUSTERS
    folder = arguments.folder.with_name(f"{arguments.folder.name}-quick") if quick else arguments.folder
    size = Size(**_QUICK) if quick else Size()
    show(make(folder, plan, seeds, clusters, CURVE, size))
    for picture in [draw(folder, name, seeds[0], clusters[0]) for name in data]:
        if picture:
            show(picture)
    return 0
