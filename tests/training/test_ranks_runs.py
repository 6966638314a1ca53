"""Whole runs by two processes: the same weights, measures and files as by one; checkpoints go either way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from pairs import run_pair
from smooth_games import largest_difference

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CONFIG = """
plugins = [{plugin!r}]
threads = 1
model = dict(
    type='Game', log_every=1,
    networks=dict(
        generator=dict(type='SmoothGenerator', classes=10),
        discriminator=dict(type='SmoothDiscriminator', classes=10)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator', repeat=2), dict(player='generator')],
    conditioner=dict(type='ClassConditions', class_names='data:classes'),
    objectives=dict(adversarial=dict(type='HingeAdversarial')),
    augment=dict(type='DiffAugment', policy='translation'),
    average=dict(generator=dict(decay=0.5)))
train_dataloader = dict(
    batch_size=8, dataset=dict(type='Stream', source=dict(type='EmbeddedFashion', image_size=8)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))),
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))))
train_cfg = dict(max_iters=6)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=3, keep=0), journal=dict(type='Journal'))
evaluation = dict(
    real=dict(type='EmbeddedFashion', image_size=8, split='test'), extractor=dict(type='PooledPixels'),
    metrics=dict(fid=dict(type='FID')), n_fake=200, batch_size=50, cache_dir=None)
"""


def config_in(folder: Path) -> Path:
    file = folder / "smooth.py"
    file.write_text(CONFIG.format(plugin=str(FOLDER / "smooth_games.py")))
    return file


def train_it(config: str, folder: str, iterations: int, evaluate: bool = False, resume: bool = False) -> str:
    from toolbox.pipeline import train

    options = {"train_cfg.max_iters": iterations}
    return str(
        train(config, work_dir=folder, options=options, evaluate=evaluate, report=False, resume=resume)
    )


def state_of(folder: Path, iteration: int = 6) -> dict[str, Any]:
    contents: dict[str, Any] = torch.load(folder / f"iter_{iteration}.pth", weights_only=True)
    return contents["state_dict"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    train_it(str(config_in(folder)), str(folder / "run"), 6, evaluate=True)
    return folder / "run"


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    run_pair(train_it, str(config_in(folder)), str(folder / "run"), 6, True)
    return folder / "run"


def test_weights(alone: Path, together: Path) -> None:
    assert largest_difference(state_of(alone), state_of(together)) < 1e-5


def test_measures(alone: Path, together: Path) -> None:
    """Of nearly equal weights here; of equal weights they are equal, see the tests of the metrics."""
    one, other = (json.loads((folder / "metrics.jsonl").read_text()) for folder in (alone, together))
    assert one["metric"] == other["metric"]
    assert one["value"] == pytest.approx(other["value"], rel=1e-3)


def test_losses(alone: Path, together: Path) -> None:
    files = [folder / "scalars.jsonl" for folder in (alone, together)]
    one, other = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    assert len(one) == len(other) == 6
    for mine, theirs in zip(one, other, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)


def test_the_folders_hold_the_same_files(alone: Path, together: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {
            p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("20")
        }  # mmengine's name with the time

    assert names(alone) == names(together)


@pytest.mark.parametrize("first", ["two", pytest.param("one", marks=pytest.mark.slow)])
def test_a_checkpoint_goes_either_way(tmp_path: Path, alone: Path, first: str) -> None:
    config, folder = str(config_in(tmp_path)), str(tmp_path / "run")
    if first == "two":
        run_pair(train_it, config, folder, 3)
        train_it(config, folder, 6, resume=True)
    else:
        train_it(config, folder, 3)
        run_pair(train_it, config, folder, 6, False, True)
    assert largest_difference(state_of(alone), state_of(tmp_path / "run")) < 1e-5


def train_until_a_signal_to_one(config: str, folder: str, iterations: int) -> None:
    """The first process alone is asked to stop, in the last iteration."""
    from toolbox import ranks
    from toolbox.runs.stopping import Stopped
    from toolbox.training.run.loop import GameLoop

    def iterate(loop: GameLoop, batch: Any, plain: Any = GameLoop._iterate) -> None:
        if ranks.is_main() and loop.iter + 1 == iterations:
            os.kill(os.getpid(), signal.SIGTERM)
        plain(loop, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GameLoop, "_iterate", iterate)
        with pytest.raises(Stopped) as stopped:
            train_it(config, folder, iterations)
        assert stopped.value.exit_code == 143


def test_a_signal_to_one_process_in_the_last_iteration_stops_both(tmp_path: Path, alone: Path) -> None:
    """No gradients are exchanged after it; the other one must not go on to what follows training, and wait
    there.
    """
    config, folder = str(config_in(tmp_path)), str(tmp_path / "run")
    run_pair(train_until_a_signal_to_one, config, folder, 6)
    assert not (tmp_path / "run" / "done.json").is_file()
    train_it(config, folder, 6, resume=True)
    assert (tmp_path / "run" / "done.json").is_file()
    assert largest_difference(state_of(alone), state_of(tmp_path / "run")) < 1e-5


def test_a_batch_that_the_processes_cannot_share(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError,
        match=r"batch_size=8 must be a multiple of 6 \(3 processes x 2 parts, since phases repeat\)",
    ):
        run_pair(train_it, str(config_in(tmp_path)), str(tmp_path / "run"), 6, world=3)


# -- from the command line -----------------------------------------------------------------------------------


def torchrun(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(ROOT / "tools/train.py"),
        str(config_in(folder)),
        "--launcher",
        "pytorch",
        "--work-dir",
        str(folder / "run"),
        *options,
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{FOLDER}"},
    )


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.is_file() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1][-2000:]
        time.sleep(0.05)
    assert path.is_file()


@pytest.mark.slow
def test_torchrun_and_a_signal_to_it(tmp_path: Path) -> None:
    """SIGTERM reaches the launcher: both processes finish the same iteration, save once, and it ends well."""
    process = torchrun(
        tmp_path,
        "--no-evaluation",
        "--cfg-options",
        "train_cfg.max_iters=100000",
        "hooks.checkpoints.interval=20",
    )
    wait_for(tmp_path / "run" / "iter_20.pth", process)
    process.send_signal(signal.SIGTERM)
    said, complaints = process.communicate(timeout=300)
    assert "stopped after iteration" in said, complaints[-2000:]
    saved = max(int(p.stem.split("_")[1]) for p in (tmp_path / "run").glob("iter_*.pth"))
    assert f"stopped after iteration {saved}, checkpoint saved" in said
    assert int(state_of(tmp_path / "run", saved)["iteration"]) == saved


@pytest.mark.slow  # how processes end without one of their number is tested in test_launch.py
def test_torchrun_with_a_killed_process(tmp_path: Path) -> None:
    """The other one says in a line that it was left alone, and older checkpoints are good."""
    process = torchrun(
        tmp_path,
        "--no-evaluation",
        "--rank-timeout",
        "20",
        "--cfg-options",
        "train_cfg.max_iters=100000",
        "hooks.checkpoints.interval=20",
    )
    wait_for(tmp_path / "run" / "iter_20.pth", process)
    children = (Path("/proc") / str(process.pid) / "task" / str(process.pid) / "children").read_text().split()
    workers = [
        int(child) for child in children if b"tools/train.py" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    os.kill(workers[1], signal.SIGKILL)
    begun = time.monotonic()
    _, complaints = process.communicate(timeout=300)
    assert time.monotonic() - begun < 40
    assert process.returncode != 0
    assert "another process of this run has ended" in complaints
    assert state_of(tmp_path / "run", 20)
