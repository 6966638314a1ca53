"""Ctrl-C and SIGTERM wherever they come: between stages, in a destructor, in a library that catches all."""
# ruff: noqa: PT012 (a signal is a statement of its own)

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import ForkServer
from tiny_run import write_config

from toolbox.runs.locking import locked
from toolbox.runs.stopping import Stopped, StopRequest


def interrupt(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


class Interrupted:
    """A loader whose workers are joined when it goes: Python drops what is raised there."""

    def __del__(self) -> None:
        interrupt()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_destructor_is_not_lost() -> None:
    request = StopRequest()
    with pytest.raises(Stopped), request.watched():
        request.check()
        loader = Interrupted()
        del loader
        assert request.name == "SIGINT"
        request.check()


def test_a_library_that_makes_an_error_of_it() -> None:
    """mmengine's formatter of configs turns whatever is raised into a SyntaxError."""
    with pytest.raises(Stopped) as stopped, StopRequest().watched():
        try:
            interrupt(signal.SIGTERM)
        except BaseException:
            raise SyntaxError("Failed to format the config file") from None
    assert stopped.value.exit_code == 143


def test_an_error_of_its_own_after_a_signal_is_told() -> None:
    request = StopRequest()
    with pytest.raises(ValueError, match="not finite"), request.watched(), request.postponed():
        interrupt()
        raise ValueError("not finite")


def test_a_second_signal_ends_what_was_to_be_finished() -> None:
    request = StopRequest()
    with pytest.raises(Stopped) as stopped, request.watched(), request.postponed():
        interrupt()
        assert request.name == "SIGINT"
        interrupt()
    assert stopped.value.exit_code == 130


def test_forked_processes_leave_ctrl_c_to_their_parent_and_end_by_sigterm() -> None:
    for number, ended_by in ((signal.SIGINT, 0), (signal.SIGTERM, signal.SIGTERM)):
        with StopRequest().watched():
            child = os.fork()
            if not child:
                interrupt(number)
                os._exit(0)
            _, status = os.waitpid(child, 0)
        assert status == ended_by


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest().watched():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def hold_elsewhere(folder: Path) -> subprocess.CompletedProcess[str]:
    code = f"from toolbox.runs.locking import locked\nwith locked({str(folder)!r}): pass"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_a_deleted_lock_lets_no_second_run_in(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    with locked(tmp_path):
        (tmp_path / ".lock").unlink()
        assert "is in use by" in hold_elsewhere(tmp_path).stderr
    with locked(tmp_path):
        pass


@pytest.mark.slow
def test_a_forked_process_that_outlives_a_run_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    reads, writes = os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if not child:
            os.read(reads, 1)
            os._exit(0)
    try:
        assert hold_elsewhere(tmp_path).returncode == 0
    finally:
        os.write(writes, b"x")
        os.waitpid(child, 0)


# -- real runs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


def tell_all(process: int) -> None:
    """Ctrl-C at a terminal reaches a process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children")
    for one in [process, *map(int, children.read_text().split() if children.is_file() else [])]:
        try:
            os.kill(one, signal.SIGINT)
        except ProcessLookupError:
            continue


@pytest.mark.slow
def test_ctrl_c_twice_at_any_moment_leaves_no_traceback(server: ForkServer, tmp_path: Path) -> None:
    """While it prepares, trains with loader workers, goes from stage to stage, saves, draws."""
    config = write_config(tmp_path / "tiny.py")
    stage = "before = dict(first=dict(model=model, train_cfg=dict(max_iters=5)))\nstages = ['first']\n"
    loader = "train_dataloader.update(num_workers=2, persistent_workers=True)\n"
    config.write_text(config.read_text() + loader + stage)
    moments = random.Random(0)
    codes = []
    for number in range(12):
        log = tmp_path / f"{number}.log"
        folder = tmp_path / f"run{number}"
        process = server.start([str(config), "--work-dir", str(folder), "--no-evaluation"], log)
        time.sleep(moments.uniform(0.3, 6.0))
        tell_all(process)
        time.sleep(moments.uniform(0.0, 0.3))
        tell_all(process)
        codes.append(server.wait())
        said = log.read_text()
        assert "Traceback" not in said and "Exception ignored" not in said, said[-3000:]
    assert set(codes) <= {0, 130}
    assert 130 in codes, "every run had ended before it was told to"
