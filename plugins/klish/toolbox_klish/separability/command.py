"""``toolbox klish separability``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.description = (
        "Fit a linear extractor (LSE), SVMs and class centroids to the features of generators, judged by a "
        "teacher on new images. What is done is kept in OUT, and the same command goes on."
    )
    parser.add_argument(
        "generators",
        metavar="GENERATOR",
        nargs="+",
        help="a registered one (EmbeddedStyleGAN2), a file, or a run's folder; NAME=... gives it a name",
    )
    parser.add_argument(
        "--teacher",
        default="EmbeddedSegmenter",
        help="a registered segmenter, a .json with its config, or a run that trained one "
        "(default EmbeddedSegmenter, which knows drawn portraits)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/klish_separability"), help="folder")
    parser.add_argument(
        "--fits", type=int, nargs="+", dest="seeds", metavar="SEED", default=[0], help="one fit for each (0)"
    )
    parser.add_argument("--steps", type=int, help="of Adam (1000; paper: 50,000)")
    parser.add_argument("--batch-size", type=int, help="images of a step (4; paper: 1)")
    parser.add_argument("--test-images", type=int, help="new images to judge on (500; paper: 10,000)")
    parser.add_argument("--lr", type=float, help="of Adam; a tenth after 40 %% of the steps (0.001)")
    parser.add_argument("--truncation", type=float, help="in (0, 1] (0.7)")
    parser.add_argument("--size", type=int, help="pixels of the masks (those of the images)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU if there is one)")


def execute(arguments: argparse.Namespace) -> int:
    """Make the tables, print and write them; returns the exit code.

    Raises:
        ConfigError, ValueError: for what cannot be compared.
    """
    import torch

    from toolbox.config import ConfigError
    from toolbox_klish.runs.settings import check_seed
    from toolbox_klish.separability.plan import Budget
    from toolbox_klish.separability.run import make
    from toolbox_klish.separability.sources import generator_of, teacher_of

    names = [field.name for field in fields(Budget)]
    given = {name: getattr(arguments, name, None) for name in names}
    budget = Budget(**{name: value for name, value in given.items() if value is not None})
    for seed in arguments.seeds:
        check_seed(seed, "--fits")
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    teacher = teacher_of(arguments.teacher, device)
    pairs = [generator_of(text, device) for text in arguments.generators]
    generators = dict(pairs)
    if len(generators) < len(pairs):
        raise ConfigError(f"generators {', '.join(name for name, _ in pairs)}: give each a name, NAME=SOURCE")
    show(make(arguments.out, generators, teacher, arguments.seeds, budget))
    return 0
