"""Files of a run, written whole or not at all, and what happens when the disk is full."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from toolbox.runs.locking import holders

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file may not grow so large",
}


class WriteError(OSError):
    """A file of the run could not be written; the message says which, why, and how to go on."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """An open binary file that takes its name when the block ends well: whole, or not there.

    It is written beside, flushed to the disk and renamed: a loss of power changes nothing of that.

    Args:
        path: the file; its folder is made.

    Raises:
        OSError: what the system says; what was there before is untouched, and nothing is left beside it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """:func:`whole_file` for a function that writes the contents into an open binary file."""
    with whole_file(path) as file:
        fill(file)


def write_text(text: str, path: str | Path) -> None:
    """A small text file, by :func:`write_whole`."""
    write_whole(path, lambda file: file.write(text.encode()))


def copy_whole(source: Path, path: Path) -> None:
    """A second name for a file that never changes; a copy where the file system has no hard links."""
    part = beside(path)
    try:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
        _put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a killed run was in the middle of writing; nobody else may be writing into the folder.

    A file goes if it has the name of such a leftover (:func:`beside`) and the process in that name is one
    that held the folder (:func:`toolbox.runs.locking.holders`). Whatever else lies there is somebody's.
    """
    ours = holders(folder)
    for leftover in list(folder.rglob(".*.tmp")):
        name = re.fullmatch(r"\..+\.(\d+)\.tmp", leftover.name)
        if name and int(name[1]) in ours and leftover.is_file() and not leftover.is_symlink():
            leftover.unlink(missing_ok=True)


@contextmanager
def explain_full_disk(
    folder: str | Path, intact: str | Callable[[], str] = "older checkpoints are intact"
) -> Iterator[None]:
    """Whatever inside finds the disk full ends with one sentence.

    Args:
        folder: that is written into.
        intact: what is not lost, in words; or a function that says it then.

    Raises:
        WriteError: in place of the system's error.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        if error.errno not in _FULL:
            raise
        what = f"cannot write {error.filename}" if error.filename else f"cannot write to {folder}"
        kept = intact if isinstance(intact, str) else intact()
        raise WriteError(
            f"{what}: {_FULL[error.errno]}; {kept}. Free some space and continue with --resume"
        ) from error


def reason_of(error: BaseException) -> str:
    """Why a write failed: torch's zip writer hides the system's error behind one of its own."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno in _FULL:
            return _FULL[link.errno]
        link = link.__cause__ or link.__context__
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def beside(path: Path) -> Path:
    """Where this process writes a file before it takes its name; :func:`sweep` knows it by that."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _put_in_place(part: Path, path: Path) -> None:
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a loss of power may forget the new name
    finally:
        os.close(folder)
