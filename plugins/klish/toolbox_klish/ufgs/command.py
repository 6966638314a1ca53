"""``toolbox klish segment``."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolbox.runs.terminal import show

SUMMARY = "from unlabelled images to a segmenter: generator, clusters, pairs, segmenter, measures"
CONFIG = "klish/ufgs_folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    from toolbox.cli.common import add_config_options

    parser.description = (
        "Unsupervised fine-grained segmentation (UFGS). A generator is trained on a folder of images, or one "
        "at hand is taken; its features are clustered; a segmenter is trained on its images with their "
        "clusters. Where masks are at hand, a few of them give each cluster a label, and the others measure; "
        "they are never trained on. Each step is kept: the same command goes on where it stopped."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        help="unlabelled images, or images/ and masks/ with part_names.txt (default: as the config says)",
    )
    parser.add_argument("--config", default=CONFIG, help=f"how (default: {CONFIG})")
    parser.add_argument(
        "--generator", metavar="WEIGHTS", help="one at hand: a run's folder, a file, an address"
    )
    parser.add_argument(
        "--masks", type=Path, metavar="FOLDER", help="labelled images: images/, masks/, part_names.txt"
    )
    parser.add_argument("--work-dir", help="the run's folder (default runs/<config>)")
    add_config_options(parser)
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU if there is one)")


def execute(arguments: argparse.Namespace) -> int:
    """Do what is not done yet; the run's folder is the last line."""
    from toolbox.cli.common import read_options
    from toolbox_klish.ufgs.labelled import give_folder
    from toolbox_klish.ufgs.run import segment_images
    from toolbox_klish.ufgs.settings import read_config

    options = read_options(arguments.cfg_options)
    config = read_config(arguments.config, arguments.quick, options, arguments.plugin)
    config.device = arguments.device or config.device
    if arguments.generator is not None:
        config.generator = _source(arguments.generator)
    give_folder(config, arguments.folder, arguments.masks)
    name = Path(arguments.config).stem
    usual = f"runs/{name}-quick" if arguments.quick else f"runs/{name}"
    work_dir = arguments.work_dir or config.get("work_dir") or usual
    show(segment_images(config, arguments.folder, work_dir))
    return 0


def _source(name: str) -> dict[str, str]:
    """The ``generator`` of a config, of a path or an address.

    Raises:
        ConfigError: for a path that is not there.
    """
    from toolbox.config import ConfigError
    from toolbox.weights.sources import is_elsewhere

    if not is_elsewhere(name) and not Path(name).exists():
        raise ConfigError(f"--generator {name} is not there: a run's folder, or a file of weights")
    return {"run" if Path(name).is_dir() else "weights": name}
