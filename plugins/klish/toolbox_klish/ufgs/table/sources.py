"""Generated images of a seed, and what every source of masks sees in them: drawn once, for all segmenters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

import toolbox
from toolbox.data.base import ArraySet, Mask, to_uint8
from toolbox.features import feature_stream
from toolbox.interfaces import Generator, Segmenter
from toolbox.runs.files import write_whole
from toolbox.runs.terminal import tracked
from toolbox_klish.lse.annotations import annotate
from toolbox_klish.lse.fitting import fit_few
from toolbox_klish.lse.planes import Planes
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.segment import segment

SEED = 1113  # of the images, the authors'; 1113 + s of seed s
TEST_SEED = 2022  # of those that nothing was trained on
TRUNCATION = 0.7
LSE_RATE = 5e-3  # of Adam: five times the authors', for a tenth of their steps
Masks = NDArray[np.uint8]  # (N, H, W)


class GeneratedImages(ArraySet):
    """Generated images with a teacher's labels as masks.

    Args:
        images: (N, H, W, 3) uint8.
        masks: (N, H, W).
        part_names: of the masks.
    """

    def __init__(self, images: NDArray[np.uint8], masks: Masks, part_names: Sequence[str]) -> None:
        super().__init__(images, np.zeros(len(images), dtype=np.int64), ["image"], title="generated images")
        self.part_names = list(part_names)
        self._masks = masks

    def mask(self, i: int) -> Mask:
        return self._masks[i]


def classifier(run: ClusterRun, teacher: Segmenter, source: str, k: int, seed: int, shown: int) -> Any:
    """What segments maps as a source does.

    Args:
        run: of the clusterers.
        teacher: whose labels stand for a person's annotations.
        source: name of a clusterer of the run, or 'lse-N': N annotations.
        k: number of clusters.
        seed: of the table; clusterers were fitted with that of the run at its place.
        shown: images that LSE sees, for each that is annotated.
    """
    if not source.startswith("lse-"):
        return run.classifier(k, source, run.seeds[seed])
    n = int(source.removeprefix("lse-"))
    few = annotate(run.generator, teacher, n, seed=seed, truncation=TRUNCATION)
    return Planes.of(fit_few(run.generator, few, shown * n, lr=LSE_RATE, seed=seed))


def draw(
    generator: Generator,
    classifiers: Mapping[str, Any],
    layers: Sequence[str],
    teacher: Segmenter,
    images: int,
    seed: int,
) -> tuple[NDArray[np.uint8], dict[str, Masks]]:
    """Images (N, H, W, 3), and {name: masks (N, H, W)} of each classifier and of the 'teacher'.

    Args:
        generator: in eval mode.
        classifiers: {name: of maps}; ``layers`` of its own where it has any.
        layers: whose maps clusterers were fitted on.
        teacher: in eval mode.
        images, seed: N, and what they are drawn with.
    """
    every = list(dict.fromkeys([*generator.feature_layers]))
    stream = feature_stream(
        generator, images, every, size=generator.image_size, truncation=TRUNCATION, seed=seed, noise="const"
    )
    pixels, masks = [], {name: [] for name in [*classifiers, "teacher"]}  # type: ignore[var-annotated]
    for i in tracked(range(images), images, "generated images"):
        drawn = stream.draw([i])
        maps = dict(zip(stream.layers, drawn.maps, strict=True))
        pixels.append(to_uint8(drawn.images)[0].numpy())
        masks["teacher"].append(teacher.labels(drawn.images)[0].numpy())
        for name, classifier in classifiers.items():
            own = [maps[layer] for layer in getattr(classifier, "layers", layers)]
            masks[name].append(segment(classifier, own, generator.image_size)[0].numpy())
    return np.stack(pixels), {name: np.stack(found).astype(np.uint8) for name, found in masks.items()}


def keep(path: Path, images: NDArray[np.uint8], masks: Mapping[str, Masks]) -> None:
    """Both as an npz, whole or not at all; masks of other sources that are there already stay."""
    before = kept(path)[1] if path.is_file() else {}
    arrays: dict[str, Any] = {f"masks {name}": found for name, found in {**before, **masks}.items()}
    write_whole(path, lambda file: np.savez(file, images=images, **arrays))


def names_of(path: Path) -> set[str]:
    """The sources of a file that :func:`keep` has written; none where there is no file."""
    if not path.is_file():
        return set()
    with np.load(path, allow_pickle=False) as file:
        return {key.removeprefix("masks ") for key in file if key != "images"}


def kept(path: Path) -> tuple[NDArray[np.uint8], dict[str, Masks]]:
    """What :func:`keep` has written."""
    with np.load(path, allow_pickle=False) as file:
        masks = {key.removeprefix("masks "): file[key] for key in file if key != "images"}
        return file["images"], masks


def write_folder(root: Path, images: Iterable[NDArray[np.uint8]], masks: Iterable[Masks]) -> None:
    """Images and masks as :class:`toolbox.data.masks.MaskFolder` reads them."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        Pillow.fromarray(image).save(root / "images" / f"{i:06d}.png", compress_level=1)
        Pillow.fromarray(mask).save(root / "masks" / f"{i:06d}.png", compress_level=1)


def embedded_teacher() -> Segmenter:
    """The embedded segmenter."""
    teacher: Segmenter = toolbox.build(dict(type="EmbeddedSegmenter"), "segmenter")
    return teacher.eval()
