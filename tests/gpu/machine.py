"""``machine``: what device, driver and libraries the numbers belong to."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from tests.gpu.cases import Case, Found
from toolbox.runs.environment import environment

CPU_INFO = Path("/proc/cpuinfo")


def cases(device: str) -> Iterator[Case]:
    """A line each."""
    yield "device", partial(of_device, device)
    yield "versions", of_versions
    yield "processor", of_processor


def of_device(device: str) -> Found:
    """Name, memory, number of devices, driver."""
    if device == "cpu":
        return Found("the CPU; what follows says nothing of a GPU")
    about = torch.cuda.get_device_properties(torch.device(device))
    numbers = dict(
        name=about.name,
        memory_gib=round(about.total_memory / 2**30, 1),
        capability=f"{about.major}.{about.minor}",
        multiprocessors=about.multi_processor_count,
        devices=torch.cuda.device_count(),
        driver=driver(),
    )
    return Found(", ".join(f"{key} {value}" for key, value in numbers.items()), "", numbers)


def driver() -> str:
    """Version of NVIDIA's, as nvidia-smi says it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (answer.stdout.splitlines() or ["unknown"])[0]


def of_versions() -> Found:
    """Of torch, what it was built with, and this source tree."""
    found = environment({})
    numbers = dict(
        torch=torch.__version__,
        cuda=torch.version.cuda or "none",
        cudnn=torch.backends.cudnn.version() or "none",
        python=found["python"],
        commit=found["git"],
    )
    return Found(", ".join(f"{key} {value}" for key, value in numbers.items()), "", numbers)


def of_processor() -> Found:
    """Model, cores, threads of torch."""
    numbers = dict(model=cpu_model(), cores=os.cpu_count(), threads=torch.get_num_threads())
    return Found(", ".join(f"{key} {value}" for key, value in numbers.items()), "", numbers)


def cpu_model() -> str:
    """As the kernel names it."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
