"""``toolbox klish segtable``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from toolbox.runs.terminal import show
from toolbox_klish.ufgs.table.plan import METHODS, Budget, check_method

SUMMARY = "Tables V and VI on embedded data: UFGS, LSE and a supervised segmenter on real images"
_DEFAULT = ["supervised", "klish", "lse-1", "ahc_arccos", "lse-10", "kmeans", "kasp", "ahc_ward", "teacher"]
_HELP = {
    "clustered": "images that clusterers are fitted on",
    "first": "clusters that KLiSH and KASP start from",
    "clusters": "K of UFGS",
    "ahc_rows": "pixels that AHC clusters",
    "pairs": "generated images that a segmenter is trained on",
    "iterations": "of a segmenter",
    "batch_size": "images of an iteration",
    "channels": "of the segmenter at full resolution",
    "shown": "images that LSE sees, for each that is annotated",
    "validation": "real images with labels, by which clusters are matched",
    "real": "real test images",
    "generated": "generated test images",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    known = "; ".join(f"{name} = {words}" for name, words in METHODS.items())
    parser.description = (
        "Train segmenters on images of the embedded generator, each with the masks of another source, and "
        "measure them on drawn portraits with exact masks; write FOLDER/table.md and FOLDER/table.json, with "
        "the paper's Tables V and VI. What is done is kept: the same command goes on where it stopped. "
        f"Methods: {known}; klish@26, kmeans@60, ... = with that K; klish+soft = trained with blur and noise."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/klish_segtable"), metavar="FOLDER")
    parser.add_argument("--methods", nargs="+", default=_DEFAULT, metavar="METHOD")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="seeds 0 to N-1 (default: 3)")
    group = parser.add_argument_group("budget, equal for all rows")
    for field in fields(Budget):
        option, words = "--" + field.name.replace("_", "-"), f"{_HELP[field.name]} (default: %(default)s)"
        group.add_argument(option, type=int, default=field.default, metavar="N", help=words)


def execute(arguments: argparse.Namespace) -> int:
    """Make the table, print it; returns the exit code.

    Raises:
        ValueError: for an unknown method, or a number out of its range.
        ConfigError: for a folder of another budget.
    """
    from toolbox.ranges import check_whole
    from toolbox_klish.ufgs.table.run import make

    numbers = {field.name: getattr(arguments, field.name) for field in fields(Budget)}
    check_whole(1, repeats=arguments.repeats, **numbers)
    budget = Budget(**numbers)
    for method in arguments.methods:
        check_method(method)
    show(make(arguments.folder, arguments.methods, range(arguments.repeats), budget))
    return 0
