"""``games``: the quick version of one config of each family plays on a device.

* losses: equal to the CPU's where the draws are equal, and finite;
* resume: four iterations, a checkpoint and four more end as eight do;
* bf16, torch.compile, and two ranks where there are two devices.

A game runs away from its twin: Adam divides a gradient by its own size, so that rounding in a tiny one moves
a weight by a whole step. Hence the losses of the first iteration are compared tightly, later ones loosely.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.gpu.cases import Case, Found, LeftOutError, multiplying
from tests.gpu.same_draws import drawing_alike
from toolbox.config import load_config
from toolbox.training.checkpoints import latest_checkpoint, read_checkpoint
from toolbox.training.run.compare import digest
from toolbox.training.run.prepare import prepare
from toolbox.training.run.runner import build_runner

ROOT = Path(__file__).parents[2]
FAMILIES = {
    "BigGAN": "biggan_cifar",
    "LCP": "lcp_cifar",
    "StyleGAN2-ADA": "stylegan2_ada_cifar",
    "PGGAN": "pggan_folder",
    "StyleGAN": "stylegan_folder",
    "segmenter": "segmenter_portraits",
    "AttnGAN": "attngan_emoji",
    "SCL on GALIP": "scl_galip_emoji",
}
FIRST, LATER, HALF = 1e-3, 0.1, 0.1  # of a loss, relative to its size or 1: the larger
RESUMED = 1e-2  # of weights, relative to their largest, where an operation has no deterministic algorithm

Losses = list[dict[str, float]]  # of each iteration


def cases(device: str, tiny: bool = False) -> Iterator[Case]:
    """What says most first; a tiny run plays a toy, the first two."""
    families = {"toy": toy_config()} if tiny else FAMILIES
    for title, name in families.items():
        yield f"losses {title}", partial(same_losses, name, device, begun=int(title == "LCP"))
    for title, name in families.items():
        yield f"resume {title}", partial(resumed, name, device)
    if not tiny:
        for title, name in families.items():
            yield f"bf16 {title}", partial(in_bf16, name, device)
        yield "two ranks StyleGAN2-ADA", partial(two_ranks, "stylegan2_ada_cifar", device)
        yield "compile BigGAN", partial(compiled, "biggan_cifar", device)
        yield "compile StyleGAN2-ADA", partial(compiled, "stylegan2_ada_cifar", device)


def same_losses(name: str, device: str, iterations: int = 4, begun: int = 0) -> Found:
    """Losses of the device against those of the CPU, from equal draws.

    ``begun`` iterations are played on the CPU for both: so that both have the clusters that were found there.
    """
    with tempfile.TemporaryDirectory() as place, multiplying(tf32=False), drawing_alike():
        here_in, there_in = Path(place) / "device", Path(place) / "cpu"
        if begun:
            play(name, there_in, "cpu", begun)
            shutil.copytree(there_in, here_in)
        there = play(name, there_in, "cpu", iterations, resume=begun > 0)[begun:]
        here = play(name, here_in, device, iterations, resume=begun > 0)[begun:]
    first, later = _apart(here[:1], there[:1]), _apart(here[1:], there[1:])
    says = f"first iteration off by {first:.1e}, the next {len(there) - 1} by {later:.1e}"
    wrong = says if first > FIRST or later > LATER else ""
    return Found(says, _not_finite(here) or wrong, dict(first=first, later=later, here=here, there=there))


def resumed(name: str, device: str, half: int = 4) -> Found:
    """Weights, averages and optimisers of a resumed game against those of one that was not interrupted."""
    with tempfile.TemporaryDirectory() as place, multiplying(tf32=False), _deterministic() as said:
        folder = Path(place)
        play(name, folder / "straight", device, 2 * half)
        play(name, folder / "resumed", device, half)
        play(name, folder / "resumed", device, 2 * half, resume=True)
        one, other = (_checkpoint(folder / part) for part in ("straight", "resumed"))
    before, after = digest(one), digest(other)
    different = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if not different:
        return Found(f"{len(before)} tensors and values the same, bit for bit", "", dict(said=said))
    apart = _weights_apart(one["state_dict"], other["state_dict"])
    says = f"{len(different)} of {len(before)} differ ({different[0]}, ...), weights by at most {apart:.1e}"
    excused = said and apart <= RESUMED
    return Found(
        f"{says}; not deterministic: {said[0] if said else ''}", "" if excused else says, dict(said=said)
    )


def in_bf16(name: str, device: str, iterations: int = 2) -> Found:
    """Losses in bf16 against those in float32."""
    with tempfile.TemporaryDirectory() as folder, multiplying(tf32=False):
        there = play(name, Path(folder) / "float32", device, iterations)
        here = play(name, Path(folder) / "bf16", device, iterations, precision="bf16")
    first = _apart(here[:1], there[:1])
    says = f"first iteration off by {first:.1e}"
    return Found(says, _not_finite(here) or (says if first > HALF else ""), dict(here=here, there=there))


def compiled(name: str, device: str, iterations: int = 2, backend: str = "inductor") -> Found:
    """Losses of compiled networks against those of plain ones."""
    with tempfile.TemporaryDirectory() as folder, multiplying(tf32=False):
        there = play(name, Path(folder) / "plain", device, iterations)
        here = play(name, Path(folder) / "compiled", device, iterations, compile=dict(backend=backend))
    first = _apart(here[:1], there[:1])
    says = f"first iteration off by {first:.1e}"
    return Found(says, _not_finite(here) or (says if first > FIRST else ""), dict(here=here, there=there))


def two_ranks(name: str, device: str, iterations: int = 4) -> Found:
    """Losses of two processes against those of one."""
    if device != "cpu" and torch.cuda.device_count() < 2:
        raise LeftOutError(f"there are {torch.cuda.device_count()} devices; two are needed")
    with tempfile.TemporaryDirectory() as place:
        alone, together = Path(place) / "alone", Path(place) / "together"
        command = [str(ROOT / "tools" / "train.py"), str(_file_of(name)), *_arguments(name, iterations)]
        kind = device.partition(":")[0]
        _run([sys.executable, *command, "--device", kind, "--work-dir", str(alone)])
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        last = ["--launcher", "pytorch", "--device", kind, "--work-dir", str(together)]
        _run([sys.executable, *launcher, *command, *last])
        one, two = _losses(alone), _losses(together)
    first, later = _apart(two[:1], one[:1]), _apart(two[1:], one[1:])
    says = f"first iteration off by {first:.1e}, the next {iterations - 1} by {later:.1e}"
    wrong = says if first > FIRST or later > LATER else ""
    return Found(says, _not_finite(two) or wrong, dict(alone=one, together=two))


def toy_config() -> str:
    """The file of a game of linear networks."""
    from tests.training.tiny_run import write_config

    return str(write_config(Path(tempfile.mkdtemp()) / "toy.py"))


# -- playing -------------------------------------------------------------------------------------------------


def play(
    name: str, folder: Path, device: str, iterations: int, resume: bool = False, **options: Any
) -> Losses:
    """The losses of each iteration of a quick config; its last checkpoint is in the folder."""
    settings = {"train_cfg.max_iters": iterations, "model.log_every": 1, "device": device, **options}
    settings.setdefault("threads", torch.get_num_threads())  # some configs name one
    config = load_config(_file_of(name), name in FAMILIES.values(), settings, tell=lambda line: None)
    config.work_dir, config.stages = str(folder), []
    for network in config.model.networks.values():
        if isinstance(network.get("weights"), dict):
            network.pop("weights")  # of a stage, which is not played here
    kept = ("checkpoints", "journal", "growing")
    config.hooks = {hook: value for hook, value in config.hooks.items() if hook in kept}
    source = config.train_dataloader.dataset.source
    if source.type == "DrawnPortraits":
        source.images = 64
    build_runner(prepare(config)[-1], resume).train()
    return _losses(folder)


def _file_of(name: str) -> Path:
    return Path(name) if name.endswith(".py") else ROOT / "configs" / f"{name}.py"


def _losses(folder: Path) -> Losses:
    """Of a run's journal."""
    lines = (folder / "scalars.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if "/" in key} for line in lines]


def _apart(here: Losses, there: Losses) -> float:
    """Largest difference of a loss, relative to its size or 1: the larger."""
    if len(here) != len(there) or any(a.keys() != b.keys() for a, b in zip(here, there, strict=True)):
        return math.inf
    pairs = [(a[key], b[key]) for a, b in zip(here, there, strict=True) for key in b]
    return max((abs(a - b) / max(1.0, abs(b)) for a, b in pairs), default=math.inf)


def _not_finite(losses: Losses) -> str:
    bad = {name for one in losses for name, value in one.items() if not math.isfinite(value)}
    return f"not finite: {', '.join(sorted(bad))}" if bad else ""


def _checkpoint(folder: Path) -> dict[str, Any]:
    path = latest_checkpoint(folder)
    if path is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint")
    return read_checkpoint(path)


def _weights_apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    moving = [key for key, value in one.items() if value.is_floating_point() and value.numel()]
    return max(
        float((one[key] - other[key]).abs().max() / one[key].abs().max().clamp(min=1e-6)) for key in moving
    )


class _deterministic:
    """Deterministic algorithms where they exist; gives what has none, known at the end."""

    def __enter__(self) -> list[str]:
        self._before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.deterministic = True
        self._caught = warnings.catch_warnings(record=True)
        self._warnings = self._caught.__enter__()
        warnings.simplefilter("always")
        self._said: list[str] = []
        return self._said

    def __exit__(self, *error: Any) -> None:
        texts = {str(one.message).split(" does not have a deterministic")[0] for one in self._warnings or ()}
        raw = {str(one.message) for one in self._warnings or ()}
        self._said += sorted(text for text in texts if text not in raw)
        self._caught.__exit__(*error)
        torch.use_deterministic_algorithms(self._before[0])
        torch.backends.cudnn.deterministic = self._before[1]


def _arguments(name: str, iterations: int) -> list[str]:
    options = [
        f"train_cfg.max_iters={iterations}",
        "model.log_every=1",
        "model.tf32=False",
        "hooks.samples=None",
    ]
    quick = ["--quick"] if name in FAMILIES.values() else []  # a toy has no such block
    return [*quick, "--no-evaluation", "--cfg-options", *options]


def _run(command: list[str]) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if answer.returncode:
        raise RuntimeError(
            f"{' '.join(command[1:4])} ... ended with {answer.returncode}: {answer.stderr[-600:]}"
        )
