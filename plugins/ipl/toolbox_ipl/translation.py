"""Real images through a source and an adapted generator: input, reconstruction, translation."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.data.base import to_tensor, to_uint8
from toolbox.data.pictures import decode, resize
from toolbox.interfaces import Generator, Invertible, Sample
from toolbox.loading import load_generator, load_sampler
from toolbox.models.style_based import StyleBasedGenerator
from toolbox.registry import build
from toolbox.runs.files import write_text
from toolbox.visual.grids import save_grid, save_picture
from toolbox_ipl.given_latents import read_latents, write_latents
from toolbox_ipl.likeness import Likeness
from toolbox_ipl.projection import project

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class TranslationError(ValueError):
    """Images, or generators, that cannot be translated; the message says why and what to do."""


@dataclass(frozen=True)
class Pair:
    """What translates.

    Attributes:
        source: whose latents images are given.
        adapted: what renders them.
        features: images -> (N, d) of the run's CLIP; None where there is none.
    """

    source: Generator
    adapted: Generator
    features: Callable[[Tensor], Tensor] | None = None


def load_pair(path: str | Path, source: str | None = None, device: str = "cpu") -> Pair:
    """The adapted generator (its average, where there is one) of a run or release, and its source.

    Args:
        path: a run's folder, a checkpoint in one, or a release.
        source: whatever ``load_generator`` opens, or a generator's registered name; None = the network
            'source' of the run.

    Raises:
        TranslationError: for a release without a source, or two that do not go together.
    """
    sampler = load_sampler(path, device=device)
    adapted = sampler.generator
    networks = dict(sampler.game.networks.items())
    found: Any = networks.get("source")
    if source is not None:
        found = build(dict(type=source), "generator") if source.isidentifier() else load_generator(source)
    if found is None:
        raise TranslationError(
            f"{path} holds no source, a release has the adapted generator alone: name it by --source, a file "
            "or such as --source EmbeddedDiffAE"
        )
    found = found.to(device).eval().requires_grad_(False)
    adapted = adapted.eval().requires_grad_(False)
    _check_alike(found, adapted)
    clip = networks.get("clip")
    return Pair(found, adapted, getattr(clip, "encode_images", None))


def _check_alike(source: Generator, adapted: Generator) -> None:
    for name in ("image_size", "latent_dim", "style_dim", "n_styles"):
        one, other = getattr(source, name, None), getattr(adapted, name, None)
        if one != other:
            raise TranslationError(
                f"the source has {name}={one}, the adapted generator {other}: they do not go together"
            )
    if not isinstance(source, (Invertible, StyleBasedGenerator)):
        raise TranslationError(
            f"{type(source).__name__} has no inverse: a Diffusion Autoencoder or a style-based generator is "
            "needed"
        )


def read_images(paths: Sequence[str | Path], size: int, crop: bool = False) -> tuple[list[str], Tensor]:
    """Names, and images (N, 3, size, size) in [-1, 1], of files and of the pictures in folders.

    Args:
        paths: files and folders.
        size: of the generator's images.
        crop: take the centre of a picture that is not square.

    Raises:
        TranslationError: for no picture, or one that is not square without ``crop``.
    """
    files = picture_files(paths)
    images = []
    for file in files:
        image = decode(file, str(file), background="white")
        height, width = image.shape[:2]
        if height != width and not crop:
            raise TranslationError(
                f"{file} is {width} x {height} pixels, not square. Faces must be cropped and aligned as "
                "those that the generator was trained on: nothing here finds faces. --crop takes the centre"
            )
        images.append(to_tensor(resize(image, size)))
    return _names(files), torch.stack(images)


def picture_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files among ``paths``, and the pictures in its folders, by name.

    Raises:
        TranslationError: for what is not there, and folders without pictures.
    """
    return [file for path in paths for file in _files(Path(path))]


def given_latents(pair: Pair, path: str | Path, files: Sequence[Path]) -> Tensor:
    """ws (N, n_styles, style_dim) of pictures from a file: see
    :func:`toolbox_ipl.given_latents.read_latents`.

    Raises:
        TranslationError: for a source that has no W+.
        LatentsError: for latents that do not fit.
    """
    source = pair.source
    if not isinstance(source, StyleBasedGenerator):
        raise TranslationError(f"{type(source).__name__} inverts images itself: it takes no latents in W+")
    ws = read_latents(path, files, source)
    return ws.to(next(source.parameters()).device)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not found:
            raise TranslationError(f"{path} holds no pictures ({', '.join(SUFFIXES)})")
        return found
    if not path.is_file():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise TranslationError(f"{path} does not exist{near_miss(path.name, beside)}")
    return [path]


def _names(files: Sequence[Path]) -> list[str]:
    """Names without suffix, numbered where two are alike."""
    stems = [file.stem for file in files]
    return [stem if stems.count(stem) == 1 else f"{stem}_{i}" for i, stem in enumerate(stems)]


def translate(
    pair: Pair, images: Tensor, steps: int | None = None, inversion_steps: int | None = None
) -> tuple[Tensor, Tensor]:
    """Reconstructions by the source and translations, each (N, 3, H, W) in [-1, 1]: :func:`invert`, then
    :func:`render`.
    """
    return render(pair, invert(pair, images, steps, inversion_steps))


@torch.no_grad()
def invert(
    pair: Pair,
    images: Tensor,
    steps: int | None = None,
    inversion_steps: int | None = None,
    ws: Tensor | None = None,
) -> Sample:
    """Latents of images (N, 3, H, W) in [-1, 1], as the generators take them.

    A Diffusion Autoencoder inverts the images; latents of a style-based generator are given, or optimised in
    W+ (see :func:`toolbox_ipl.projection.project`).

    Args:
        pair: of generators.
        images: (N, 3, H, W) in [-1, 1].
        steps: of rendering, of generators that render in steps; None = the source's own.
        inversion_steps: of the inverse; None = its own, or 300 steps of the optimiser.
        ws: (N, n_styles, style_dim) that somebody found for a style-based generator.

    """
    source = pair.source
    if isinstance(source, Invertible):
        latents = source.invert(images, inversion_steps)
        count: Any = steps or getattr(source, "steps", 1)
        return Sample(images, latents=latents, extras=dict(steps=torch.full((len(images),), int(count))))
    assert isinstance(source, StyleBasedGenerator)
    if ws is None:
        with torch.enable_grad():
            ws = project(source, images, inversion_steps or 300, pair.features)
    nothing = torch.zeros(len(images), source.latent_dim, device=images.device)
    return Sample(images, latents=nothing, extras=dict(ws=ws))


@torch.no_grad()
def render(pair: Pair, sample: Sample) -> tuple[Tensor, Tensor]:
    """What source and adapted generator make of inverted images, each (N, 3, H, W) in [-1, 1]."""
    made = [network.remake(sample).images.clamp(-1, 1) for network in (pair.source, pair.adapted)]
    return made[0], made[1]


@torch.no_grad()
def measure(
    pair: Pair, images: Tensor, again: Tensor, translated: Tensor, likenesses: Sequence[Likeness] = ()
) -> dict[str, list[float]]:
    """Of each image: root mean square errors, and cosines of the run's CLIP where it has one.

    Each of ``likenesses`` compares the input with its reconstruction, and with its translation.
    """
    found = {
        "reconstruction error": (again - images).square().flatten(1).mean(1).sqrt(),
        "change by translation": (translated - again).square().flatten(1).mean(1).sqrt(),
    }
    if pair.features is not None:
        likenesses = [Likeness("CLIP cosine", pair.features), *likenesses]
    for likeness in likenesses:
        seen = likeness.see(images)
        for what, others in (("reconstruction", again), ("translation", translated)):
            found[f"{likeness.name} of input and {what}"] = likeness.between(seen, likeness.see(others))
    return {name: [round(float(value), 4) for value in values] for name, values in found.items()}


def write(
    folder: str | Path,
    names: Sequence[str],
    rows: tuple[Tensor, Tensor, Tensor],
    numbers: dict[str, list[float]],
    found: Sample | None = None,
) -> Path:
    """Files NAME_input.png, NAME_reconstruction.png, NAME_translation.png, translation.json, figure.png; and
    latents.pt, of latents in W+.
    """
    folder = Path(folder)
    columns = ("input", "reconstruction", "translation")
    for what, images in zip(columns, rows, strict=True):
        for name, picture in zip(names, to_uint8(images.cpu()).numpy(), strict=True):
            save_picture(picture, folder / f"{name}_{what}.png")
    if found is not None and "ws" in found.extras:
        write_latents(folder / "latents.pt", names, found.extras["ws"])
    each = {name: {key: values[i] for key, values in numbers.items()} for i, name in enumerate(names)}
    write_text(json.dumps(each, indent=2) + "\n", folder / "translation.json")
    shown = torch.stack(rows, dim=1).flatten(0, 1).cpu()
    return save_grid(shown, folder / "figure.png", 3, row_names=list(names), column_names=list(columns))
