"""Pictures of two methods that belong together: of folders, or drawn from the same latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from toolbox.data.base import to_uint8
from toolbox.data.pictures import SUFFIXES, decode, resize

Pictures = NDArray[np.uint8]  # (N, H, W, 3)


def pairs(
    first: str, second: str, n: int, size: int = 512, seed: int = 0, truncation: float = 1.0
) -> tuple[Pictures, Pictures]:
    """N pictures of each of two methods, row by row of the same latents, uint8 (N, H, W, 3).

    Args:
        first, second: both folders of pictures with the same names, or both what
            :func:`toolbox.loading.load_sampler` opens (a run, a checkpoint, a release, published weights).
        n: how many.
        size: larger pictures are reduced to this square, in pixels.
        seed: of the latents, or of the choice among the names of folders.
        truncation: of runs.

    Raises:
        ValueError: for a folder beside a run, too few common names, or pictures of two sizes.
    """
    folders = [is_folder_of_pictures(source) for source in (first, second)]
    if all(folders):
        names = _common_names(Path(first), Path(second), n, seed)
        made = [_read(Path(source), names, size) for source in (first, second)]
    elif any(folders):
        raise ValueError(f"{first} and {second}: both must be folders of pictures, or both runs")
    else:
        made = [_drawn(source, n, size, seed, truncation) for source in (first, second)]
    if made[0].shape != made[1].shape:
        raise ValueError(f"pictures of {first} are {made[0].shape[1]} pixels, of {second} {made[1].shape[1]}")
    return made[0], made[1]


def is_folder_of_pictures(source: str) -> bool:
    """Whether a source is a folder with pictures in it, and no run's."""
    path = Path(source)
    return path.is_dir() and not any(path.glob("iter_*.pth")) and bool(_names(path))


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.suffix.lower() in SUFFIXES}


def _common_names(first: Path, second: Path, n: int, seed: int) -> list[str]:
    common = sorted(_names(first) & _names(second))
    if len(common) < n:
        raise ValueError(
            f"{first} and {second} have {len(common)} pictures of the same names, {n} are asked for"
        )
    rows = np.random.default_rng(seed).choice(len(common), n, replace=False)
    return [common[row] for row in sorted(rows)]


def _read(folder: Path, names: list[str], size: int) -> Pictures:
    pictures = [decode(folder / name, str(folder / name), "white") for name in names]
    side = min(size, *(min(picture.shape[:2]) for picture in pictures))
    return np.stack([resize(picture, side) for picture in pictures])


def _drawn(source: str, n: int, size: int, seed: int, truncation: float) -> Pictures:
    from toolbox.loading import load_sampler

    sampler = load_sampler(source, seed=seed, truncation=truncation)
    batches = [sampler(torch.arange(n)[start : start + 8]).images for start in range(0, n, 8)]
    pictures = to_uint8(torch.cat(batches).float().cpu()).numpy()
    return np.stack([resize(picture, min(size, *picture.shape[:2])) for picture in pictures])
