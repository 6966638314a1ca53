"""What a run is made with: versions, machine, plugins, git state, seed, command."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from toolbox import ranks
from toolbox.plugins import host


def environment(config: Any) -> dict[str, Any]:
    """What a run is made with, as plain values for ``environment.json``."""
    from importlib import metadata

    versions = {}
    for name in ("torch", "torchvision", "mmengine", "open_clip_torch", "numpy", "generative-toolbox"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    device = f"CPU, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    return dict(
        python=platform.python_version(),
        platform=platform.platform(),
        device=device,
        versions=versions,
        plugins=_plugins(),
        git=_git_state(),
        processes=ranks.world(),
        seed=config.get("seed", 0),
        deterministic=bool(config.get("deterministic", False)),
        command=shlex.join(sys.argv),
        started=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def _plugins() -> dict[str, str]:
    """{plugin: version, or the file it is with its sha256}."""
    found = {}
    for record in host().records:
        if record.state != "loaded" or record.name == "toolbox":
            continue
        found[record.name] = record.version
        file = Path(record.source)
        if file.is_file():
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found[record.name] = f"{file.resolve()} sha256:{digest}"
    return found


def _git_state() -> str:
    folder = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "not a git checkout"


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a folder; {} where there is none, or a damaged one."""
    path = folder / "environment.json"
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
    except (ValueError, RecursionError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def is_of_run(path: Path) -> bool:
    """Whether a file is a run's own checkpoint: by its name, and the record of starts beside it."""
    named = re.fullmatch(r"(best_\w+_)?[a-z]+_\d+\.pth", path.name) is not None
    return named and bool(read_record(path.parent).get("starts"))
