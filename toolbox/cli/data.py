"""``toolbox data FOLDER``: all that a data folder lacks, in one list."""

from __future__ import annotations

import argparse

from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("folder", help="the data's folder")
    parser.add_argument(
        "--layout",
        required=True,
        choices=("cub", "coco", "celebamask", "pairs"),
        help="cub: captions.pickle, text, train, test and CUB_200_2011; coco: the same with images and "
        "annotations; celebamask: CelebA-HQ-img, CelebAMask-HQ-mask-anno and the mapping to CelebA; "
        "pairs: images and masks in shards, as `toolbox klish pairs` writes them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what is there and what is not; 1 where something is wrong."""
    from toolbox.data.layouts import inspect_layout

    seen = inspect_layout(arguments.folder, arguments.layout)
    for line in seen.lines:
        show(line)
    return 1 if seen.faults else 0
