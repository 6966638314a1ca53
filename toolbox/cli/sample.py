"""``toolbox sample RUN``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from toolbox.catalog import CatalogError, near_miss
from toolbox.cli.common import add_device_argument, add_plugin_argument, device_of, load_plugins


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("run", help="a run's folder, or a checkpoint with its config.py beside it")
    parser.add_argument(
        "--by", choices=("class", "cluster"), default="class", help="one row a class (default) or a cluster"
    )
    parser.add_argument("--class", dest="class_name", help="of this class only")
    parser.add_argument("--cluster", type=int, help="of this cluster of --class only")
    parser.add_argument(
        "--coefficients",
        type=_numbers,
        metavar="U",
        help="explicit coefficients over the clusters of --class, such as 0.7,0.3,0",
    )
    parser.add_argument(
        "--interpolate", nargs=2, type=int, metavar=("I", "J"), help="between two clusters of --class"
    )
    parser.add_argument("--steps", type=int, default=8, help="of an interpolation")
    parser.add_argument(
        "--prompts", action="store_true", help="print the prompts' nearest words instead of drawing"
    )
    parser.add_argument("--columns", type=int, default=10, help="images a row")
    parser.add_argument("--seed", type=int, default=0, help="of latents and coefficients")
    parser.add_argument(
        "--bn", choices=("running", "batch", "standing"), default="running", help="BatchNorm statistics"
    )
    parser.add_argument("-o", "--out", help="the picture (default: samples.png in the run's folder)")
    add_device_argument(parser)
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw, and print the picture's path."""
    load_plugins(arguments)
    from toolbox.loading import load_run
    from toolbox.visual.grids import save_grid

    sampler = load_run(arguments.run, seed=arguments.seed, bn=arguments.bn, device=device_of(arguments))
    if arguments.prompts:
        print(_prompt_table(sampler.game))
        return 0
    images, names, columns = draw(sampler, arguments)
    folder = Path(arguments.run) if Path(arguments.run).is_dir() else Path(arguments.run).parent
    out = Path(arguments.out) if arguments.out else folder / "samples.png"
    save_grid(images, out, columns=columns, row_names=names)
    print(out)
    return 0


def draw(sampler: Any, arguments: argparse.Namespace) -> tuple[Any, list[str] | None, int]:
    """(images, row names, columns) of what was asked for."""
    import torch

    columns = arguments.columns
    asks_clusters = (
        arguments.by == "cluster"
        or arguments.cluster is not None
        or arguments.coefficients
        or arguments.interpolate
    )
    if not asks_clusters:
        return _by_class(sampler, arguments)
    conditioner = sampler.game.conditioner
    if not hasattr(conditioner, "by_coefficients"):
        raise CatalogError(
            f"this run's conditioner ({type(conditioner).__name__}) has no clusters: only --by class can be "
            "drawn"
        )
    if arguments.interpolate:
        y, (i, j) = _class(sampler, arguments), arguments.interpolate
        path = conditioner.interpolation(y, i, j, arguments.steps)
        rows = [_same_latent(sampler, row, path) for row in range(columns)]
        return torch.cat(rows), None, arguments.steps
    if arguments.coefficients:
        condition = conditioner.by_coefficients(
            _class(sampler, arguments), [arguments.coefficients] * columns
        )
        return sampler(torch.arange(columns), condition=condition).images, None, columns
    wanted = _clusters(sampler, arguments)
    rows = [
        sampler(torch.arange(columns), condition=conditioner.by_cluster(y, i, columns)).images
        for y, i, _ in wanted
    ]
    return torch.cat(rows), [name for _, _, name in wanted], columns


def _by_class(sampler: Any, arguments: argparse.Namespace) -> tuple[Any, list[str] | None, int]:
    import torch

    if not sampler.class_names or arguments.class_name is None:
        return sampler.class_sheet(arguments.columns), sampler.class_names or None, arguments.columns
    y = sampler.class_names.index(_class(sampler, arguments))
    labels = torch.full((5 * arguments.columns,), y)
    return sampler(torch.arange(len(labels)), labels).images, None, arguments.columns


def _class(sampler: Any, arguments: argparse.Namespace) -> str:
    names = sampler.class_names
    if arguments.class_name is None:
        raise CatalogError(f"--class is needed here; classes: {', '.join(names)}")
    if arguments.class_name not in names:
        raise CatalogError(
            f"no class is called {arguments.class_name!r}{near_miss(arguments.class_name, names)}; "
            f"classes: {', '.join(names)}"
        )
    return str(arguments.class_name)


def _clusters(sampler: Any, arguments: argparse.Namespace) -> list[tuple[str, int, str]]:
    layout = sampler.game.conditioner.layout
    chosen = [_class(sampler, arguments)] if arguments.class_name else sampler.class_names
    found = [(y, i, f"{y} {i}") for y in chosen for i in range(layout.sizes[layout.class_index(y)])]
    wanted = [item for item in found if arguments.cluster is None or item[1] == arguments.cluster]
    if not wanted:
        raise CatalogError(
            f"there is no cluster {arguments.cluster}: the classes have up to {layout.width} "
            f"(0..{layout.width - 1})"
        )
    return wanted


def _numbers(text: str) -> list[float]:
    """'0.7,0.3' as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0.7,0.3,0") from None


def _same_latent(sampler: Any, number: int, condition: Any) -> Any:
    """Images of one latent under each row of a condition."""
    import torch

    return sampler(torch.full((len(condition),), number), condition=condition).images


def _prompt_table(game: Any) -> str:
    """Every network that learns prompts: a line for each prompt, with the nearest word of each slot and its
    distance.
    """
    lines = []
    names = game.conditioner.names()
    for network_name, network in game.networks.items():
        prompts = getattr(network, "prompts", None)
        if prompts is None:
            continue
        words = prompts.nearest_words(network.clip, top=1)
        for row, slots in enumerate(words):
            title = names[row] if row < len(names) and len(words) == len(names) else f"prompt {row}"
            lines.append(
                f"{network_name}  {title}: " + " ".join(f"{w[0][0]} ({w[0][1]:.2f})" for w in slots if w)
            )
    if not lines:
        raise CatalogError("this run has no network that learns prompts")
    return "\n".join(lines)
