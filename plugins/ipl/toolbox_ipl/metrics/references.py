"""Reference pictures of a target domain, from a folder or a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from toolbox.data.base import to_tensor
from toolbox.data.pictures import SUFFIXES, decode, resize

References = str | Path | Sequence[str | Path]


def picture_files(references: References) -> list[Path]:
    """The pictures of a folder in the order of their names, or the files of a list as they are.

    Raises:
        ValueError: for a folder without pictures, an empty list, or a file that is not there.
    """
    if isinstance(references, (str, Path)) and Path(references).is_dir():
        folder = Path(references)
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise ValueError(f"references={str(folder)!r} holds no pictures ({', '.join(SUFFIXES)})")
        return files
    listed = [references] if isinstance(references, (str, Path)) else list(references)
    if not listed:
        raise ValueError("references is empty: give a folder, or a list of picture files")
    files = [Path(file) for file in listed]
    for file in files:
        if not file.is_file():
            raise ValueError(f"references: {str(file)!r} is neither a picture file nor a folder")
    return files


def read_pictures(files: Sequence[Path], size: int) -> Tensor:
    """Images (R, 3, size, size) in [-1, 1]: the largest centred squares, resized (Lanczos).

    Raises:
        ValueError: for a file that is no picture.
    """
    return torch.stack([to_tensor(resize(decode(file, str(file), "white"), size)) for file in files])
