"""``toolbox klish lse``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.description = (
        "Fit linear extractors (LSE) to a generator's features, from a few annotated images or from a "
        "teacher's labels of new ones, and judge them by the teacher. Each is kept in OUT as the authors' "
        "file, and the same command goes on."
    )
    parser.add_argument(
        "generator", metavar="GENERATOR", help="a registered one (EmbeddedStyleGAN2), a file, a run's folder"
    )
    parser.add_argument(
        "--teacher",
        default="EmbeddedSegmenter",
        help="as of `toolbox klish separability` (EmbeddedSegmenter)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/klish_lse"), help="folder")
    parser.add_argument(
        "--shots",
        nargs="+",
        default=["1", "10", "all"],
        metavar="N",
        help="annotated images, or 'all' (1 10 all)",
    )
    parser.add_argument(
        "--fits",
        type=int,
        nargs="+",
        dest="seeds",
        metavar="SEED",
        default=[0, 1, 2, 3, 4],
        help="draws (0 to 4)",
    )
    parser.add_argument("--shown", type=int, help="images shown of few annotations (6400)")
    parser.add_argument("--full", type=int, help="new images shown of all (4000; paper: 50,000)")
    parser.add_argument("--test-images", type=int, help="new images to judge on (500)")
    parser.add_argument("--lr", type=float, help="of Adam; a tenth after 40 %% of the steps (0.001)")
    parser.add_argument("--truncation", type=float, help="in (0, 1] (0.7)")
    parser.add_argument("--size", type=int, help="pixels of the masks (those of the images)")
    parser.add_argument("--pairs", type=int, help="write so many images with each extractor's labels too")
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU if there is one)")


def execute(arguments: argparse.Namespace) -> int:
    """Fit, judge, print and write the table; returns the exit code.

    Raises:
        ConfigError, ValueError: for what cannot be fitted.
    """
    import torch

    from toolbox.ranges import check_whole, given
    from toolbox_klish.lse.few import FewSettings, measure_few
    from toolbox_klish.runs.settings import check_seed
    from toolbox_klish.separability.sources import generator_of, teacher_of

    shots = [_shot(text) for text in arguments.shots]
    check_whole(1, **given(pairs=arguments.pairs))
    for seed in arguments.seeds:
        check_seed(seed, "--fits")
    names = [field.name for field in fields(FewSettings)]
    chosen = {name: getattr(arguments, name, None) for name in names}
    settings = FewSettings(**{name: value for name, value in chosen.items() if value is not None})
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    teacher = teacher_of(arguments.teacher, device)
    _, generator = generator_of(arguments.generator, device)
    show(measure_few(arguments.out, generator, teacher, shots, arguments.seeds, settings, arguments.pairs))
    return 0


def _shot(text: str) -> int | str:
    if text != "all" and not (text.isdigit() and int(text) > 0):
        raise ValueError(f"--shots {text}: a number of images of 1 or more, or 'all'")
    return text if text == "all" else int(text)
