"""Features on the disk: written once as a numpy file, read as a memory map that clusterers take as it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolbox.runs.files import beside

GIB = 2**30


def save_features(
    path: str | Path, chunks: Iterable[NDArray[np.floating]], rows: int, width: int, dtype: str = "float32"
) -> NDArray[np.floating]:
    """Write chunks (n_i, D) into ``path`` (.npy), and return it as a memory map (rows, width).

    The file appears under its name only when it is whole; an earlier one of that name stays as it is until
    then.

    Args:
        path: of the file.
        chunks: as many rows as announced, in all.
        rows: N.
        width: D.
        dtype: 'float32', or 'float16' for half the size (values above 65504 do not fit).

    Raises:
        OSError: when the disk has no room for the file; nothing is written then.
        ValueError: when the chunks have another number of rows or columns, or values that ``dtype`` cannot
            hold.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = rows * width * np.dtype(dtype).itemsize
    check_room(path.parent, needed, f"{rows:,} x {width} features of {dtype}")
    unfinished = beside(path)
    try:
        _write(unfinished, chunks, rows, width, dtype)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return np.asanyarray(np.load(path, mmap_mode="r"))


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise an OSError if the disk of a folder has less room than ``needed`` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{what} need {needed / GIB:.1f} GiB, {folder} has {free / GIB:.1f} GiB free: "
            "take fewer images or pixels, float16, or another disk"
        )


def free_memory() -> int:
    """Bytes that this process may still take.

    That is what the system calls available, or what is left under the limit of its control group.
    """
    found = []
    if hasattr(os, "sysconf"):
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        if "MemAvailable" in fields:  # counts caches that can be dropped; free pages alone do not
            found = [int(fields["MemAvailable"].split()[0]) * 1024]
    group = Path("/sys/fs/cgroup")
    limit = _text_of(group / "memory.max")
    used = _text_of(group / "memory.current")
    if limit.isdigit() and used.isdigit():  # 'max' where there is none
        found.append(int(limit) - int(used))
    return max(0, min(found, default=4 * GIB))


def _text_of(file: Path) -> str:
    return file.read_text().strip() if file.is_file() else ""


def _write(path: Path, chunks: Iterable[NDArray[np.floating]], rows: int, width: int, dtype: str) -> None:
    target = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(rows, width))
    filled = 0
    for chunk in chunks:
        if chunk.ndim != 2 or chunk.shape[1] != width or filled + len(chunk) > rows:
            raise ValueError(
                f"a chunk of shape {chunk.shape} does not fit at row {filled} of ({rows}, {width})"
            )
        if chunk.size and not np.abs(chunk).max() <= np.finfo(dtype).max:
            raise ValueError(
                f"a chunk at row {filled} holds NaN or values beyond {np.finfo(dtype).max:g}: "
                f"{dtype} cannot hold them; use float32"
            )
        target[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    if filled != rows:
        raise ValueError(f"the chunks had {filled} rows, rows={rows} were announced")
    target.flush()
