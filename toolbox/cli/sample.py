"""``toolbox sample RUN``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from toolbox.catalog import CatalogError, near_miss
from toolbox.cli.common import add_device_argument, add_plugin_argument, device_of, load_plugins
from toolbox.runs.terminal import show

if TYPE_CHECKING:
    from torch import Tensor

    from toolbox.interfaces import Request
    from toolbox.training.game.sampler import Sampled, Sampler

ROWS_OF_ONE_CLASS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("run", help="a run's folder, or a checkpoint with its config.py beside it")
    parser.add_argument(
        "--by", metavar="KIND", help="one row a class (default), a cluster, or whatever the run has"
    )
    parser.add_argument("--class", dest="class_name", help="of this class only")
    parser.add_argument("--cluster", type=int, dest="mode", help="of this cluster of --class only")
    parser.add_argument(
        "--coefficients",
        type=_numbers,
        metavar="U",
        help="explicit coefficients over the clusters of --class, such as 0.7,0.3,0",
    )
    parser.add_argument("--text", help="of this caption, for runs that know captions")
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
        show(_prompt_table(sampler.game))
        return 0
    images, names, columns = draw(sampler, arguments)
    folder = Path(arguments.run) if Path(arguments.run).is_dir() else Path(arguments.run).parent
    out = Path(arguments.out) if arguments.out else folder / "samples.png"
    save_grid(images, out, columns=columns, row_names=names or None)
    show(out)
    return 0


def draw(sampler: Sampler, arguments: argparse.Namespace) -> tuple[Tensor, list[str], int]:
    """(images, row names, columns) of what was asked for."""
    columns = arguments.columns
    if arguments.interpolate:
        return _interpolation(sampler, arguments), [], arguments.steps
    if arguments.coefficients or arguments.text:
        return _one_request(sampler, _request(sampler, arguments), columns), [], columns
    kind = arguments.by or ("cluster" if arguments.mode is not None else None)
    if kind is None or kind == "class":
        if arguments.class_name is not None:
            request = _request(sampler, arguments)
            return _one_request(sampler, request, ROWS_OF_ONE_CLASS * columns), [], columns
        return *sampler.sheet(columns, by=kind), columns
    return _rows_of(sampler, kind, arguments)


def _request(sampler: Sampler, arguments: argparse.Namespace) -> Request:
    """What the options ask for, refused with the near miss where the run does not have it."""
    from toolbox.interfaces import Request

    if arguments.text is None:
        _check_class(sampler, arguments)
    coefficients = tuple(arguments.coefficients) if arguments.coefficients else None
    return Request(class_name=arguments.class_name, coefficients=coefficients, text=arguments.text)


def _one_request(sampler: Sampler, request: Request, n: int) -> Tensor:
    import torch

    return sampler(torch.arange(n), requests=request).images


def _rows_of(sampler: Sampler, kind: str, arguments: argparse.Namespace) -> tuple[Tensor, list[str], int]:
    """One row for each thing of a kind, of --class and number --cluster alone where they are given."""
    import torch

    found = _requests_of(sampler, kind)
    class_name = arguments.class_name
    if class_name is not None:
        _check_class(sampler, arguments)
        found = {name: request for name, request in found.items() if request.class_name == class_name}
    wanted = {name: request for name, request in found.items() if arguments.mode in (None, request.mode)}
    if not wanted and class_name is not None:
        raise CatalogError(f"there is no {kind} {arguments.mode}; there are: {', '.join(found)}")
    if not wanted:
        most = 1 + max((request.mode for request in found.values() if request.mode is not None), default=0)
        raise CatalogError(f"no {kind} {arguments.mode}: the classes have up to {most} (0..{most - 1})")
    latents = torch.arange(arguments.columns)
    rows = [sampler(latents, requests=request).images for request in wanted.values()]
    return torch.cat(rows), list(wanted), arguments.columns


def _requests_of(sampler: Sampler, kind: str) -> dict[str, Request]:
    """All requests of a kind, by name."""
    kinds = sampler.requests()
    if kind not in kinds:
        conditioner = type(sampler.game.conditioner).__name__
        hint = near_miss(kind, kinds)
        known = ", ".join(kinds) or "nothing that can be asked for"
        raise CatalogError(
            f"this run's conditioner ({conditioner}) has nothing of the kind {kind!r}{hint}; it has: {known}"
        )
    return kinds[kind]


def _interpolation(sampler: Sampler, arguments: argparse.Namespace) -> Tensor:
    """A row for each latent: e(a) = (1 - a) eps_i + a eps_j, a = 0..1, from cluster i to j of --class."""
    import torch

    from toolbox.interfaces import Request

    _check_class(sampler, arguments)
    name = arguments.class_name
    start, end = arguments.interpolate
    for mode in (start, end):  # refused here where there is no such cluster
        sampler.game.conditioner.fulfil(Request(class_name=name, mode=mode), 1, torch.Generator())
    corners = torch.eye(max(start, end) + 1)
    a = torch.linspace(0, 1, arguments.steps)[:, None]
    path = (1 - a) * corners[start] + a * corners[end]
    requests = [Request(class_name=name, coefficients=tuple(u)) for u in path.tolist()]
    latents = [torch.full((arguments.steps,), number) for number in range(arguments.columns)]
    return torch.cat([sampler(latent, requests=requests).images for latent in latents])


def _check_class(sampler: Sampler, arguments: argparse.Namespace) -> None:
    names = sampler.class_names
    name = arguments.class_name
    if name is None:
        raise CatalogError(f"--class is needed here; classes: {', '.join(names)}")
    if name not in names:
        raise CatalogError(
            f"no class is called {name!r}{near_miss(name, names)}; classes: {', '.join(names)}"
        )


def _numbers(text: str) -> list[float]:
    """'0.7,0.3' as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0.7,0.3,0") from None


def _prompt_table(game: Sampled) -> str:
    """Of every network that learns prompts a line a prompt: each slot's nearest word and its distance."""
    from toolbox.interfaces import PromptLearner

    lines: list[str] = []
    names = game.conditioner.names()
    for network_name, network in game.networks.items():
        prompts = getattr(network, "prompts", None)
        if not isinstance(prompts, PromptLearner):
            continue
        words = prompts.nearest_words(network.clip, top=1)
        numbered = [f"prompt {number}" for number in range(len(words))]
        titles = names if len(names) == len(words) else numbered
        for title, slots in zip(titles, words, strict=True):
            nearest = [slot[0] for slot in slots if slot]
            shown = " ".join(f"{word} ({distance:.2f})" for word, distance in nearest)
            lines.append(f"{network_name}  {title}: {shown}")
    if not lines:
        raise CatalogError("this run has no network that learns prompts")
    return "\n".join(lines)
