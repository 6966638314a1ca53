"""Joining a group of processes, and what is said when one of them is not there any more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolbox.runs.launch import LaunchError, processes, read_place

SCRIPT = """
import os, signal, sys, time, torch
from toolbox import ranks
from toolbox.runs.launch import LaunchError, processes

try:
    with processes(sys.argv[3], timeout=float(sys.argv[2])):
        print('started', ranks.rank(), ranks.world(), float(ranks.sum_over_ranks(torch.ones(()))), flush=True)
        for number in range(1000):
            if ranks.rank() == 1 and number == 3:
                {'dies': lambda: os.kill(os.getpid(), signal.SIGKILL), 'hangs': lambda: time.sleep(600),
                 'fails': lambda: (_ for _ in ()).throw(ValueError('no such file'))}[sys.argv[1]]()
            ranks.sum_over_ranks(torch.ones(8))
except LaunchError as error:
    print('LaunchError:', error, flush=True)
    os._exit(3)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PLACES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
}


def start_two(
    tmp_path: Path, what: str, timeout: float, launcher: str = "pytorch"
) -> list[subprocess.Popen[str]]:
    script, port = tmp_path / "script.py", free_port()
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    same = dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1", PYTHONPATH=str(root))
    places = [dict(zip(PLACES[launcher], (str(rank), "2", str(rank)), strict=True)) for rank in range(2)]
    command = [sys.executable, str(script), what, str(timeout), launcher]
    return [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **same, **place},
        )
        for place in places
    ]


@pytest.mark.parametrize(
    ("what", "launcher"),
    [
        ("dies", "slurm"),
        pytest.param("hangs", "pytorch", marks=pytest.mark.slow),
        pytest.param("fails", "mpi", marks=pytest.mark.slow),
    ],
)
def test_the_others_end_within_the_timeout_and_say_why(tmp_path: Path, what: str, launcher: str) -> None:
    """The variables of each launcher, set by hand, start a true group."""
    timeout = 5.0
    first, second = start_two(tmp_path, what, timeout, launcher)
    try:
        assert first.stdout is not None and first.stdout.readline() == "started 0 2 2.0\n"
        begun = time.monotonic()
        said, _ = first.communicate(timeout=300)
        assert time.monotonic() - begun < timeout + 10
        assert first.returncode == 3
        assert said.startswith(
            "LaunchError: process 0 of 2: another process of this run has ended, or was silent for 5 seconds"
        )
        assert "--resume" in said
    finally:
        for process in (first, second):
            process.send_signal(signal.SIGKILL)
            process.wait()


def test_an_error_of_our_own_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        with one_of_one(monkeypatch):
            raise RuntimeError("shapes differ")


def one_of_one(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    place = dict(
        RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port())
    )
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    return processes("pytorch")


def test_a_group_of_one_is_left_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    with one_of_one(monkeypatch):
        assert torch.distributed.is_initialized()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("launcher", "environment"),
    [
        ("pytorch", dict(RANK="3", WORLD_SIZE="8", LOCAL_RANK="1")),
        ("slurm", dict(SLURM_PROCID="3", SLURM_NTASKS="8", SLURM_LOCALID="1")),
        ("mpi", dict(OMPI_COMM_WORLD_RANK="3", OMPI_COMM_WORLD_SIZE="8", OMPI_COMM_WORLD_LOCAL_RANK="1")),
    ],
)
def test_each_launcher_tells_the_place(launcher: str, environment: dict[str, str]) -> None:
    assert read_place(launcher, environment) == (3, 8, 1)


@pytest.mark.parametrize(
    ("nodes", "first"), [("node7", "node7"), ("gpu[03-05,9]", "gpu03"), ("a1,a2", "a1"), ("n[12,14]", "n12")]
)
def test_the_first_node_of_slurm(monkeypatch: pytest.MonkeyPatch, nodes: str, first: str) -> None:
    from toolbox.runs.launch import _first_host

    monkeypatch.setenv("SLURM_STEP_NODELIST", nodes)
    assert _first_host("slurm") == first


def test_errors() -> None:
    with pytest.raises(
        LaunchError, match="RANK is not set, so pytorch did not start this process; start it with: torchrun"
    ):
        read_place("pytorch", {})
    with pytest.raises(LaunchError, match="must be whole numbers"):
        read_place("slurm", dict(SLURM_PROCID="a", SLURM_NTASKS="2", SLURM_LOCALID="0"))
    with (
        pytest.raises(LaunchError, match="launcher='torch' must be one of none, pytorch"),
        processes("torch"),
    ):
        pass
