"""A few generated images with the part of every pixel: what an extractor is fitted on."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox.data.base import DataError
from toolbox.interfaces import Condition, Generator, Segmenter
from toolbox.runs.files import write_whole
from toolbox_klish.lse.taps import Taps, drawn

_KEYS = ("latents", "masks", "part_names", "truncation")


@dataclass(frozen=True)
class Annotations:
    """N images of a generator by their latents, and a mask of each. Maps are made anew, with fresh noise.

    Attributes:
        latents: (N, latent_dim) float32.
        masks: (N, H, H) uint8 number of each pixel's part.
        part_names: of these numbers.
        truncation: that the images were made with.
        labels: (N,) int64 classes, of a class-conditional generator.

    Raises:
        DataError: when they do not fit together, or a mask has a part without a name.
    """

    latents: NDArray[np.float32]
    masks: NDArray[np.uint8]
    part_names: Sequence[str]
    truncation: float
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        latents, masks = self.latents.shape, self.masks.shape
        square = len(masks) == 3 and masks[1] == masks[2]
        if len(latents) != 2 or not square or latents[0] != masks[0] or not masks[0]:
            raise DataError(f"latents {latents} and masks {masks}: expected (N, D) and (N, H, H), N >= 1")
        for i, mask in enumerate(self.masks):
            if mask.max() >= len(self.part_names):
                raise DataError(
                    f"the mask of image {i} has part {mask.max()}, but there are {len(self.part_names)} part "
                    f"names (parts must be 0 to {len(self.part_names) - 1})"
                )

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def size(self) -> int:
        """Pixels of a mask's side."""
        return int(self.masks.shape[1])

    def taps(self, generator: Generator, numbers: Sequence[int], noise: int | None, rows: Any = None) -> Taps:
        """Of some of the images.

        Raises:
            DataError: for a generator of other latents.
        """
        if self.latents.shape[1] != generator.latent_dim:
            raise DataError(
                f"the annotated images have latents of {self.latents.shape[1]} numbers, the generator takes "
                f"{generator.latent_dim}: they are another generator's"
            )
        device = next(generator.parameters()).device
        latents = torch.from_numpy(self.latents[list(numbers)]).to(device)
        condition = None
        if self.labels is not None:
            condition = Condition(labels=torch.from_numpy(self.labels[list(numbers)])).to(device)
        return Taps(generator, latents, condition, noise, self.truncation, rows)

    def truth(self, numbers: Sequence[int], device: torch.device | str) -> Tensor:
        """(n, H, H) int64 of some of the images."""
        return torch.from_numpy(self.masks[list(numbers)]).to(device).long()

    def save(self, path: str | Path) -> None:
        """An npz, whole or not at all."""
        arrays: dict[str, Any] = {
            "latents": self.latents,
            "masks": self.masks,
            "part_names": np.array(list(self.part_names)),
            "truncation": np.float64(self.truncation),
        }
        if self.labels is not None:
            arrays["labels"] = self.labels
        write_whole(path, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: str | Path) -> Annotations:
        """What :meth:`save` has written, or anybody else: masks may be drawn by hand.

        Raises:
            DataError: naming what is missing or does not fit.
        """
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not there, or no npz: it must hold {', '.join(_KEYS)}")
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file]
            if missing:
                raise DataError(f"{path} has no {missing[0]!r}: it must hold {', '.join(_KEYS)}")
            found = {key: file[key] for key in file}
        if found["masks"].dtype != np.uint8:
            raise DataError(f"{path}: masks are {found['masks'].dtype}, they must be uint8")
        names = [str(name) for name in found["part_names"]]
        latents = found["latents"].astype(np.float32)
        try:
            return cls(latents, found["masks"], names, float(found["truncation"]), found.get("labels"))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


@torch.no_grad()
def annotate(
    generator: Generator,
    teacher: Segmenter,
    images: int,
    seed: int = 0,
    truncation: float = 0.7,
    size: int | None = None,
    batch_size: int = 16,
) -> Annotations:
    """Random images with a teacher's labels in the place of a person's.

    Image i is a function of (seed, i): fewer images are the beginning of more.

    Args:
        generator, teacher: in eval mode, on one device.
        images: N.
        seed: of the images.
        truncation: in (0, 1]; the authors' 0.7.
        size: pixels of the masks; None = those of the images.
        batch_size: images that the teacher sees at a time.
    """
    size = size or generator.image_size
    taps = [drawn(generator, 1, seed, "annotated", i, truncation=truncation) for i in range(images)]
    masks = []
    for start in range(0, images, batch_size):
        made = torch.cat([one.images() for one in taps[start : start + batch_size]])
        masks.append(teacher.labels(made, size).cpu().numpy().astype(np.uint8))
    latents = torch.cat([one.latents for one in taps]).cpu().numpy()
    labels = [one.condition.labels for one in taps if one.condition and one.condition.labels is not None]
    known = torch.cat(labels).cpu().numpy() if labels else None
    return Annotations(latents, np.concatenate(masks), list(teacher.part_names), truncation, known)
