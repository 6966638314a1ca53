"""One run at a time in a folder."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from toolbox import ranks

_HOLDER = re.compile(r"process (\d{1,9}) on .*")


class LockedError(RuntimeError):
    """Another process is at work in the run's folder."""


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the folder for a block; the first of several processes holds it for all of them (collective).

    The system gives the lock back when its process ends, however it ends: a killed run blocks nothing.

    Raises:
        LockedError: when another process holds it, naming that process.
    """
    held: list[IO[str]] = []
    ranks.on_main(lambda: held.append(_lock(Path(folder))))
    try:
        yield
    finally:
        for file in held:
            file.close()
        if not ranks.running() and not any(Path(folder).glob("[!.]*")):
            _remove_empty(Path(folder))


def holders(folder: str | Path) -> set[int]:
    """The numbers of the processes that have held the folder, this one too: whose files may lie there."""
    file = Path(folder) / ".lock"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return {int(line[1]) for line in map(_HOLDER.fullmatch, lines) if line}


def _lock(folder: Path) -> IO[str]:
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+", errors="replace")  # noqa: SIM115 (closed by whoever holds it)
    try:
        import fcntl

        # lockf's lock is of the process: unlike flock's, a loader's worker does not inherit it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # no such locks on this system
        pass
    except OSError as error:
        file.seek(0)
        holder = (file.read().strip() or "another process").splitlines()[-1]
        file.close()
        raise LockedError(
            f"{folder} is in use by {holder}: two runs in one folder would spoil each other. "
            "Wait for it, stop it, or name another folder with --work-dir"
        ) from error
    file.seek(0)
    known = file.read()
    new_line = "\n" if known and not known.endswith("\n") else ""
    file.write(f"{new_line}process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _remove_empty(folder: Path) -> None:
    """A run that was refused leaves no folder behind."""
    (folder / ".lock").unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        return
