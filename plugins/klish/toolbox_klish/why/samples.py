"""Features with a part for each row: of a generator of drawn portraits, and of drawn walls and arcs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolbox.features import FeatureStream, default_layers, feature_stream, stack_maps
from toolbox.interfaces import Generator, Segmenter
from toolbox.registry import build
from toolbox_klish.toy import curved_clusters

Rows = NDArray[np.float32]  # (N, D)
Labels = NDArray[np.int64]  # (N,)

TEST_SEED = 2022  # of the images that are judged: the authors'
HIGHEST = 3  # maps that are clustered, where a variant names no others
BLUR = 1.5  # of the parts in the drawn samples of that name; a part's own direction has length 4


@dataclass(frozen=True)
class Size:
    """How much of each set is clustered and judged.

    Attributes:
        images, pixels: that are clustered, and random pixels of each.
        test_images: other images, as many pixels of each.
        shown: of these, drawn whole.
    """

    images: int = 24
    pixels: int = 1024
    test_images: int = 64
    shown: int = 4


@dataclass(frozen=True)
class Sample:
    """Rows to cluster, and images to judge by.

    Attributes:
        name: in tables and files.
        fit: (N, D).
        parts: (N,) part of each row of ``fit``: for what is said of the data, never for a fit.
        place: (N, 2) in [-1, 1], where its pixel lies; None = nowhere.
        test: [(P, D)] of each judged image.
        truth: [(P,)] its parts.
        part_names: of the numbers in ``truth``.
        wall: the part that is a plain wall; None = none.
        layers: {name: columns}, coarse to fine; {} where there are none.
        shown: (images, H * W, D) of images to draw.
        pictures: (images, 3, H, W) these, in [-1, 1].
        shown_truth: (images, H * W).
    """

    name: str
    fit: Rows
    parts: Labels
    place: NDArray[np.float64] | None
    test: Sequence[Rows]
    truth: Sequence[Labels]
    part_names: Sequence[str]
    wall: int | None = None
    layers: dict[str, slice] = field(default_factory=dict)
    shown: Rows | None = None
    pictures: NDArray[np.float32] | None = None
    shown_truth: Labels | None = None

    def changed(self, change: Callable[[Rows], Rows]) -> Sample:
        """The same with other columns, or with rows of another length."""
        shown = None if self.shown is None else np.stack([change(image) for image in self.shown])
        return replace(self, fit=change(self.fit), test=[change(image) for image in self.test], shown=shown)


def of_generator(generator: Generator, name: str, seed: int, size: Size, truth: Segmenter) -> Sample:
    """Maps of the last layer of each resolution, as many as table II's rule keeps, and what a segmenter sees.

    Args:
        generator: with feature layers.
        name: of the sample.
        seed: of the clustered images.
        size: of it.
        truth: says which part a pixel shows; its part 0 is the wall.
    """
    pixels = generator.image_size
    at: dict[str, Any] = dict(
        layers=default_layers(generator), size=pixels, truncation=_truncation(generator), keep=0
    )
    fitted = feature_stream(generator, size.images, seed=seed, **at)
    judged = feature_stream(generator, size.test_images, seed=TEST_SEED, **at)
    count = min(size.pixels, pixels * pixels)
    fit = [_pixels(fitted, i, count, truth, seed) for i in range(size.images)]
    test = [_pixels(judged, i, count, truth, TEST_SEED) for i in range(size.test_images)]
    whole = [_pixels(judged, i, pixels * pixels, truth, 0) for i in range(min(size.shown, size.test_images))]
    ends = np.cumsum([0, *fitted.channels]).tolist()
    return Sample(
        name,
        np.concatenate([rows for rows, _, _ in fit]),
        np.concatenate([parts for _, parts, _ in fit]),
        np.concatenate([place for _, _, place in fit]),
        [rows for rows, _, _ in test],
        [parts for _, parts, _ in test],
        list(truth.part_names),
        0,
        {layer: slice(*ends[i : i + 2]) for i, layer in enumerate(fitted.layers)},
        np.stack([rows for rows, _, _ in whole]),
        np.stack([judged.image(i).cpu().numpy() for i in range(len(whole))]),
        np.stack([parts for _, parts, _ in whole]),
    )


def without_wall(sample: Sample) -> Sample:
    """The rows of all other parts: of both clustered and judged images, by the truth."""
    kept = sample.parts != sample.wall
    inside = [parts != sample.wall for parts in sample.truth]
    return replace(
        sample,
        name=f"{sample.name}-parts",
        fit=sample.fit[kept],
        parts=sample.parts[kept],
        place=None if sample.place is None else sample.place[kept],
        test=[rows[chosen] for rows, chosen in zip(sample.test, inside, strict=True)],
        truth=[parts[chosen] for parts, chosen in zip(sample.truth, inside, strict=True)],
        wall=None,
        shown=None,
    )


def drawn_wall(
    amplitude: float, seed: int, size: Size, blur: float = 0.0, width: int = 32, parts: int = 6
) -> Sample:
    """Drawn features: parts in a disc, each with a direction of its own, before a wall of half of the pixels.

        x = 4 e_part + amplitude * code(place) + noise,   noise N(0, 0.3^2) in each direction

    The wall is one part like the others, and place is in the rows of all parts alike. So two things alone
    change: how much a row says of where its pixel lies, and how well planes part the parts before the wall.

    Args:
        amplitude: of place; 0 = none.
        seed: of the fitted rows.
        size: images and pixels of each.
        blur: standard deviation of further noise, in the directions of the parts before the wall, of their
            rows.
        width: D.
        parts: besides the wall.
    """
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((width, width)))[0]
    how = (amplitude, blur, basis, parts)
    fit = _drawn_rows(np.random.default_rng([1, seed]), size.images * size.pixels, *how)
    rng = np.random.default_rng([2, seed])
    test = [_drawn_rows(rng, size.pixels, *how) for _ in range(size.test_images)]
    names = ["wall", *(f"part {number}" for number in range(1, parts + 1))]
    judged, truth = [rows for rows, _, _ in test], [labels for _, labels, _ in test]
    name = f"{'blurred' if blur else 'wall'}-{amplitude:g}"
    return Sample(name, *fit, judged, truth, names, wall=0)


def arcs(seed: int, size: Size, classes: int = 6) -> Sample:
    """The drawn set of ``toolbox klish table``, a quarter of the pixels: arcs that planes alone can part."""
    pixels = max(size.pixels // 4, 1)
    first, rows = size.images * pixels, (size.images + size.test_images) * pixels
    X, y = curved_clusters(rows, classes + 2, classes, seed=seed, spread=8.0)
    images = [slice(at, at + pixels) for at in range(first, rows, pixels)]
    names = [f"arc {number}" for number in range(1, classes + 1)]
    return Sample(
        "arcs", X[:first], y[:first], None, [X[at] for at in images], [y[at] for at in images], names
    )


def sample_of(name: str, seed: int, size: Size) -> Sample:
    """A sample by its name: 'embedded', 'arcs', 'wall-2', a generator's file or folder; '...-parts' of these.

    Raises:
        ValueError: for a name that is none of them.
    """
    if name == "arcs":
        return arcs(seed, size)
    kind, _, amplitude = name.partition("-")
    if kind in ("wall", "blurred") and amplitude.replace(".", "", 1).isdecimal():
        return drawn_wall(float(amplitude), seed, size, BLUR if kind == "blurred" else 0.0)
    if name.endswith("-parts"):
        return without_wall(sample_of(name.removesuffix("-parts"), seed, size))
    source: dict[str, Any] = dict(type="EmbeddedStyleGAN2")
    if name != "embedded":
        if not Path(name).exists():
            raise ValueError(
                f"data {name!r}: neither embedded, arcs, wall-2, blurred-2 nor a generator's file or folder; "
                "each may end in -parts"
            )
        source = {"run" if Path(name).is_dir() else "weights": name}
    from toolbox_klish.runs.run import build_generator

    truth: Segmenter = build(dict(type="EmbeddedSegmenter"), "segmenter")
    return of_generator(build_generator(source).eval(), Path(name).stem, seed, size, truth.eval())


def _pixels(
    stream: FeatureStream, i: int, count: int, truth: Segmenter, seed: int
) -> tuple[Rows, Labels, NDArray[np.float64]]:
    """Features, parts and places of ``count`` random pixels of an image, in raster order."""
    chosen = np.random.default_rng([seed, i]).permutation(stream.size**2)[:count]
    chosen.sort()
    maps = stack_maps(stream.maps(i), stream.size)[0].flatten(1).T  # (H * W, D)
    with torch.no_grad():
        parts = truth.labels(stream.image(i)[None], stream.size)[0].flatten().cpu().numpy()
    line = np.linspace(-1, 1, stream.size)
    place = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return maps.cpu().numpy()[chosen], parts[chosen], place[chosen]


def _truncation(generator: Generator) -> float:
    """That of configs/klish_embedded.py, where the generator has any."""
    return 1.0 if type(generator).truncated is Generator.truncated else 0.7


def _drawn_rows(
    rng: np.random.Generator, rows: int, amplitude: float, blur: float, basis: NDArray[np.float64], parts: int
) -> tuple[Rows, Labels, NDArray[np.float64]]:
    place = rng.uniform(-1, 1, (rows, 2))
    radius = np.hypot(*place.T)
    sector = np.floor((np.arctan2(*place.T) / (2 * np.pi) + 0.5) * parts).astype(np.int64) % parts
    labels = np.where(radius < 0.8, sector + 1, 0)  # a disc of half of the square
    features = 0.3 * rng.standard_normal((rows, len(basis)))
    features[np.arange(rows), labels] += 4.0
    features[:, 1 : parts + 1] += blur * rng.standard_normal((rows, parts)) * (labels > 0)[:, None]
    code = np.concatenate([place, np.sin(np.pi * place), np.cos(np.pi * place)], axis=1)
    features[:, parts + 1 : parts + 1 + code.shape[1]] += amplitude * code
    return (features @ basis.T).astype(np.float32), labels, place
