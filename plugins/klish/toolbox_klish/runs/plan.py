"""What a clustering run would do, before it is begun: ``toolbox klish fit CONFIG --dry-run``."""

from __future__ import annotations

import numpy as np

from toolbox_klish.cost import MACHINES, estimate
from toolbox_klish.runs.fitting import bytes_of, check_place
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import is_cut
from toolbox_klish.storage import GIB, free_memory


def describe(run: ClusterRun) -> str:
    """Rows, width, bytes, fits, and what KLiSH's would take, by a model.

    Raises:
        OSError: when the disk has no room for the features.
        ConfigError: for fewer rows than clusters.
    """
    stream = run.stream()
    on_disk = check_place(run, stream)
    layers = zip(stream.layers, stream.channels, strict=True)
    maps = ", ".join(f"{layer} ({channels})" for layer, channels in layers)
    each = f"{stream.pixels:,} pixels" if stream.pixels else f"{stream.size} x {stream.size}"
    fits = sum(1 if is_cut(run.config.clusterers[name]) else len(run.numbers) for name in run.clusterers)
    place = "on the disk" if on_disk else "in memory"
    lines = [
        str(run.config.get("title", run.folder.name)),
        f"generator: {type(run.generator).__name__}, {run.generator.image_size} px, on {run.device}",
        f"features: {stream.images} images, {each} of each: {stream.rows:,} rows of {stream.width} ({maps}), "
        f"truncation {stream.truncation:g}",
        f"{bytes_of(run, stream) / GIB:.2f} GiB of {run.config.features.dtype}, {place} "
        f"({free_memory() / GIB:.1f} GiB of memory are free)",
        f"fits: {', '.join(run.clusterers)}; {fits} for each of {len(run.seeds)} seeds",
        *_times(run, stream.rows, stream.width),
        f"folder: {run.folder}",
    ]
    return "\n".join(lines)


def _times(run: ClusterRun, rows: int, width: int) -> list[str]:
    """A line for each clusterer that is KLiSH."""
    lines = []
    machine = machine_of(run.device)
    for name, component in run.config.clusterers.items():
        if component["type"] == "KLiSH" and machine:
            first = component.get("first") or component.get("clusters", 100)
            bytes_each = np.dtype(run.config.features.dtype).itemsize
            cost = estimate(rows, width, first, MACHINES[machine], bytes_each)
            lines.append(
                f"{name}: estimate, not a measurement, on {machine}: initial training {cost.first:.0f} s, "
                f"merges {cost.merges:.0f} s for each seed; {cost.memory / GIB:.1f} GiB of memory"
            )
    return lines


def machine_of(device: str) -> str:
    """One of the machines that there is a model of, or ''."""
    if not device.startswith("cuda"):
        return "core"
    import torch

    name = torch.cuda.get_device_name(device).lower()
    return next((key for key in MACHINES if key.split("-")[0] in name), "")
