"""``toolbox fid A B``: how far two sets of images are apart, by FID or any other metric."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.cli.common import (
    add_device_argument,
    add_plugin_argument,
    device_of,
    load_plugins,
    read_options,
)
from toolbox.runs.terminal import complain, show

if TYPE_CHECKING:
    from toolbox.training.evaluation.distance import Side

_SOURCE = "a folder or zip of images, a run, a release, or a file of published weights"
_DRAWN = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("reference", metavar="A", help=f"the reference: {_SOURCE}")
    parser.add_argument("judged", metavar="B", help="what is judged: the same kinds of things")
    parser.add_argument(
        "--metric",
        nargs="+",
        default=["fid"],
        metavar="NAME",
        help="fid (default), kid, precision_recall, ...",
    )
    parser.add_argument(
        "--options",
        nargs="+",
        default=[],
        metavar="METRIC.ARGUMENT=VALUE",
        help="such as kid.subset_size=100",
    )
    parser.add_argument(
        "--extractor",
        metavar="NAME",
        help="a registered one, or the file of FID's Inception network; default that file where it lies in "
        "weights/, else the shipped toy CLIP",
    )
    parser.add_argument(
        "--n",
        type=int,
        help=f"images of B (default all, {_DRAWN} where they are drawn), and of A where drawn",
    )
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="bring both to this size")
    parser.add_argument(
        "--background", metavar="COLOUR", help="of transparent pixels in files, such as white"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument(
        "--bn", choices=("running", "batch", "standing"), default="running", help="BatchNorm of generators"
    )
    parser.add_argument("--batch-size", type=int, default=50, help="images at a time")
    parser.add_argument("--record", metavar="FILE.jsonl", help="append one JSON line a metric")
    add_device_argument(parser)
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print a table."""
    for name in ("n", "image_size", "batch_size"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} {value}: at least 1")
    load_plugins(arguments)
    from toolbox.training.evaluation.distance import chosen_metrics, distance
    from toolbox.training.evaluation.measure import table

    metrics = chosen_metrics(arguments.metric, arguments.extractor, read_options(arguments.options))
    with_labels = any("labels" in metric.needs for metric in metrics.values())
    reference = _opened(arguments.reference, "reference", with_labels, arguments)
    judged = _opened(arguments.judged, "judged", with_labels, arguments)
    for notice in {getattr(getattr(metric, "extractor", None), "notice", "") for metric in metrics.values()}:
        if notice:
            complain(notice)
    found = distance(
        reference,
        judged,
        list(metrics.values()),
        arguments.n,
        batch_size=arguments.batch_size,
        device=device_of(arguments),
        seed=arguments.seed,
        record=Path(arguments.record) if arguments.record else None,
    )
    show(table(found))
    return 0


def _opened(name: str, role: str, with_labels: bool, arguments: argparse.Namespace) -> Side:
    """One side: files, or what is drawn. The two sides draw different latents."""
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"{name}: no such file or folder")
    if path.suffix.lower() == ".zip" or (path.is_dir() and not _is_run(path)):
        return _files(path, with_labels, arguments)
    from toolbox.loading import load_sampler
    from toolbox.randomness import mix
    from toolbox.training.evaluation.distance import Drawn

    seed = mix(arguments.seed, role)
    sampler = load_sampler(path, seed=seed, bn=arguments.bn, device=device_of(arguments))
    return Drawn(sampler, arguments.n or _DRAWN, name, arguments.image_size)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.py", "config.json")) or any(
        folder.glob("iter_*.pth")
    )


def _files(path: Path, with_labels: bool, arguments: argparse.Namespace) -> Any:
    """Images of a zip, or of a folder with its sub-folders: classes, where a metric asks for them."""
    from toolbox.data.folder import ImageFolder
    from toolbox.data.zipped import INDEX, ZippedImages

    how = dict(image_size=arguments.image_size, background=arguments.background)
    images = ZippedImages(path, **how)
    if with_labels and path.is_dir() and not (path / INDEX).is_file():
        images_by_class = ImageFolder(path, **{**how, "image_size": images.image_size})
        images_by_class.title = str(path)
        return images_by_class
    images.title = str(path)
    return images
