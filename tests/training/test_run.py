"""Whole runs on a tiny game: resumed exactly, written whole, refused when they do not fit."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import ForkServer

from toolbox.config import ConfigError
from toolbox.registry import BuildError
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, read_checkpoint, write_checkpoint
from toolbox.training.game.phases import PlanError

Run = Callable[..., Path]


def contents(folder: Path, iteration: int = 5) -> dict[str, Any]:
    return torch.load(folder / f"iter_{iteration}.pth", weights_only=True)


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """Bit for bit, through dicts and lists."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}.{number}")
    else:
        assert one == other, where


def assert_same_run(one: Path, other: Path) -> None:
    for part in ("state_dict", "optimizer", "param_schedulers"):
        assert_equal(contents(one)[part], contents(other)[part], part)
    assert (one / "scalars.jsonl").read_text() == (other / "scalars.jsonl").read_text()


def test_a_resumed_run_equals_an_uninterrupted_one(trained: Run, capfd: pytest.CaptureFixture[str]) -> None:
    whole = trained("whole")
    trained("part", options={"train_cfg.max_iters": 3})
    assert_same_run(whole, trained("part", resume=True))
    assert "backend" not in capfd.readouterr().out  # mmengine's word about how it opened the file


@pytest.mark.parametrize("average", [dict(decay=0.5), None], ids=["averaged", "not averaged"])
def test_sampling_and_loader_workers_change_nothing(trained: Run, average: dict[str, float] | None) -> None:
    """Also where the generator that trains is the one that is drawn from."""
    plain = trained("plain", options={"model.average.generator": average})
    grids = {
        "model.average.generator": average,
        "hooks.samples": dict(type="SampleGrid", interval=2, columns=2, rows=2),
    }
    busy = trained("busy", options={**grids, "train_dataloader.num_workers": 1})
    assert_same_run(plain, busy)
    assert [p.name for p in sorted((busy / "samples").iterdir())] == [f"iter_{i:07d}.png" for i in (2, 4, 5)]


def test_another_seed_is_another_run(trained: Run) -> None:
    one, other = trained("one"), trained("other", options={"seed": 1})
    assert not torch.equal(
        contents(one)["state_dict"]["networks.generator.linear.weight"],
        contents(other)["state_dict"]["networks.generator.linear.weight"],
    )


def test_checkpoints_hold_tensors_and_plain_values_only(trained: Run) -> None:
    folder = trained()
    state = contents(folder)["state_dict"]
    assert "networks.generator.linear.weight" in state and "average.generator.module.linear.weight" in state
    assert (folder / "last_checkpoint").read_text() == "iter_5.pth"
    assert [p.name for p in sorted(folder.glob("iter_*"))] == ["iter_3.pth", "iter_5.pth"]
    assert contents(folder)["meta"]["iter"] == 5


def test_a_run_keeps_what_it_was_made_with(trained: Run) -> None:
    folder = trained()
    record = json.loads((folder / "environment.json").read_text())
    assert record["data"]["n"] == 8000 and len(record["data"]["fingerprint"]) == 64 and record["seed"] == 0
    assert len((folder / "scalars.jsonl").read_text().splitlines()) == 5


def test_a_release_samples_from_the_average(trained: Run) -> None:
    import toolbox

    folder = trained()
    generator = toolbox.load_generator(folder)
    assert torch.equal(
        generator.linear.weight, contents(folder)["state_dict"]["average.generator.module.linear.weight"]
    )
    sampler = toolbox.load_run(folder)
    some, all_of_them = sampler(torch.arange(2, 4)).images, sampler(torch.arange(6)).images
    assert torch.allclose(some, all_of_them[2:4], atol=1e-6) and len(sampler.class_names) == 10


def test_a_checkpoint_is_read_under_the_config_it_was_trained_from(trained: Run, config_file: Path) -> None:
    """``toolbox test CONFIG CHECKPOINT``: the config file leaves its classes to the data set."""
    from toolbox.config import load_config
    from toolbox.loading import load_game

    game = load_game(trained() / "iter_5.pth", load_config(config_file))
    assert len(game.conditioner.class_names) == 10


def test_a_checkpoint_in_its_run_is_opened_with_the_runs_config(trained: Run) -> None:
    """By its record: the same file alone, or a strange one in the run's folder, gets no config."""
    import toolbox
    from toolbox.runs.environment import is_of_run

    folder = trained()
    expected = toolbox.load_generator(folder).linear.weight
    assert torch.equal(toolbox.load_generator(folder / "iter_5.pth").linear.weight, expected)
    (folder / "iter_5.pth").rename(folder / "ffhq.pth")
    assert is_of_run(folder / "iter_3.pth") and not is_of_run(folder / "ffhq.pth")
    assert is_of_run(folder / "best_fid_iter_3.pth")  # of Checkpoints(best='fid')
    (folder / "environment.json").unlink()
    assert not is_of_run(folder / "iter_3.pth")


def test_the_last_checkpoints_are_kept(trained: Run) -> None:
    folder = trained(options={"hooks.checkpoints.interval": 1, "hooks.checkpoints.keep": 2})
    assert sorted(p.name for p in folder.glob("iter_*")) == ["iter_4.pth", "iter_5.pth"]


# -- refused -------------------------------------------------------------------------------------------------


def test_a_folder_with_a_run_is_not_overwritten(trained: Run) -> None:
    trained()
    with pytest.raises(ConfigError, match="already holds a run: continue it with --resume"):
        trained()


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_a_run_of_another_command_is_not_overwritten(
    trained: Run, tmp_path: Path, resume: bool
) -> None:
    kept = tmp_path / "run" / "config.py"
    kept.parent.mkdir()
    kept.write_text("command = 'klish fit'\n")
    with pytest.raises(
        ConfigError, match="holds a run of `toolbox klish fit`: name another folder with --work-dir"
    ):
        trained(resume=resume)
    assert kept.read_text() == "command = 'klish fit'\n" and sorted(
        p.name for p in kept.parent.iterdir()
    ) == [".lock", "config.py"]


def test_a_checkpoint_of_another_shape_is_refused_and_nothing_is_loaded(trained: Run) -> None:
    trained(options={"train_cfg.max_iters": 3})
    with pytest.raises(
        CheckpointError,
        match=r"nothing was loaded: other shapes .*networks.generator.linear.weight: \(192, 14\) in "
        r"the file, \(192, 16\) in the model",
    ):
        trained(resume=True, allow_changes=True, options={"model.networks.generator.latent_dim": 6})


def test_missing_and_unexpected_entries_are_listed(trained: Run) -> None:
    trained(options={"train_cfg.max_iters": 3})
    with pytest.raises(CheckpointError, match=r"missing in the file .*classifier.*"):
        trained(
            resume=True,
            allow_changes=True,
            options={
                "model.networks.classifier": dict(type="SmallConvNet"),
                "model.players.classifier": ["classifier"],
                "model.phases": [
                    dict(player="discriminator", repeat=2),
                    dict(player="generator"),
                    dict(player="classifier"),
                ],
                "model.objectives.labels": dict(type="CrossEntropy"),
                "optim_wrapper.classifier": dict(optimizer=dict(type="Adam", lr=1e-3)),
            },
        )


@pytest.mark.parametrize("damage", ["cut", "text", "missing"])
def test_a_torn_file_is_named(trained: Run, damage: str) -> None:
    folder = trained(options={"train_cfg.max_iters": 3})
    path = folder / "iter_3.pth"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "text":
        path.write_text("not a checkpoint")
    else:
        with pytest.raises(
            CheckpointError, match=r"iter_4\.pth' does not exist - did you mean 'iter_3\.pth'"
        ):
            read_checkpoint(folder / "iter_4.pth")
        return
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint in .* can be used: iter_3\.pth is damaged.*Nothing was started over",
    ):
        trained(resume=True)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save(dict(state_dict=Evil()), tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        read_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()


def test_a_full_disk_keeps_the_older_checkpoints(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = torch.save, []

    def full(contents: Any, file: Any) -> None:
        if saved:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(True)
        save(contents, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        CheckpointError, match=r"the disk is full; older checkpoints are intact\. Free some space"
    ):
        trained()
    assert latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_3.pth"
    assert contents(tmp_path / "run", 3)["meta"]["iter"] == 3
    assert not list((tmp_path / "run").glob(".*tmp"))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(dict(a=1), tmp_path / "x.pth")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
    with pytest.raises(CheckpointError, match="I/O error"):
        write_checkpoint(dict(a=2), tmp_path / "x.pth")
    assert read_checkpoint(tmp_path / "x.pth") == dict(a=1)


def test_nan_keeps_the_last_good_checkpoint(trained: Run, tmp_path: Path) -> None:
    from toolbox.training.game.game import NotFiniteError

    with pytest.raises(NotFiniteError, match=r"iteration 4, .*bad \(of discriminator\)"):
        trained(options={"model.objectives.bad": dict(type="Mean", broken=4)})
    assert latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_3.pth"


def test_a_batch_that_cannot_be_split_is_refused_at_once(trained: Run) -> None:
    with pytest.raises(ConfigError, match="batch_size=9 must be a multiple of 2"):
        trained(options={"train_dataloader.batch_size": 9})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_cfg.max_itres": 5}, "train_cfg has no key 'max_itres' - did you mean 'max_iters'"),
        (
            {"train_dataloader.batchsize": 8},
            "train_dataloader has no key 'batchsize' - did you mean 'batch_size'",
        ),
        (
            {"optim_wrapper.generatr": dict(optimizer=dict(type="Adam", lr=1e-3))},
            "player 'generatr' - did you mean 'generator'",
        ),
        (
            {"optim_wrapper.generator.optimizer.type": "Adma"},
            r"optim_wrapper\.generator\.optimizer\.type='Adma' is not known",
        ),
        (
            {"optim_wrapper.generator.optimizer.lrr": 1.0},
            r"optim_wrapper\.generator\.optimizer has no key 'lrr' - did you mean 'lr'",
        ),
        ({"hooks.journal.kep": 1}, r"hooks\.journal: Journal has no argument 'kep' - did you mean 'keep'"),
        (
            {"model.phases": [dict(player="generator", evry=2)]},
            "a phase has no key 'evry' - did you mean 'every'",
        ),
        (
            {"before": dict(labels=dict(modle={}))},
            r"unknown key 'modle' in before\.labels - did you mean 'model'",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_fault_is_found_before_the_first_stage(trained: Run, options: dict[str, Any], message: str) -> None:
    """Also one that the main game alone would stumble over."""
    stage = dict(model=dict(), train_cfg=dict(max_iters=1))
    if "before" not in options:
        options = {**options, "before": dict(labels=stage), "stages": ["labels"]}
    with pytest.raises((ConfigError, PlanError, BuildError), match=message):
        trained(options=options)


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (dict(n_fakes=5), "evaluation has no key 'n_fakes' - did you mean 'n_fake'"),
        (
            dict(extractor=dict(type="PooledPixels"), metrics=dict(fid=dict(type="FID"))),
            r"nothing of evaluation\.real",
        ),
        (
            dict(real=dict(type="EmbeddedFashion"), metrics=dict(fid=dict(type="FDI"))),
            r"evaluation\.metrics\.fid: no metric .*FID",
        ),
        (
            dict(real=dict(type="EmbeddedFashion"), metrics=dict(fid=dict(type="FID", n_fakes=5))),
            "no argument 'n_fakes'",
        ),
    ],
    ids=["key", "real", "metric", "argument"],
)
def test_a_fault_of_the_evaluation_is_found_before_training(
    config_file: Path, tmp_path: Path, evaluation: dict[str, Any], message: str
) -> None:
    from toolbox.pipeline import train

    with pytest.raises((ConfigError, BuildError), match=message):
        train(config_file, work_dir=tmp_path / "run", options={"evaluation": evaluation})
    assert not (tmp_path / "run").exists()


def test_class_names_of_another_data_set_are_refused(trained: Run) -> None:
    with pytest.raises(ValueError, match=r"conditioner\.class_names names 2 classes, the data set has 10"):
        trained(options={"model.conditioner.class_names": ["cat", "dog"]})


# -- stages, weights from elsewhere --------------------------------------------------------------------------


CLASSIFIER = dict(type="SmallConvNet", channels=4)
LABELS = dict(
    model=dict(
        type="Game",
        networks=dict(classifier=CLASSIFIER),
        players=dict(classifier=["classifier"]),
        phases=[dict(player="classifier")],
        objectives=dict(labels=dict(type="CrossEntropy")),
    ),
    optim_wrapper=dict(classifier=dict(optimizer=dict(type="SGD", lr=0.1))),
    train_cfg=dict(max_iters=2),
)


def test_stages_hand_networks_over_and_are_not_played_twice(trained: Run) -> None:
    options = {
        "before": dict(labels=LABELS),
        "stages": ["labels"],
        "model.networks.classifier": dict(CLASSIFIER, weights=dict(stage="labels")),
    }
    folder = trained(options=options)
    stage = folder / "stages" / "labels"
    made = contents(stage, 2)["state_dict"]
    used = contents(folder)["state_dict"]
    for key, value in made.items():
        if key.startswith("networks.classifier"):
            assert torch.equal(value, used[key])
    written = (stage / "iter_2.pth").stat().st_mtime_ns
    trained(resume=True, options={**options, "train_cfg.max_iters": 6})
    assert (stage / "iter_2.pth").stat().st_mtime_ns == written and (folder / "iter_6.pth").is_file()


def test_an_unfinished_stage_is_not_overwritten(trained: Run) -> None:
    """It is continued with --resume; a finished one is taken as it is."""
    folder = trained("first", options={"train_cfg.max_iters": 3})
    stage = folder.parent / "run" / "stages" / "labels"
    stage.parent.mkdir(parents=True)
    folder.rename(stage)
    (stage / "done.json").unlink()
    with pytest.raises(ConfigError, match="already holds a run: continue it with --resume"):
        trained(options={"stages": ["labels"], "before": dict(labels=LABELS)})


def test_fine_tuning_starts_from_another_runs_network(trained: Run) -> None:
    first = trained("first")
    source = dict(checkpoint=str(first), network="generator")
    second = trained(
        "second",
        options={
            "model.networks.generator.weights": source,
            "train_cfg.max_iters": 1,
            "model.networks.generator.freeze_layers": ["linear"],
        },
    )
    averaged = contents(first)["state_dict"]["average.generator.module.linear.weight"]
    assert torch.equal(contents(second, 1)["state_dict"]["networks.generator.linear.weight"], averaged)


# -- interruption --------------------------------------------------------------------------------------------


START = 300  # seconds that a process may take to come to its third iteration, on a machine that is busy


def test_ctrl_c_saves_and_stops(fork_server: ForkServer, config_file: Path, tmp_path: Path) -> None:
    folder, log = tmp_path / "run", tmp_path / "log.txt"
    words = ["--work-dir", str(folder), "--no-evaluation", "--cfg-options", "train_cfg.max_iters=100000"]
    process = fork_server.start([str(config_file), *words], log)
    until = time.monotonic() + START
    while not (folder / "iter_3.pth").is_file() and time.monotonic() < until:
        os.kill(process, 0)  # it has not ended
        time.sleep(0.05)
    os.kill(process, signal.SIGINT)
    status, output = fork_server.wait(), log.read_text()
    last = latest_checkpoint(folder)
    assert last is not None
    iteration = int(last.stem.split("_")[1])
    assert read_checkpoint(last)["meta"]["iter"] == iteration
    assert f"SIGINT: stopped after iteration {iteration}, checkpoint saved. Continue with --resume" in output
    assert status == 130 and not (folder / "done.json").is_file()
