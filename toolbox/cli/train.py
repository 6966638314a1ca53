"""``toolbox train CONFIG``."""

from __future__ import annotations

import argparse

from toolbox.cli.common import (
    add_config_arguments,
    add_device_argument,
    add_launcher_arguments,
    joined,
    load_plugins,
    read_options,
)
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--data",
        metavar="FOLDER|ZIP",
        help="train and measure on it: images, a folder for each class, or the zip with dataset.json",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="FILE",
        help="fine-tune: the generator of a file, run or address, its architecture too",
    )
    add_device_argument(parser)
    parser.add_argument(
        "--log",
        action="append",
        default=[],
        choices=("tensorboard", "wandb"),
        help="losses, metrics and grids to it as well, in vis_data of the run's folder",
    )
    parser.add_argument("--work-dir", help="the run's folder (default runs/<config>)")
    parser.add_argument(
        "--resume", action="store_true", help="continue the run of this folder from its newest checkpoint"
    )
    parser.add_argument(
        "--allow-changes",
        action="store_true",
        help="with --resume: also where config or data differ from what the run was begun with",
    )
    parser.add_argument("--seed", type=int, help="seed of every draw")
    parser.add_argument("--deterministic", action="store_true", help="deterministic algorithms only")
    parser.add_argument("--no-evaluation", action="store_true", help="skip the metrics at the end")
    parser.add_argument(
        "--amp",
        choices=("bf16", "fp16"),
        help="networks compute in half precision, regularisers in float32; fp16 is slow on a CPU",
    )
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile for the networks; takes minutes at the start"
    )
    parser.add_argument("--channels-last", action="store_true", help="keep images as (N, H, W, C) in memory")
    add_launcher_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="build everything, say what was built, and stop"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate, report; the report's path is the last line."""
    load_plugins(arguments)
    from toolbox import ranks
    from toolbox.pipeline import train

    options = _options(arguments)
    if arguments.dry_run:
        return _describe(arguments, options)
    with joined(arguments):
        folder = train(
            arguments.config,
            work_dir=arguments.work_dir,
            quick=arguments.quick,
            resume=arguments.resume,
            options=options,
            evaluate=not arguments.no_evaluation,
            plugins=arguments.plugin,
            allow_changes=arguments.allow_changes,
            data=arguments.data,
            start=arguments.start,
            device=arguments.device,
            log=arguments.log,
        )
        if ranks.is_main():
            report = folder / "report.html"
            show(report if report.is_file() else folder)
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    """Overrides of the config that have an argument of their own."""
    said = dict(
        seed=arguments.seed,
        deterministic=arguments.deterministic or None,
        precision=arguments.amp,
        compile=arguments.compile or None,
        channels_last=arguments.channels_last or None,
    )
    options = read_options(arguments.cfg_options)
    options.update({key: value for key, value in said.items() if value is not None})
    return options


def _describe(arguments: argparse.Namespace, options: dict[str, object]) -> int:
    from toolbox.pipeline import read_config
    from toolbox.training.explain.summary import summary

    config = read_config(
        arguments.config,
        arguments.quick,
        options,
        data=arguments.data,
        start=arguments.start,
        device=arguments.device,
        log=arguments.log,
    )
    show(summary(config))
    return 0
