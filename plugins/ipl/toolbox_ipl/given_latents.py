"""Latents in W+ of real images that an encoder of the user's found (e4e, pSp), from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.models.style_based import StyleBasedGenerator
from toolbox.runs.files import write_whole
from toolbox.weights.errors import WeightsError
from toolbox.weights.reading import read_weights


class LatentsError(ValueError):
    """A file of latents that does not go with the images or the generator."""


def read_latents(path: str | Path, files: Sequence[str | Path], generator: StyleBasedGenerator) -> Tensor:
    """ws (N, n_styles, style_dim) float32 of N pictures, from a file.

    It holds one array, in the order of the pictures: (N, n_styles, style_dim) of W+, or (N, style_dim) of W,
    which all styles then share. Or, of a file of torch.save, (n_styles, style_dim) by the pictures' names,
    with or without suffix. The mean w is in them, as e4e and pSp write them.

    Args:
        path: .npy, or whatever torch.save or safetensors wrote; no code in it runs.
        files: the pictures.
        generator: whose W they are in.

    Raises:
        LatentsError: for a file that cannot be read, other shapes, numbers that are not finite, or pictures
            that it does not name.
    """
    if not Path(path).is_file():
        raise LatentsError(f"latents={str(path)!r}: no such file")
    found = _read(Path(path))
    numbered = list(found) == [str(i) for i in range(len(found))]  # a list
    ws = next(iter(found.values())) if list(found) == ["tensor"] else None
    ws = torch.stack([*found.values()]) if ws is None and numbered else ws
    ws = _by_name(found, files, path) if ws is None else ws
    one = (generator.n_styles, generator.style_dim)
    if len(files) == 1 and tuple(ws.shape) == one:
        ws = ws[None]
    if tuple(ws.shape) == (len(files), one[1]):
        ws = ws[:, None].expand(-1, one[0], -1)
    if tuple(ws.shape) != (len(files), *one):
        raise LatentsError(
            f"{path} holds latents of shape {tuple(ws.shape)}; {len(files)} pictures and this generator need "
            f"({len(files)}, {one[0]}, {one[1]}) of W+, or ({len(files)}, {one[1]}) of W"
        )
    if not ws.isfinite().all():
        raise LatentsError(f"{path} holds latents that are not finite")
    return ws.float()


def write_latents(path: str | Path, names: Sequence[str], ws: Tensor) -> Path:
    """A file that :func:`read_latents` reads, by the pictures' names; its path."""
    own = {name: row.clone() for name, row in zip(names, ws.cpu(), strict=True)}
    write_whole(path, lambda file: torch.save(own, file))
    return Path(path)


def _read(path: Path) -> Mapping[str, Tensor]:
    """{name: tensor}; 'tensor' of an array by itself."""
    try:
        if path.suffix == ".npy":
            return {"tensor": torch.from_numpy(np.load(path, allow_pickle=False))}
        return read_weights(path).tensors
    except (WeightsError, OSError, ValueError, TypeError) as error:
        raise LatentsError(f"{path} cannot be read as latents: {error}") from error


def _by_name(found: Mapping[str, Tensor], files: Sequence[str | Path], path: str | Path) -> Tensor:
    rows = []
    for file in map(Path, files):
        row = found.get(file.name, found.get(file.stem))
        if row is None:
            hint = near_miss(file.name, found)
            raise LatentsError(f"{path} holds no latents of {file.name!r}{hint}: it has {len(found)} names")
        rows.append(row)
    shapes = {tuple(row.shape) for row in rows}
    if len(shapes) > 1:
        raise LatentsError(f"{path} holds latents of several shapes: {', '.join(map(str, sorted(shapes)))}")
    return torch.stack(rows)
