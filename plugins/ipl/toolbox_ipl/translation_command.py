"""``toolbox ipl translate``."""

from __future__ import annotations

import argparse

from toolbox.runs.terminal import show

SUMMARY = "real images: input, reconstruction, translation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = (
        "Real images through the source and the adapted generator: input, reconstruction and translation, as "
        "files and in one figure. A Diffusion Autoencoder inverts them; for a style-based generator latents "
        "are optimised in W+, or read by --latents: e4e and pSp are not here, what they wrote is read. "
        "Pictures are square and aligned as the generator's training images were; nothing here finds faces."
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
    parser.add_argument(
        "--latents",
        metavar="FILE",
        help="latents in W+ of the pictures, in their order or by their names (.pt, .npy): of e4e or pSp, or "
        "latents.pt of another translation",
    )
    parser.add_argument(
        "--lpips",
        nargs=2,
        metavar=("VGG", "HEADS"),
        help="files of LPIPS: vgg16-397923af.pth and vgg.pth (default: a stand-in, named as such)",
    )
    parser.add_argument(
        "--identity",
        metavar="FILE",
        help="model_ir_se50.pth, for ID of faces (default: a stand-in, named as such)",
    )
    parser.add_argument("--crop", action="store_true", help="take the centre of pictures that are not square")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default %(default)s)")


def execute(arguments: argparse.Namespace) -> int:
    """Translate, measure and draw; returns the exit code.

    Raises:
        ValueError: for a run without two generators, and pictures that do not fit.
    """
    from toolbox_ipl import translation
    from toolbox_ipl.likeness import likenesses

    if arguments.latents and arguments.inversion_steps:
        raise ValueError("--latents are found already: leave out --inversion-steps")
    device = arguments.device
    compared = likenesses(arguments.lpips, arguments.identity, device)
    pair = translation.load_pair(arguments.run, arguments.source, device)
    files = translation.picture_files(arguments.images)
    names, images = translation.read_images(files, pair.source.image_size, arguments.crop)
    images = images.to(device)
    ws = translation.given_latents(pair, arguments.latents, files) if arguments.latents else None
    found = translation.invert(pair, images, arguments.steps, arguments.inversion_steps, ws)
    again, translated = translation.render(pair, found)
    numbers = translation.measure(pair, images, again, translated, compared)
    figure = translation.write(arguments.out, names, (images, again, translated), numbers, found)
    for name, values in numbers.items():
        show(f"{name}: {sum(values) / len(values):.4f} (mean of {len(values)})")
    show(str(figure))
    return 0
