"""One run at a time in a folder."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    held = ExitStack()
    ranks.on_main(lambda: _hold(Path(folder), held))
    try:
        yield
    finally:
        held.close()
        if not ranks.running() and not any(Path(folder).glob("[!.]*")):
            _remove_empty(Path(folder))


def holders(folder: str | Path) -> set[int]:
    """The numbers of the processes that have held the folder, this one too: whose files may lie there."""
    file = Path(folder) / ".lock"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return {int(line[1]) for line in map(_HOLDER.fullmatch, lines) if line}


def _hold(folder: Path, held: ExitStack) -> None:
    """Lock the file that names the holder, and the folder itself: a file can be deleted under a run."""
    folder.mkdir(parents=True, exist_ok=True)
    file = held.enter_context(open(folder / ".lock", "a+", errors="replace"))  # noqa: SIM115 (held)
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        _add_holder(file)
        return
    try:
        # lockf's lock is of the process: unlike flock's, a loader's worker does not inherit it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _hold_folder(folder, held)
    except BlockingIOError as error:
        file.seek(0)
        holder = (file.read().strip() or "another process").splitlines()[-1]
        held.close()
        raise LockedError(
            f"{folder} is in use by {holder}: two runs in one folder would spoil each other. "
            "Wait for it, stop it, or name another folder with --work-dir"
        ) from error
    _add_holder(file)


def _add_holder(file: IO[str]) -> None:
    """All that ever held the folder stay in the record: :func:`toolbox.runs.files.sweep` goes by it."""
    file.seek(0)
    known = file.read()
    own = f"process {os.getpid()} on {socket.gethostname()}"
    if known.splitlines()[-1:] != [own]:
        new_line = "\n" if known and not known.endswith("\n") else ""
        file.write(f"{new_line}{own}\n")
        file.flush()


def _hold_folder(folder: Path, held: ExitStack) -> None:
    """flock on the folder, closed by forked processes at once: one that outlives its parent holds nothing."""
    import fcntl

    opened: list[int] = [os.open(folder, os.O_RDONLY)]

    def close() -> None:
        while opened:
            os.close(opened.pop())

    held.callback(close)
    os.register_at_fork(after_in_child=close)
    try:
        fcntl.flock(opened[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a network's file system that locks no folders
        close()


def _remove_empty(folder: Path) -> None:
    """A run that was refused leaves no folder behind."""
    (folder / ".lock").unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        return
