"""Running a function in several processes that form one group, as ``torchrun`` would, for tests."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

_GRACE = 5.0  # seconds that the other ranks have to say what they make of a rank's end
# imported once, by the server that all processes are forked from
_PRELOAD = ["torch.distributed", "toolbox.training.game.game"]


def run_ranks(function: Callable[..., Any], *args: Any, world: int = 2, timeout: float = 120.0) -> list[Any]:
    """What ``function(*args)`` returns in each of ``world`` processes of a gloo group, in the ranks' order.

    They run on the CPU, and come from a server without threads that has torch imported already: the first
    call takes seconds, a later one a fraction of a second.

    Args:
        function: of a module (no lambda, no inner function): it travels by name, and its arguments and
            results are pickled.
        *args: the same for every rank; inside, ``toolbox.ranks.rank()`` tells which one this is.
        world: number of processes; with 1 there is a group of one.
        timeout: seconds for all, and for each collective.

    Raises:
        RuntimeError: when a rank raised, died, or took too long; with each rank's traceback.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    call = _open_packages(), pickle.dumps((function, args))
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        started = [_start(context, (call, rank, world, meeting, timeout)) for rank in range(world)]
        try:
            answers = _answers([connection for _, connection in started], time.monotonic() + timeout)
        finally:
            for process, connection in started:
                _end(process, connection)
    failed = [f"rank {rank}: {answer}" for rank, (fine, answer) in enumerate(answers) if not fine]
    if failed:
        raise RuntimeError(f"{len(failed)} of {world} ranks failed:\n" + "\n".join(failed))
    return [answer for _, answer in answers]


def _start(context: Any, arguments: tuple[Any, ...]) -> tuple[BaseProcess, Connection]:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_play_rank, args=(there, *arguments), daemon=True)
    process.start()
    there.close()  # so that its end is seen when the process dies
    return process, here


def _answers(connections: list[Connection], deadline: float) -> list[tuple[bool, Any]]:
    """(whether it went well, result or reason) of each rank; once one fails, the others have little time."""
    found: dict[Connection, tuple[bool, Any]] = {}
    while len(found) < len(connections) and time.monotonic() < deadline:
        waiting = [connection for connection in connections if connection not in found]
        for connection in wait(waiting, max(0.0, deadline - time.monotonic())):
            assert isinstance(connection, Connection)
            found[connection] = _answer(connection)
            if not found[connection][0]:
                deadline = min(deadline, time.monotonic() + _GRACE)
    return [found.get(connection, (False, "no answer in time; ended")) for connection in connections]


def _answer(connection: Connection) -> tuple[bool, Any]:
    try:
        fine, answer = pickle.loads(connection.recv_bytes())
    except EOFError:
        return False, "died without an answer"
    return bool(fine), answer


def _end(process: BaseProcess, connection: Connection) -> None:
    """Whatever it had to say has been read."""
    connection.close()
    process.kill()
    process.join()


def _open_packages() -> dict[str, list[str]]:
    """{name: folders} of packages without ``__init__.py`` (``tests``): others of the name could hide them."""
    found = {}
    for name, module in list(sys.modules.items()):
        if "." not in name and hasattr(module, "__path__") and getattr(module, "__file__", None) is None:
            found[name] = list(module.__path__)
    return found


def _restore(packages: dict[str, list[str]]) -> None:
    for name, folders in packages.items():
        if name not in sys.modules:
            sys.modules[name] = module = ModuleType(name)
            module.__path__ = folders


def _play_rank(
    connection: Connection,
    call: tuple[dict[str, list[str]], bytes],
    rank: int,
    world: int,
    meeting: str,
    timeout: float,
) -> None:
    """What each process runs; its answer travels as bytes: tensors in shared memory die with the process."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    try:
        distributed.init_process_group(
            "gloo", init_method=meeting, rank=rank, world_size=world, timeout=timedelta(seconds=timeout)
        )
        packages, packed = call
        _restore(packages)
        function, args = pickle.loads(packed)
        answer = pickle.dumps((True, function(*args)))
    except Exception:
        answer = pickle.dumps((False, traceback.format_exc()))
    connection.send_bytes(answer)
    if distributed.is_initialized():
        distributed.destroy_process_group()
