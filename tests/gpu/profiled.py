"""``profile``: what an iteration asks of a device, and how many images a second it does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.iterations import Iteration, runner_iteration
from tests.gpu.cases import Case, Found, multiplying
from tests.gpu.games import toy_config

GAMES = {"BigGAN": "biggan_cifar.py", "LCP": "lcp_cifar.py", "StyleGAN2-ADA": "stylegan2_ada_cifar.py"}
ARITHMETIC = ("float32", "TF32", "bf16")
_DATA = {"train_dataloader.dataset.source.download": False}
#: What published sizes take in place of what they would fetch: the embedded images and CLIP.
OFFLINE: dict[str, dict[str, Any]] = {
    "biggan_cifar.py": _DATA,
    "lcp_cifar.py": {
        **_DATA,
        "model.networks.clip": dict(type="EmbeddedClip"),
        "model.conditioner.extractor": dict(type="EmbeddedClipFeatures"),
    },
    "stylegan2_ada_cifar.py": _DATA,
}
LEAST_SECONDS, LEAST, MOST = 2.0, 3, 200  # of timing; iterations

Options = dict[str, Any]


def cases(device: str, tiny: bool = False) -> Iterator[Case]:
    """Counts at the quick and at the published size, then the pace of both; a tiny run has a toy."""
    games = {"toy": toy_config()} if tiny else GAMES
    sizes = (False,) if tiny else (False, True)
    for title, name in games.items():
        for quick in sizes:
            yield f"counts {title}{_size(quick)}", partial(counted, name, device, quick)
    for title, name in games.items():
        for quick in sizes:
            for arithmetic in ARITHMETIC[-1:] if tiny else ARITHMETIC:
                case = partial(paced, name, device, quick, arithmetic, LEAST_SECONDS * (not tiny))
                yield f"pace {title}{_size(quick)}, {arithmetic}", case


def _size(quick: bool) -> str:
    return " quick" if quick else " as published"


def counted(name: str, device: str, quick: bool) -> Found:
    """Kernels, copies and waits of an iteration, the third one."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with tempfile.TemporaryDirectory() as folder, multiplying(tf32=False):
        iteration = _begun(name, folder, device, quick, "float32")
        iteration(), iteration()
        _wait(device)
        start = time.perf_counter()
        with torch.profiler.profile(activities=activities) as profiler:
            iteration()
            _wait(device)
        wall = time.perf_counter() - start
    averages = profiler.key_averages()
    counts = sorted_out((event.key, event.count) for event in averages)
    busy = sum(_device_seconds(event) for event in averages if _is_kernel(event))
    numbers = dict(counts, seconds=wall, busy=busy, longest=_longest(averages))
    words = [
        f"{counts[key]:,} {key}" for key in ("kernels", "copies to the device", "copies from it", "waits")
    ]
    return Found(
        f"{', '.join(words)}; the device is busy {busy:.3f} of {wall:.3f} s under the profiler", "", numbers
    )


#: What torch.profiler calls them, by the beginning of the name.
_KEYS = {
    "kernels": ("cudaLaunchKernel", "cuLaunchKernel"),
    "graphs": ("cudaGraphLaunch",),
    "copies": ("cudaMemcpyAsync", "cudaMemcpy"),
    "waits": ("cudaStreamSynchronize", "cudaEventSynchronize"),
    "whole waits": ("cudaDeviceSynchronize",),
    "copies to the device": ("Memcpy HtoD",),
    "copies from it": ("Memcpy DtoH",),
    "copies within it": ("Memcpy DtoD",),
    "reads of a number": ("aten::_local_scalar_dense",),
}


def sorted_out(events: Iterable[tuple[str, int]]) -> dict[str, int]:
    """{what: how often} of a profile's (name, count)."""
    found = dict.fromkeys(_KEYS, 0)
    for name, count in events:
        for what, beginnings in _KEYS.items():
            if name.startswith(beginnings):
                found[what] += count
    return found


def _is_kernel(event: Any) -> bool:
    return str(getattr(event, "device_type", "")).endswith("CUDA")


def _device_seconds(event: Any) -> float:
    return float(getattr(event, "self_device_time_total", 0)) / 1e6


def _longest(averages: Any, most: int = 12) -> list[dict[str, Any]]:
    """The kernels that take longest in all."""
    kernels = sorted(filter(_is_kernel, averages), key=_device_seconds, reverse=True)
    return [dict(name=one.key[:120], count=one.count, seconds=_device_seconds(one)) for one in kernels[:most]]


def paced(name: str, device: str, quick: bool, arithmetic: str, least_seconds: float) -> Found:
    """Real images a second of a whole iteration: loader, hooks, every phase."""
    with tempfile.TemporaryDirectory() as folder, multiplying(tf32=arithmetic == "TF32"):
        iteration = _begun(name, folder, device, quick, arithmetic)
        seconds = _timed(iteration, device, least_seconds)
    images = iteration.batch / seconds
    memory = torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else 0.0
    numbers = dict(images_per_second=images, seconds=seconds, batch=iteration.batch, memory_gib=memory)
    return Found(
        f"{images:,.0f} images/s, {1000 * seconds:.1f} ms an iteration, {memory:.1f} GiB", "", numbers
    )


def _timed(iteration: Callable[[], None], device: str, least_seconds: float) -> float:
    """Seconds of an iteration, after three that warm up."""
    for _ in range(3):
        iteration()
    _wait(device)
    start, times = time.perf_counter(), 0
    while times < LEAST or (time.perf_counter() - start < least_seconds and times < MOST):
        iteration()
        times += 1
    _wait(device)
    return (time.perf_counter() - start) / times


def _begun(name: str, folder: str, device: str, quick: bool, arithmetic: str) -> Iteration:
    """A config's iteration on a device."""
    options: Options = {"device": device, "precision": "bf16" if arithmetic == "bf16" else "float32"}
    if not quick:
        options.update(OFFLINE.get(name, {}))
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    return runner_iteration(name, Path(folder), quick, **options)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
