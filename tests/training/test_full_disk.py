"""A disk that fills up: one clear line, a non-zero exit, older checkpoints intact, nothing half-written, and
exact resume.

The limits are the system's own: no file may grow beyond so many bytes (EFBIG), and /dev/full, where every
write fails (ENOSPC).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import killing
import pytest

from toolbox.runs.files import WriteError, explain_full_disk, write_text
from toolbox.training.checkpoints import checkpoint_files, fault_of

Run = Callable[..., Path]
OPTIONS = {
    "hooks.samples": dict(type="SampleGrid", interval=4, columns=20),
    "hooks.checkpoints.interval": 1,
    "hooks.checkpoints.keep": 2,
}
SETTINGS = ["--cfg-options", *(f"{key}={value!r}".replace(" ", "") for key, value in OPTIONS.items())]


@pytest.fixture
def stopped(trained: Run) -> Path:
    """A run that was stopped after three of five iterations."""
    folder = trained("part", options={**OPTIONS, "train_cfg.max_iters": 3})
    (folder / "done.json").unlink()
    return folder


def resume(
    server: killing.ForkServer, config: Path, folder: Path, largest_file: int | None = None
) -> tuple[int, str]:
    """Exit status and output of ``tools/train.py --resume``; read through a pipe, which no limit touches."""
    pipe = folder.with_suffix(".pipe")
    os.mkfifo(pipe)
    server.start(
        [str(config), "--work-dir", str(folder), "--resume", "--no-evaluation", *SETTINGS], pipe, largest_file
    )
    output = pipe.read_text()
    pipe.unlink()
    return server.wait(), output


def errors_in(output: str) -> list[str]:
    assert "Traceback" not in output and "Logging error" not in output, output
    return [line for line in output.replace("\r", "\n").splitlines() if line.startswith("error:")]


@pytest.mark.parametrize(
    "largest",
    [
        pytest.param(3000, marks=pytest.mark.slow),
        pytest.param(50_000, marks=pytest.mark.slow),
        100_000,
    ],
)
def test_no_room_stops_a_run_and_nothing_is_lost(
    trained: Run, stopped: Path, fork_server: killing.ForkServer, config_file: Path, largest: int
) -> None:
    """What does not fit: the log, a grid of samples, a checkpoint."""
    status, output = resume(fork_server, config_file, stopped, largest)
    assert status == 1 and len(errors_in(output)) == 1, output
    assert (
        "a file may not grow so large; older checkpoints are intact. Free some space" in errors_in(output)[0]
    )
    assert [fault_of(path) for path in checkpoint_files(stopped)] == [None, None]
    assert not list(stopped.rglob(".*.tmp"))
    assert not (stopped / "done.json").exists()
    whole = trained("whole", options=OPTIONS)
    (stopped / "samples" / "iter_0000003.png").unlink()  # drawn at the end of the first, shorter run
    killing.assert_same_folder(whole, trained("part", options=OPTIONS, resume=True))


def test_a_full_disk_under_the_journal(
    stopped: Path, fork_server: killing.ForkServer, config_file: Path
) -> None:
    (stopped / "scalars.jsonl").unlink()
    (stopped / "scalars.jsonl").symlink_to("/dev/full")
    status, output = resume(fork_server, config_file, stopped)
    assert status == 1
    assert errors_in(output) == [
        f"error: cannot write to {stopped}: the disk is full; older checkpoints are intact. "
        "Free some space and continue with --resume"
    ]
    assert (
        all(fault_of(path) is None for path in checkpoint_files(stopped))
        and len(checkpoint_files(stopped)) == 2
    )


def test_a_full_disk_under_the_log(stopped: Path, fork_server: killing.ForkServer, config_file: Path) -> None:
    """mmengine's; logging would print a traceback a line, and train on."""
    (stopped / "log.txt").unlink()
    (stopped / "log.txt").symlink_to("/dev/full")
    status, output = resume(fork_server, config_file, stopped)
    assert status == 1 and "the disk is full" in errors_in(output)[0] and len(errors_in(output)) == 1


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk quota is used up")]
)
def test_anywhere_it_is_said_in_one_sentence(tmp_path: Path, number: int, words: str) -> None:
    def fails() -> None:
        with explain_full_disk(tmp_path):
            raise OSError(number, "as the system says it", str(tmp_path / "grid.png"))

    with pytest.raises(WriteError, match=f"cannot write .*grid.png: {words}; older checkpoints are intact"):
        fails()


def test_other_errors_of_the_system_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), explain_full_disk(tmp_path):
        raise PermissionError(errno.EACCES, "not yours")


def test_a_text_that_does_not_fit_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text("old", tmp_path / "a.json")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_text("new", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
