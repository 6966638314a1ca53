"""Starting a process as one of several: torchrun, SLURM or MPI, on GPUs (nccl) or CPUs (gloo)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch

from toolbox import ranks
from toolbox.catalog import near_miss

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
TIMEOUT = 600.0  # seconds

# launcher: (rank, world, local rank), as it tells its processes
_VARIABLES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
}
_STARTED_BY = {
    "pytorch": "torchrun --nproc-per-node=2 tools/train.py CONFIG --launcher pytorch",
    "slurm": "srun --ntasks=2 python tools/train.py CONFIG --launcher slurm",
    "mpi": "mpirun -np 2 python tools/train.py CONFIG --launcher mpi",
}


# of errors that torch raises as plain RuntimeErrors
_SIGNS_OF_LOSS = (
    "connection closed by peer",
    "connection reset",
    "connection refused",
    "timed out",
    "timeout",
    "broken pipe",
    "nccl communicator was aborted",
    "socket",
)


class LaunchError(RuntimeError):
    """The processes of a run cannot find each other, or one of them has gone."""


@contextmanager
def processes(launcher: str = "none", timeout: float = TIMEOUT, backend: str | None = None) -> Iterator[None]:
    """Join the run's process group for a block, and leave it afterwards.

    mmengine's own start sets a GPU before it looks whether there is one; with this group in place its Runner
    starts none.

    Args:
        launcher: 'none' (this process alone), 'pytorch', 'slurm' or 'mpi'.
        timeout: seconds that a collective may wait for another process; a dead or hanging one ends the run
            after that.
        backend: of torch.distributed; None: gloo, and for tensors on a GPU nccl where there is one.

    Raises:
        LaunchError: for an unknown launcher, or one that did not start this process; inside the block, when
            another process has gone.
    """
    if launcher not in LAUNCHERS:
        raise LaunchError(
            f"launcher={launcher!r} must be one of {', '.join(LAUNCHERS)}{near_miss(launcher, LAUNCHERS)}"
        )
    if launcher == "none" or ranks.running():
        yield
        return
    start(launcher, timeout, backend)
    try:
        yield
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        raise LaunchError(_lost(timeout)) from error
    finally:
        torch.distributed.destroy_process_group()


def start(launcher: str, timeout: float = TIMEOUT, backend: str | None = None) -> None:
    """Join the process group that the launcher's environment variables describe (see :func:`processes`)."""
    rank, world, local = read_place(launcher, os.environ)
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    chosen = backend or ("nccl" if torch.cuda.is_available() else "gloo")
    if chosen == "nccl":  # what the processes tell each other beside gradients stays on the hosts
        chosen = "cpu:gloo,cuda:nccl"
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(local))
    if launcher != "pytorch":
        os.environ.setdefault("MASTER_ADDR", _first_host(launcher))
        os.environ.setdefault("MASTER_PORT", "29500")
    try:
        torch.distributed.init_process_group(
            chosen, rank=rank, world_size=world, timeout=timedelta(seconds=timeout)
        )
    except (RuntimeError, ValueError) as error:
        raise LaunchError(
            f"process {rank} of {world} cannot join the others at {os.environ.get('MASTER_ADDR')}:"
            f"{os.environ.get('MASTER_PORT')} ({chosen}): {str(error).splitlines()[0]}"
        ) from error


def read_place(launcher: str, environment: Mapping[str, str]) -> tuple[int, int, int]:
    """(rank, world, local rank) out of the launcher's environment variables.

    Raises:
        LaunchError: when they are not there, or are no numbers.
    """
    try:
        rank, world, local = (int(environment[name]) for name in _VARIABLES[launcher])
    except KeyError as error:
        raise LaunchError(
            f"--launcher {launcher}: the environment variable {error.args[0]} is not set, so {launcher} "
            f"did not start this process; start it with: {_STARTED_BY[launcher]}"
        ) from None
    except ValueError as error:
        raise LaunchError(
            f"--launcher {launcher}: {', '.join(_VARIABLES[launcher])} must be whole numbers: {error}"
        ) from None
    return rank, world, local


def _first_host(launcher: str) -> str:
    """Where rank 0 runs; SLURM lists its nodes as ``node[01-04],other``."""
    if launcher != "slurm":
        return "127.0.0.1" if int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "0")) else socket.gethostname()
    first = os.environ.get("SLURM_STEP_NODELIST", os.environ.get("SLURM_NODELIST", "127.0.0.1"))
    stem, bracket, numbers = first.partition("[")
    if not bracket:
        return first.split(",")[0]
    return stem + numbers.replace("]", "").split(",")[0].split("-")[0]


def _is_lost_connection(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or any(sign in text for sign in _SIGNS_OF_LOSS)


def _lost(timeout: float) -> str:
    return (
        f"process {ranks.rank()} of {ranks.world()}: another process of this run has ended, or was silent "
        f"for {timeout:g} seconds. Its own output says why; the newest checkpoint is intact, continue with "
        "--resume"
    )
