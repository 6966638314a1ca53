"""``toolbox ipl``: what the plugin adds to the command line.

Heavy modules are imported when a command is called.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from toolbox.runs.terminal import show

# what --help says of a command, what adds its options, what is called with them
Command = tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]


def add_commands(subparsers: Any) -> None:
    """Add ``ipl`` with its own sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ipl",
        help="adapted generators: real images translated, tables, studies",
        description="Zero-shot adaptation of generators (IPL, StyleGAN-NADA, Diff-IPL).",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (summary, add_arguments, execute) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        add_arguments(command)
        command.set_defaults(execute=execute)


def _translate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Real images through the source and the adapted generator: input, reconstruction and translation, as "
        "files and in one figure. A Diffusion Autoencoder inverts them; for a style-based generator latents "
        "are optimised in W+ (there is no e4e or pSp encoder here). Pictures are square and aligned as the "
        "generator's training images were; nothing here finds faces."
    )
    parser.add_argument(
        "run", help="a run's folder, a checkpoint in it, or a release of the adapted generator"
    )
    parser.add_argument("images", nargs="+", help="pictures, or folders of them")
    parser.add_argument("-o", "--out", required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--source",
        help="the source: a file, a run, or a generator's name (default: the run's network 'source')",
    )
    parser.add_argument("--steps", type=int, help="of rendering (default: the source's own)")
    parser.add_argument(
        "--inversion-steps",
        type=int,
        help="of the inverse (default: the source's own, or 300 of the optimiser)",
    )
    parser.add_argument("--crop", action="store_true", help="take the centre of pictures that are not square")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default %(default)s)")


def _translate(arguments: argparse.Namespace) -> int:
    from toolbox_ipl import translation

    pair = translation.load_pair(arguments.run, arguments.source, arguments.device)
    names, images = translation.read_images(arguments.images, pair.source.image_size, arguments.crop)
    images = images.to(arguments.device)
    again, translated = translation.translate(pair, images, arguments.steps, arguments.inversion_steps)
    numbers = translation.measure(pair, images, again, translated)
    figure = translation.write(arguments.out, names, (images, again, translated), numbers)
    for name, values in numbers.items():
        show(f"{name}: {sum(values) / len(values):.4f} (mean of {len(values)})")
    show(str(figure))
    return 0


_COMMANDS: dict[str, Command] = {
    "translate": ("real images: input, reconstruction, translation", _translate_arguments, _translate),
}
