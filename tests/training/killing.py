"""Killing real training processes at any moment, resuming them, and comparing what they leave behind.

Starting Python with torch takes seconds, so runs are forked from a process that has everything imported: it
executes ``tools/train.py`` as ``python tools/train.py`` would, and SIGKILL hits a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "train.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"}

Moment = Callable[[Path, float], bool]
"""(run's folder, seconds since the start) -> whether to kill now; asked again and again."""


# -- the process that forks ----------------------------------------------------------------------------------


class ForkServer:
    """Starts training processes that need not import anything; one at a time."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env=ENVIRONMENT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def start(self, arguments: list[str], log: Path, largest_file: int | None = None) -> int:
        """Fork a training that may write files of so many bytes; its process id."""
        self._tell(dict(arguments=arguments, log=str(log), largest_file=largest_file))
        return int(self._hear()["pid"])

    def wait(self) -> int:
        """Exit status of the training under way, negative = killed by that signal."""
        return os.waitstatus_to_exitcode(int(self._hear()["status"]))

    def close(self) -> None:
        """End it."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def _tell(self, words: Mapping[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(words) + "\n")
        self._server.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        return dict(json.loads(self._server.stdout.readline()))


def serve() -> None:
    """The forking process: reads what to start, line by line, says the process id and, later, the exit
    status.
    """
    _import_everything()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            answers.close()
            _become_training(**asked)
        for answer in (lambda: dict(pid=pid), lambda: dict(status=os.waitpid(pid, 0)[1])):  # noqa: B023 (called at once)
            answers.write(json.dumps(answer()) + "\n")
            answers.flush()


def _import_everything() -> None:
    sys.path.insert(0, str(ROOT))
    from toolbox.compat import import_torchvision
    from toolbox.plugins import host
    from toolbox.source_tree import use_source_tree

    use_source_tree(ROOT)
    import_torchvision()
    assert not host().check()  # imports every component
    for name in (
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
        "mmengine.runner",
        "tqdm",
        "toolbox.cli.train",
        "toolbox.pipeline",
        "toolbox.loading",
        "toolbox.training.run.play",
        "toolbox.visual.pictures",
        "toolbox.visual.report",
    ):
        importlib.import_module(name)


def _become_training(arguments: list[str], log: str, largest_file: int | None) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    sys.argv = [str(SCRIPT), *arguments]
    sys.path.insert(0, str(SCRIPT.parent))
    status = 1
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


# -- moments -------------------------------------------------------------------------------------------------


def after(seconds: float) -> Moment:
    """So long after the start."""
    return lambda folder, passed: passed >= seconds


def while_writing(pattern: str) -> Moment:
    """While a file of this pattern is being written beside its place."""
    return lambda folder, passed: any(folder.glob(pattern))


def once_there(name: str, delay: float = 0.0) -> Moment:
    """So long after a file appeared."""
    seen: list[float] = []

    def now(folder: Path, passed: float) -> bool:
        if not seen and (folder / name).is_file():
            seen.append(passed)
        return bool(seen) and passed >= seen[0] + delay

    return now


# -- one run, killed and resumed -----------------------------------------------------------------------------


class Victim:
    """One training run: started, killed, resumed, and at last left to end.

    Attributes:
        folder: the run's folder.
        kills: how often it was killed.
    """

    def __init__(self, server: ForkServer, command: list[str], folder: Path) -> None:
        self.server, self.folder, self.kills = server, folder, 0
        self.log = folder.with_suffix(".log")
        self._arguments = [*command, "--work-dir", str(folder)]

    def run_until(self, moment: Moment) -> bool:
        """Start (again), kill at that moment; False where the run ended before it."""
        started = time.monotonic()
        pid = self.server.start(self._resuming(), self.log)
        while not moment(self.folder, time.monotonic() - started):
            if _has_ended(pid):
                self._check(self.server.wait())
                return False
            time.sleep(0.0005)
        os.kill(pid, signal.SIGKILL)
        self.kills += 1
        return self.server.wait() == -signal.SIGKILL

    def finish(self) -> None:
        """Resume, and let it come to its end."""
        self.server.start(self._resuming(), self.log)
        self._check(self.server.wait())

    def _resuming(self) -> list[str]:
        return [*self._arguments, "--resume"]

    def _check(self, status: int) -> None:
        assert status == 0, f"exit status {status} after {self.kills} kills:\n{self.log.read_text()}"


def _has_ended(pid: int) -> bool:
    """Whether it has exited; its parent may not have asked for its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# -- what a run leaves behind --------------------------------------------------------------------------------


def assert_same_folder(one: Path, other: Path) -> None:
    """Two runs' folders hold the same, bit for bit: but for times, process ids, names of folders and the
    machine's words.
    """
    for pattern in (
        "**/*.png",
        "**/*.pth",
        "**/scalars.jsonl",
        "**/metrics.jsonl",
        "tables/*.json",
        "**/done.json",
        "**/last_checkpoint",
    ):
        names = sorted(str(path.relative_to(one)) for path in one.glob(pattern))
        assert names == sorted(str(path.relative_to(other)) for path in other.glob(pattern)), pattern
        for name in names:
            assert_same_file(one / name, other / name)
    leftovers = [str(path) for path in other.rglob(".*") if path.name.endswith((".tmp", ".part"))]
    assert not leftovers, leftovers


def assert_same_file(one: Path, other: Path) -> None:
    """Equal contents, without what must differ."""
    if one.suffix == ".pth":
        assert_equal(
            *(_comparable(torch.load(path, weights_only=True)) for path in (one, other)), where=one.name
        )
    elif one.name == "metrics.jsonl":
        assert_equal(
            *([_timeless(line) for line in path.read_text().splitlines()] for path in (one, other)),
            where=one.name,
        )
    else:
        assert one.read_bytes() == other.read_bytes(), f"{one} and {other} differ"


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """Bit for bit, through dicts and lists."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape, where
        assert torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8)), where
    elif isinstance(one, dict):
        assert list(one) == list(other), f"{where}: {list(one)}, {list(other)}"
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), f"{where}: {len(one)}, {len(other)}"
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}.{number}")
    else:
        assert one == other or (one != one and other != other), f"{where}: {one!r}, {other!r}"


def _comparable(contents: dict[str, Any]) -> dict[str, Any]:
    meta = {
        key: value for key, value in contents["meta"].items() if key not in ("time", "experiment_name", "cfg")
    }
    return {**contents, "meta": meta}


def _timeless(line: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(line).items() if key != "time"}


# -- small versions of quick configs -------------------------------------------------------------------------


def first_configs() -> dict[str, str]:
    """{plugin: its first training config} of every plugin of this checkout, the core left out."""
    from toolbox.plugins import host

    found: dict[str, str] = {}
    for name, file in host().configs().items():
        # tests/plugins/klish kills a fit, pairs and each arrow of a segmenter
        clustering = file.name.startswith(("klish_", "ufgs_"))
        if name.partition("/")[0] != "toolbox" and file.resolve().is_relative_to(ROOT) and not clustering:
            found.setdefault(name.partition("/")[0], name)
    return found


def write_small_set(folder: Path, images: int = 16) -> Path:
    """A folder of class folders: ``images`` of each class of the embedded Fashion-MNIST."""
    import numpy as np
    from PIL import Image

    from toolbox.data.embedded import EmbeddedFashion

    source = EmbeddedFashion()
    for label, name in enumerate(source.classes):
        (folder / name.replace("/", "-")).mkdir(parents=True)
        for number in np.flatnonzero(source.labels == label)[:images]:
            Image.fromarray(source.image(int(number))).save(
                folder / name.replace("/", "-") / f"{number:05d}.png"
            )
    return folder


def small_command(config: str, data: Path, cache: Path, seed: int = 3) -> list[str]:
    """Arguments of ``tools/train.py`` for a quick config made so small that it takes seconds."""
    return [
        config,
        "--quick",
        "--deterministic",
        "--seed",
        str(seed),
        "--cfg-options",
        *(f"{key}={value!r}".replace(" ", "") for key, value in small_options(config, data, cache).items()),
    ]


def small_options(config: str, data: Path, cache: Path) -> dict[str, Any]:
    """Few iterations and images; readings, grids, measurements and checkpoints that do not fall together."""
    from toolbox.config import load_config

    full = load_config(config, quick=True)
    source = {"type": "ImageFolder", "root": str(data)}
    options: dict[str, Any] = {
        "threads": 1,
        "train_cfg.max_iters": 7,
        "model.log_every": 3,
        "train_dataloader.batch_size": 8,
        "param_scheduler": [{"type": "LinearLR", "start_factor": 0.5, "begin": 0, "end": 6}],
        "hooks.checkpoints.interval": 2,
    }
    if full.hooks.get("samples"):
        options |= {"hooks.samples.interval": 2, "hooks.samples.columns": 2}
    if full.hooks.get("retrieval"):
        options["hooks.retrieval"] = None  # of other images than these few
    dataset = full.train_dataloader.dataset or {}  # None: a game without images
    if "templates" in dataset.get("source", {}):
        options |= _small_captions()
    elif "source" in dataset:
        options |= {f"train_dataloader.dataset.source.{key}": value for key, value in source.items()}
    if "split" in dataset:
        options["train_dataloader.dataset.split.labelled_per_class"] = 12
    options |= _small_networks(full.model.networks)
    for stage in full.get("stages", ()):
        networks = _small_networks(full.before[stage].model.get("networks", {}))
        options |= {f"before.{stage}.{key}": value for key, value in networks.items()}
        options |= {
            f"before.{stage}.train_cfg.max_iters": 4,
            f"before.{stage}.train_dataloader.batch_size": 8,
            f"before.{stage}.model.log_every": 3,
        }
    if full.get("evaluation"):
        options |= _small_evaluation(full.evaluation, source, cache)
    return options


def _small_captions() -> dict[str, Any]:
    """Two short sentences an image."""
    small = {"each": 2, "unseen": 0, "templates": ["{name}", "{class}"]}
    return {f"train_dataloader.dataset.source.{key}": value for key, value in small.items()}


def _small_networks(networks: Mapping[str, Any]) -> dict[str, Any]:
    """Few channels and layers."""
    small = {"channels": 4, "depth": 10, "width": 1}
    return {
        f"model.networks.{name}.{key}": value
        for name, network in networks.items()
        for key, value in small.items()
        if key in (network or {})
    }


def _small_evaluation(evaluation: Any, source: dict[str, str], cache: Path) -> dict[str, Any]:
    options: dict[str, Any] = {
        "evaluation.n_fake": 12,
        "evaluation.bn": "batch",
        "evaluation.cache_dir": str(cache),
        "hooks.evaluation": {"type": "Evaluation", "interval": 3, "metrics": ["fid"]},
        "hooks.checkpoints.best": "fid",
    }
    for part in ("real", "test"):
        if evaluation.get(part):
            options |= {f"evaluation.{part}.{key}": value for key, value in source.items()}
            options[f"evaluation.{part}.split"] = "train"
    return {
        **options,
        **{
            f"evaluation.metrics.{name}": None
            for name in evaluation.metrics
            if name not in ("fid", "consistency")
        },
    }


def moments(duration: float, rng: random.Random, stages: Sequence[str] = ()) -> Iterator[tuple[str, Moment]]:
    """Moments of every kind, in turn, for ever: anywhere, and where a kill may hurt most."""
    while True:
        for stage in stages:
            yield f"in {stage}", once_there(f"stages/{stage}/scalars.jsonl", rng.uniform(0, 0.1))
        yield "anywhere", after(rng.uniform(0, duration))
        yield "while a checkpoint is written", while_writing(".iter_*.tmp")
        yield "in the last evaluation", once_there("done.json", rng.uniform(0, 1))
        yield "before the first iteration", once_there("log.txt", rng.uniform(0, 1))
        yield "while the pointer is written", while_writing(".last_checkpoint.*.tmp")
        yield "while metrics are written", while_writing(".metrics.jsonl.*.tmp")
        yield "while a grid is written", while_writing("samples/.*.tmp")
        yield "while the best is written", while_writing(".best_*.tmp")


if __name__ == "__main__":
    serve()
