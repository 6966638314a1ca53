"""``toolbox compare RUN RUN ...``: pictures of the same latents, and the metrics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolbox.catalog import CatalogError
from toolbox.cli.common import (
    add_device_argument,
    add_plugin_argument,
    add_text_arguments,
    device_of,
    load_plugins,
    tell_left_out,
    texts_of,
)
from toolbox.runs.terminal import show

if TYPE_CHECKING:
    from toolbox.training.game.sampler import Sampler


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a run's folder, a checkpoint, a release, or published weights; NAME=RUN gives the row a name, "
        "RUN:NETWORK takes another of its generators, such as RUN:source",
    )
    parser.add_argument(
        "-o",
        "--out",
        default="comparison.png",
        metavar="NAME.png",
        help="the picture (default comparison.png), or a folder for it; NAME.md and NAME.json come beside it",
    )
    parser.add_argument("--columns", type=int, help="latents and conditions to show (default 10)")
    add_text_arguments(parser, "a column of this caption, for runs that know captions")
    parser.add_argument("--each", type=int, default=1, help="images of a run in a column, of other latents")
    parser.add_argument("--seed", type=int, default=0, help="of the latents")
    add_device_argument(parser)
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rows = runs, columns = the same latents and conditions; prints the picture's path and a table."""
    out = _picture(arguments.out)
    texts = texts_of(arguments)
    if texts and arguments.columns is not None:
        raise CatalogError(
            "--columns goes without --text, which has a column a caption: --each for more images"
        )
    load_plugins(arguments)
    from toolbox.loading import load_sampler
    from toolbox.visual.compare import compare, facts_table

    device = device_of(arguments)
    samplers: dict[str, Sampler] = {}
    details: dict[str, dict[str, object]] = {}
    metrics: dict[str, dict[str, float]] = {}
    for name, text in _named(arguments.runs).items():
        path, network = _parted(text)
        samplers[name] = load_sampler(path, seed=arguments.seed, device=device, generator=network)
        tell_left_out(samplers[name], texts or (), f"{name}: ")
        iteration = int(samplers[name].game.iteration)
        details[name] = dict(path=text, iteration=iteration)
        metrics[name] = {} if network else _metrics(Path(path), iteration)
    columns = 10 if arguments.columns is None else arguments.columns
    shown = compare(
        samplers, out, columns, arguments.each, details=details, metrics=metrics, texts=texts or ()
    )
    show(f"{shown}\n\n{facts_table(shown)}")
    return 0


def _picture(out: str) -> Path:
    """The PNG to write: what was named, or comparison.png in a folder that was named."""
    path = Path(out)
    if path.is_dir() or not path.suffix:
        return path / "comparison.png"
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"-o {out}: the picture is a PNG, name it {path.with_suffix('.png')}, or name a folder"
        )
    return path


def _parted(text: str) -> tuple[str, str | None]:
    """RUN:NETWORK in two; the colon of a path or an address is none."""
    path, colon, network = text.rpartition(":")
    if colon and network.isidentifier() and Path(path).exists() and not Path(text).exists():
        return path, network
    return text, None


def _metrics(path: Path, iteration: int) -> dict[str, float]:
    """What was measured of these weights: kept by the run, or in a release's card."""
    from toolbox.training.evaluation.records import read_records, values_of
    from toolbox.training.release import is_release
    from toolbox.weights.card import read_card

    if is_release(path):
        records = read_card(path).get("metrics")
        return values_of(records if isinstance(records, list) else [], iteration)
    folder = path if path.is_dir() else path.parent
    return values_of(read_records(folder / "metrics.jsonl"), iteration)


def _named(runs: Sequence[str]) -> dict[str, str]:
    """{name of the row: path}; runs of one name are told apart by a number."""
    named: dict[str, str] = {}
    for text in runs:
        name, _, path = text.rpartition("=")
        name = name or Path(path).name
        taken = sum(other == name or other.startswith(f"{name} (") for other in named)
        named[f"{name} ({taken + 1})" if taken else name] = path
    return named
