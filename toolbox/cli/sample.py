"""``toolbox sample SOURCE``: a grid, or a folder of images."""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from toolbox.catalog import CatalogError, near_miss
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
    from torch import Tensor

    from toolbox.interfaces import Request
    from toolbox.training.game.sampler import Sampler

ROWS_OF_ONE_CLASS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument(
        "run",
        metavar="SOURCE",
        help="a run's folder, a checkpoint, a release, or a file of published weights",
    )
    _add_what_to_show(parser)
    parser.add_argument("--columns", type=int, default=10, help="images a row")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--n", type=_count, metavar="N", help="write images 0 to N-1, each into a file of its own in --out"
    )
    which.add_argument(
        "--seeds",
        type=_seeds,
        metavar="0-99",
        help="write these images, each into a file of its own in --out",
    )
    parser.add_argument("--seed", type=int, default=0, help="of latents and coefficients")
    parser.add_argument(
        "--truncation", type=float, default=1.0, metavar="PSI", help="in (0, 1]: below 1 less variety"
    )
    parser.add_argument(
        "--bn", choices=("running", "batch", "standing"), default="running", help="BatchNorm statistics"
    )
    parser.add_argument(
        "-o",
        "--out",
        help="the picture (default: samples-WHAT-WAS-ASKED.png in the run's folder), or with --n the folder",
    )
    add_device_argument(parser)
    add_plugin_argument(parser)


def _add_what_to_show(parser: argparse.ArgumentParser) -> None:
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
    add_text_arguments(parser, "of this caption, for runs that know captions")
    parser.add_argument(
        "--mask",
        metavar="FILE",
        action="append",
        dest="masks",
        help="with the parts of this index mask (PNG), for runs that know masks; several: a row each",
    )
    parser.add_argument(
        "--attention",
        action="store_true",
        help="where the generator looks at each word of --text (AttnGAN, DM-GAN), or its masks (SSA-GAN)",
    )
    parser.add_argument(
        "--interpolate", nargs=2, type=int, metavar=("I", "J"), help="between two clusters of --class"
    )
    parser.add_argument("--steps", type=int, default=8, help="of an interpolation")
    parser.add_argument(
        "--prompts",
        action="store_true",
        help="print the prompts' nearest words instead of drawing; of --columns images where they are theirs",
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw, and print the picture's path, or the folder's."""
    arguments.text = texts_of(arguments)
    numbers = _numbers_asked_for(arguments)
    load_plugins(arguments)
    from toolbox.loading import load_sampler
    from toolbox.visual.grids import save_grid

    sampler = load_sampler(
        arguments.run,
        seed=arguments.seed,
        bn=arguments.bn,
        device=device_of(arguments),
        truncation=arguments.truncation,
    )
    tell_left_out(sampler, arguments.text or ())
    _read_masks(sampler, arguments)
    if arguments.prompts:
        from toolbox.cli.prompt_words import prompt_table

        show(prompt_table(sampler, arguments.run, arguments.columns))
        return 0
    if numbers:
        return _write_files(sampler, numbers, arguments)
    out = Path(arguments.out) if arguments.out else _default_picture(sampler, arguments)
    if arguments.attention:
        from toolbox.visual.attention import save_attention

        show(save_attention(sampler, arguments.text, out))
        return 0
    images, names, columns = draw(sampler, arguments)
    one = arguments.text[0] if arguments.text and not names else None
    if arguments.masks:
        columns, images = columns + 1, _beside_their_masks(sampler, arguments.masks, images, columns)
    save_grid(images, out, columns=columns, row_names=names or None, title=one)
    show(out)
    return 0


def _numbers_asked_for(arguments: argparse.Namespace) -> list[int]:
    """Numbers of the images that become files; [] for a grid."""
    if arguments.mode is not None and arguments.coefficients:
        raise CatalogError(
            "--cluster and --coefficients exclude each other: one cluster alone, or shares of all"
        )
    if arguments.attention and not arguments.text:
        raise CatalogError("--attention is to the words of a caption: say which with --text or --texts")
    _check_masks(arguments)
    numbers = arguments.seeds or list(range(arguments.n or 0))
    if not numbers:
        return []
    if arguments.masks and len(arguments.masks) > 1:
        raise CatalogError("one --mask at a time goes with --n and --seeds, which write a file an image")
    if arguments.text and len(arguments.text) > 1:
        raise CatalogError("one --text at a time goes with --n and --seeds, which write a file an image")
    of_grids = dict(
        by=arguments.by,
        interpolate=arguments.interpolate,
        prompts=arguments.prompts,
        attention=arguments.attention,
    )
    for name, value in of_grids.items():
        if value:
            raise CatalogError(f"--{name} does not go with --n and --seeds, which write a file an image")
    if not arguments.out:
        raise CatalogError("say where the images are to go: --out FOLDER")
    return numbers


def _write_files(sampler: Sampler, numbers: list[int], arguments: argparse.Namespace) -> int:
    """One file an image; prints the folder."""
    from toolbox.visual.sample_folder import write_samples

    request = _request(arguments)
    written = write_samples(sampler, numbers, arguments.out, request if request.asks() else None)
    there = f"; {written.there} were there already" if written.there else ""
    show(f"{arguments.out}: {written.drawn} images drawn{there}")
    return 0


def _default_picture(sampler: Sampler, arguments: argparse.Namespace) -> Path:
    """Called by all that was asked, so that no grid is written over another."""
    source = Path(arguments.run)
    name = f"samples-iter_{int(sampler.game.iteration)}" if source.is_dir() else f"{source.stem}-samples"
    usual = dict(columns=10, seed=0, truncation=1.0, bn="running")
    asked = dict(
        by=arguments.by,
        **{"class": arguments.class_name},
        cluster=arguments.mode,
        coefficients=arguments.coefficients,
        text=arguments.text,
        mask=arguments.masks and [Path(file).stem for file in arguments.masks],
        attention=arguments.attention or None,
        interpolate=arguments.interpolate,
        steps=arguments.steps if arguments.interpolate else None,
        **{key: getattr(arguments, key) for key in usual if getattr(arguments, key) != usual[key]},
    )
    words = [f"-{key}-{_for_a_name(value)}" for key, value in asked.items() if value is not None]
    return (source if source.is_dir() else source.parent) / f"{name}{''.join(words)}.png"


def _for_a_name(value: object) -> str:
    """A value as a part of a file's name; what does not fit into one is told apart by a digest."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    plain = re.sub(r"[^\w.,+]", "_", text)[:40]
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def draw(sampler: Sampler, arguments: argparse.Namespace) -> tuple[Tensor, list[str], int]:
    """(images, row names, columns) of what was asked for."""
    columns = arguments.columns
    if arguments.interpolate:
        return _interpolation(sampler, arguments), [], arguments.steps
    if arguments.text and len(arguments.text) > 1:
        return _rows_of_texts(sampler, arguments.text, columns)
    if arguments.masks:
        return _rows_of_masks(sampler, arguments.masks, columns)
    if arguments.coefficients or arguments.text:
        if arguments.text is None:
            _check_class(sampler, arguments)
        return _one_request(sampler, _request(arguments), columns), [], columns
    kind = arguments.by or ("cluster" if arguments.mode is not None else None)
    if kind is None or kind == "class":
        if arguments.class_name is not None:
            _check_class(sampler, arguments)
            request = _request(arguments)
            return _one_request(sampler, request, ROWS_OF_ONE_CLASS * columns), [], columns
        return *sampler.sheet(columns, by=kind), columns
    return _rows_of(sampler, kind, arguments)


def _request(arguments: argparse.Namespace) -> Request:
    """What the options ask for."""
    from toolbox.interfaces import Request

    coefficients = tuple(arguments.coefficients) if arguments.coefficients else None
    text = arguments.text[0] if arguments.text else None
    mask = _mask_of(arguments.masks[0]) if arguments.masks else None
    return Request(arguments.class_name, arguments.mode, coefficients, text, mask)


def _check_masks(arguments: argparse.Namespace) -> None:
    """A mask says all that is shown: nothing else goes with it."""
    others = ("class_name", "mode", "coefficients", "text", "by", "interpolate", "attention", "prompts")
    given = [name for name in others if getattr(arguments, name) not in (None, False)]
    if arguments.masks and given:
        option = {"class_name": "class", "mode": "cluster"}.get(given[0], given[0])
        raise CatalogError(f"--mask and --{option} exclude each other: a mask says all that is shown")


def _mask_of(file: str) -> Tensor:
    """(H, W) int64 of an index mask in a file."""
    import torch

    from toolbox.data.masks import decode_mask

    return torch.from_numpy(decode_mask(Path(file), file)).long()


def _read_masks(sampler: Sampler, arguments: argparse.Namespace) -> None:
    """Refuse masks that the run cannot show, naming the file, before anything is drawn."""
    import torch

    from toolbox.interfaces import Request

    for file in arguments.masks or ():
        mask = _mask_of(file)
        try:
            sampler.conditions(torch.arange(1), Request(mask=mask))
        except ValueError as error:
            raise CatalogError(f"--mask {file}: {error}") from None


def _rows_of_masks(sampler: Sampler, files: list[str], columns: int) -> tuple[Tensor, list[str], int]:
    """A row a mask, the same latents in every row: an edit before and after, image by image."""
    import torch

    from toolbox.interfaces import Request

    latents = torch.arange(columns)
    rows = [sampler(latents, requests=Request(mask=_mask_of(file))).images for file in files]
    return torch.cat(rows), [Path(file).stem for file in files], columns


def _beside_their_masks(sampler: Sampler, files: list[str], images: Tensor, columns: int) -> Tensor:
    """Each row of images (rows * columns, 3, H, W) with the picture of its mask before it."""
    import torch

    from toolbox.visual.masks import picture_of_mask

    pictures = [picture_of_mask(_mask_of(file)) for file in files]
    rows = zip(pictures, images.cpu().split(columns), strict=True)
    return torch.cat([torch.cat([picture[None], row]) for picture, row in rows])


def _rows_of_texts(sampler: Sampler, texts: list[str], columns: int) -> tuple[Tensor, list[str], int]:
    """A row a caption, the same latents in every row."""
    import torch

    from toolbox.interfaces import Request

    latents = torch.arange(columns)
    rows = [sampler(latents, requests=Request(text=text)).images for text in texts]
    return torch.cat(rows), texts, columns


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


def _count(text: str) -> int:
    """A number of images."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return int(text)


def _seeds(text: str) -> list[int]:
    """'0-99' as numbers."""
    from toolbox.visual.sample_folder import numbers_of

    try:
        return numbers_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _numbers(text: str) -> list[float]:
    """'0.7,0.3' as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0.7,0.3,0") from None
