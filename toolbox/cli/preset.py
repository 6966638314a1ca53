"""``toolbox preset NAME -o CONFIG.py``: a training config with the settings of a published StyleGAN2 run."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolbox.models.stylegan2_presets import NAMES
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("-o", "--out", required=True, metavar="CONFIG.py", help="the file to write")
    parser.add_argument(
        "--image-size", type=int, default=256, metavar="PIXELS", help="a power of two (default 256)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="GPUS",
        help="'auto' derives its batch from it (default 1)",
    )
    parser.add_argument(
        "--conditional", action="store_true", help="on the classes: the sub-folders of the data"
    )
    parser.add_argument(
        "--data", metavar="FOLDER|ZIP", help="images, a folder for each class, or the zip with dataset.json"
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def run(arguments: argparse.Namespace) -> int:
    """Write it, and say what to do next."""
    from toolbox.cli.preset_config import preset_text
    from toolbox.runs.files import write_text

    out = Path(arguments.out)
    if out.suffix != ".py":
        raise ValueError(f"-o {out}: a config's name ends in .py")
    if out.exists() and not arguments.force:
        raise ValueError(f"-o {out}: the file is there already; --force writes over it")
    text = preset_text(
        arguments.name,
        arguments.image_size,
        arguments.processes,
        arguments.conditional,
        base="toolbox/stylegan2_ada_auto",
        data=arguments.data,
    )
    write_text(text, out)
    show(f"{out}\nnext:\n  toolbox explain {out}\n  toolbox train {out} --quick\n  toolbox train {out}")
    return 0
