"""What a run's folder keeps, and what happens when it is continued as another, or by two at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pairs import run_pair
from tiny_run import write_config

from toolbox.config import ConfigError, load_config
from toolbox.registry import BuildError
from toolbox.runs.changes import differences
from toolbox.runs.environment import read_record
from toolbox.runs.locking import LockedError, locked
from toolbox.training.game.phases import PlanError

Run = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]
TOYS = Path(__file__).parent / "toy_games.py"
LABELS = dict(
    model=dict(
        type="Game",
        networks=dict(classifier=dict(type="SmallConvNet", channels=4)),
        players=dict(classifier=["classifier"]),
        phases=[dict(player="classifier")],
        objectives=dict(labels=dict(type="CrossEntropy")),
    ),
    optim_wrapper=dict(classifier=dict(optimizer=dict(type="SGD", lr=0.1))),
    train_cfg=dict(max_iters=2),
)


def test_the_record_is_complete_and_has_an_entry_for_each_start(trained: Run) -> None:
    folder = trained(options={"train_cfg.max_iters": 3, "deterministic": True})
    trained(resume=True, options={"deterministic": True})
    record = json.loads((folder / "environment.json").read_text())
    for key in (
        "python",
        "platform",
        "device",
        "versions",
        "plugins",
        "git",
        "seed",
        "deterministic",
        "command",
        "started",
        "data",
        "processes",
    ):
        assert key in record, key
    assert hashlib.sha256(TOYS.read_bytes()).hexdigest() in record["plugins"]["toy_games"]
    assert [start["goes_on_from"] for start in record["starts"]] == [{}, {"main": 3}]
    assert record["started"] == record["starts"][0]["started"] and record["starts"][1]["changes"] == {}
    assert load_config(folder / "config.json").model.conditioner.class_names[0] == "t-shirt"


def sample_and_resume(config: str, folder: str) -> bool:
    """Whether the plugin of the run is known afterwards and was not before."""
    from toolbox.cli.main import main
    from toolbox.pipeline import train
    from toolbox.plugins import host

    def known() -> bool:
        return "ToyGenerator" in {entry.name for entry in host().catalog.entries("generator")}

    before = known()
    assert main(["sample", folder, "--columns", "2"]) == 0
    after = known()
    train(config, folder, resume=True, evaluate=False, report=False, options={"train_cfg.max_iters": 3})
    return after and not before


def test_a_plugin_file_is_part_of_the_run(config_file: Path, tmp_path: Path) -> None:
    """Named once at the start; sampling and resuming find it in the folder."""
    from toolbox.pipeline import train

    text = config_file.read_text()
    config_file.write_text(text[text.index("threads") :])
    folder = train(
        config_file,
        tmp_path / "run",
        evaluate=False,
        report=False,
        plugins=[os.path.relpath(TOYS)],
        options={"train_cfg.max_iters": 2},
    )
    assert list(load_config(folder / "config.json").plugins) == [str(TOYS)]
    assert run_pair(sample_and_resume, str(config_file), str(folder), world=1) == [True]
    assert (folder / "iter_3.pth").is_file()


# -- continued as another ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run, at its third iteration."""
    from toolbox.pipeline import train

    folder = tmp_path_factory.mktemp("third")
    options = {"train_cfg.max_iters": 3}
    return train(
        write_config(folder / "tiny.py"), folder / "run", evaluate=False, report=False, options=options
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "seed: .*0.* -> 1|seed: .not there. -> 1"),
        (
            {"optim_wrapper.generator.optimizer.lr": 2e-3},
            "optim_wrapper.generator.optimizer.lr: 0.001 -> 0.002",
        ),
        (
            {"model.phases": [dict(player="discriminator"), dict(player="generator")]},
            "model.phases.0.repeat: 2 -> .not there.",
        ),
        ({"precision": "bf16"}, "precision: .not there. -> 'bf16'"),
        ({"deterministic": True}, "deterministic: .not there. -> True"),
        ({"train_dataloader.batch_size": 16}, "train_dataloader.batch_size: 8 -> 16"),
        (
            {"train_dataloader.dataset.source.split": "test"},
            r"source.split: .not there. -> 'test'; data \(fingerprint\): ",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_run_is_not_continued_as_another(
    third: Path, trained: Run, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    folder = Path(shutil.copytree(third, tmp_path / "run"))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(ConfigError, match=f"holds a run of another config: .*({message}).*--allow-changes"):
        trained(resume=True, options=options)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_what_is_changed_knowingly_is_kept(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained(options={"train_cfg.max_iters": 3})
    trained(resume=True, allow_changes=True, options={"optim_wrapper.generator.optimizer.lr": 2e-3})
    assert (
        "changed knowingly: optim_wrapper.generator.optimizer.lr: 0.001 -> 0.002" in capsys.readouterr().out
    )
    changes = read_record(folder)["starts"][1]["changes"]
    assert changes == {"optim_wrapper.generator.optimizer.lr": [0.001, 0.002]}
    assert (folder / "iter_5.pth").is_file()


def test_length_hooks_and_evaluation_may_change(trained: Run) -> None:
    trained(options={"train_cfg.max_iters": 3})
    trained(
        resume=True,
        options={
            "train_cfg.max_iters": 4,
            "hooks.checkpoints.interval": 2,
            "threads": 0,
            "title": "another",
            "train_dataloader.num_workers": 1,
            "evaluation": dict(real=dict(type="EmbeddedFashion")),
        },
    )


def test_a_finished_stage_is_reused_only_as_it_was(trained: Run) -> None:
    options = {"before": dict(labels=LABELS), "stages": ["labels"]}
    folder = trained(options=options)
    other = {**LABELS, "optim_wrapper": dict(classifier=dict(optimizer=dict(type="SGD", lr=0.2)))}
    with pytest.raises(
        ConfigError, match=r"before\.labels\.optim_wrapper\.classifier\.optimizer\.lr: 0\.1 -> 0\.2"
    ):
        trained(resume=True, options={**options, "before": dict(labels=other)})
    for path in [*folder.glob("iter_*.pth"), folder / "done.json"]:
        path.unlink()
    with pytest.raises(ConfigError, match=r"before\.labels\.optim_wrapper"):
        trained(
            options={**options, "before": dict(labels=other)}
        )  # also where only the stage is there, without --resume
    trained(options=options)


def test_a_list_that_a_file_holds_as_a_tuple_is_no_change() -> None:
    assert not list(differences(dict(a=[1, (2, 3)]), dict(a=(1, [2, 3]))))
    assert list(differences(dict(a=[1, 2]), dict(a=[1]))) == [("a", ([1, 2], [1]))]
    assert list(differences(dict(a=dict(b=1)), dict())) == [("a", (dict(b=1), "(not there)"))]


def test_a_fault_in_any_stage_is_found_before_the_first(trained: Run, tmp_path: Path) -> None:
    """Also one that shows only when it is built; nothing is written."""
    late = {
        **LABELS,
        "model": {**LABELS["model"], "networks": dict(classifier=dict(type="SmallConvNet", channels=-4))},
    }
    with pytest.raises((BuildError, PlanError, ConfigError)):
        trained(options={"before": dict(labels=LABELS, late=late), "stages": ["labels", "late"]})
    assert not (tmp_path / "run").exists()


# -- two at once ---------------------------------------------------------------------------------------------


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process with the folder's lock, which has said so."""
    code = (
        f"import time; from toolbox.runs.locking import locked\nwith locked({str(folder)!r}):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_runs_in_one_folder_are_refused_and_a_killed_one_blocks_nothing(
    trained: Run, tmp_path: Path
) -> None:
    process = hold(tmp_path / "run")
    try:
        with pytest.raises(LockedError, match=rf"run is in use by process {process.pid} on .*--work-dir"):
            trained()
        process.send_signal(signal.SIGKILL)
        process.wait()
        trained(options={"train_cfg.max_iters": 1})
    finally:
        process.kill()
        process.wait()


def test_a_loaders_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, signal, time; from toolbox.runs.locking import locked\nwith "
        f"locked({str(tmp_path)!r}):\n"
        "    child = os.fork()\n    if not child:\n        time.sleep(20)\n        os._exit(0)\n"
        "    print(child, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = int(_first_line(code))
    try:
        start = time.monotonic()
        with locked(tmp_path):
            assert time.monotonic() - start < 5
    finally:
        os.kill(child, signal.SIGKILL)


def _first_line(code: str) -> str:
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.wait()
    process.stdout.close()
    return line


def test_a_kept_config_that_cannot_be_read_is_named(trained: Callable[..., Path]) -> None:
    folder = trained()
    (folder / "config.json").write_text('{"x": ')
    with pytest.raises(
        ConfigError,
        match=r"config\.json, which says what the run was begun with, cannot be read: ConfigError",
    ):
        trained(resume=True)
    (folder / "config.json").unlink()  # config.py is there: as in an older run
    trained(resume=True)
    assert (folder / "config.json").is_file()
