"""Checkpoints are there whole or not at all; a damaged one is recognised, said, and the newest good one
taken.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killing
import pytest
import torch

from toolbox.runs.files import beside, copy_whole, sweep, write_text, write_whole
from toolbox.runs.locking import holders, locked
from toolbox.training.checkpoints import (
    CheckpointError,
    checkpoint_files,
    fault_of,
    find_checkpoints,
    latest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

Run = Callable[..., Path]


def save(folder: Path, iteration: int) -> Path:
    path = folder / f"iter_{iteration}.pth"
    rng = torch.Generator().manual_seed(iteration)
    write_checkpoint(
        dict(meta=dict(iter=iteration), state_dict=dict(w=torch.rand(40, 40, generator=rng))), path
    )
    write_text(path.name, folder / "last_checkpoint")
    return path


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a checkpoint"),
    "bit": lambda path: flip(path, path.stat().st_size // 2),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_newest_good_one_is_taken_and_that_is_said(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 3), save(tmp_path, 6)
    DAMAGE[damage](save(tmp_path, 9))
    said: list[str] = []
    assert latest_checkpoint(tmp_path, said.append) == tmp_path / "iter_6.pth"
    assert len(said) == 1 and "\n" not in said[0]
    assert said[0].startswith("iter_9.pth is damaged") and said[0].endswith(
        "iter_6.pth is taken, the newest good one"
    )
    with pytest.raises(CheckpointError, match=r"cannot read .*iter_9\.pth"):
        read_checkpoint(tmp_path / "iter_9.pth")


def test_torch_itself_does_not_see_a_flipped_bit(tmp_path: Path) -> None:
    """Why every file is compared with its own checksums."""
    path = save(tmp_path, 1)
    good = torch.load(path, weights_only=True)["state_dict"]["w"]
    flip(path, path.read_bytes().index(good.numpy().tobytes()) + 3)
    assert not torch.equal(torch.load(path, weights_only=True)["state_dict"]["w"], good)
    assert "is damaged" in str(fault_of(path))


def test_any_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    good, whole = read_checkpoint(path), path.read_bytes()
    rng = random.Random(0)
    found = 0
    for _ in range(200):
        flip(path, rng.randrange(len(whole)), rng.randrange(8))
        if fault_of(path) is None:
            killing.assert_equal(read_checkpoint(path), good)
        else:
            found += 1
        path.write_bytes(whole)
    assert found > 150


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("iter_8.pth", "iter_8.pth is named by last_checkpoint and missing; iter_6.pth is taken"),
        ("", "last_checkpoint is empty; iter_6.pth is taken"),
        ("iter_3.pth", None),
        (None, None),
        ("/elsewhere/iter_6.pth", None),
    ],
)
def test_the_pointer_is_not_needed(tmp_path: Path, pointer: str | None, words: str | None) -> None:
    """A kill between the file and the pointer leaves an older name in it."""
    save(tmp_path, 3), save(tmp_path, 6)
    (tmp_path / "last_checkpoint").unlink()
    if pointer is not None:
        (tmp_path / "last_checkpoint").write_text(pointer)
    said: list[str] = []
    assert latest_checkpoint(tmp_path, said.append) == tmp_path / "iter_6.pth"
    assert (not said) if words is None else words in said[0]


def test_without_a_good_one_nothing_is_started_over(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None and find_checkpoints(tmp_path).bad == {}
    cut(save(tmp_path, 3)), cut(save(tmp_path, 6))
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint in .* can be used: iter_6\.pth is .*; iter_3\.pth is .*Nothing was",
    ):
        latest_checkpoint(tmp_path)
    for path in checkpoint_files(tmp_path):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"iter_6\.pth is named by last_checkpoint and missing"):
        latest_checkpoint(tmp_path)


def test_other_names_are_not_counted(tmp_path: Path) -> None:
    save(tmp_path, 6)
    for name in ("iter_x.pth", "iter_10.pth.bak", "best_fid_iter_12.pth", "iter_-3.pth"):
        (tmp_path / name).write_text("")
    assert checkpoint_files(tmp_path) == [tmp_path / "iter_6.pth"]
    assert checkpoint_files(tmp_path, "best_fid_iter") == [tmp_path / "best_fid_iter_12.pth"]


# -- of a whole run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [pytest.param("cut", marks=pytest.mark.slow), "bit"])
def test_a_run_resumes_from_the_newest_good_one(
    trained: Run, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """Also where the run was finished, and its last checkpoint was damaged afterwards."""
    options = {"hooks.checkpoints.interval": 1}
    whole = trained("whole", options=options)
    part = Path(shutil.copytree(whole, whole.with_name("part")))
    DAMAGE[damage](part / "iter_5.pth"), DAMAGE[damage](part / "iter_4.pth")
    trained("part", options=options, resume=True)
    said = capsys.readouterr().out
    assert said.count("iter_3.pth is taken, the newest good one") == 1
    killing.assert_same_folder(whole, part)


@pytest.mark.parametrize(
    "words",
    [
        '{"itera',
        pytest.param("[]", marks=pytest.mark.slow),
        pytest.param("", marks=pytest.mark.slow),
        '{"iterations": null}',
    ],
)
def test_a_damaged_done_json_is_not_believed(trained: Run, words: str) -> None:
    """The checkpoints say how far the run came; it ends again at once, and says so whole."""
    folder = trained()
    whole = (folder / "done.json").read_text()
    (folder / "done.json").write_text(words)
    trained(resume=True)
    assert (folder / "done.json").read_text() == whole


def test_a_run_without_a_good_one_stops(trained: Run) -> None:
    folder = trained()
    for path in checkpoint_files(folder):
        cut(path)
    with pytest.raises(CheckpointError, match="Nothing was started over"):
        trained(resume=True)


def test_a_damaged_last_checkpoint_of_a_stage(trained: Run) -> None:
    model = dict(
        type="Game",
        networks=dict(classifier=dict(type="SmallConvNet", channels=4)),
        players=dict(classifier=["classifier"]),
        phases=[dict(player="classifier")],
        objectives=dict(labels=dict(type="CrossEntropy")),
    )
    stage = dict(
        model=model,
        optim_wrapper=dict(classifier=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))),
        train_cfg=dict(max_iters=4),
    )
    options = {"stages": ["labels"], "before": dict(labels=stage)}
    whole = trained("whole", options=options)
    part = Path(shutil.copytree(whole, whole.with_name("part")))
    cut(part / "stages" / "labels" / "iter_4.pth")
    trained("part", options=options, resume=True)
    killing.assert_same_folder(whole, part)


def test_release_and_evaluation_take_the_newest_good_one(
    trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from toolbox.loading import load_game

    folder = trained()
    cut(folder / "iter_5.pth")
    assert int(load_game(folder).iteration) == 3
    assert "iter_5.pth is damaged" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match=r"cannot read .*iter_5\.pth"):
        load_game(folder / "iter_5.pth")


def test_damaged_files_do_not_count_as_kept(trained: Run) -> None:
    options = {"hooks.checkpoints": dict(type="Checkpoints", interval=1, keep=2), "train_cfg.max_iters": 4}
    folder = trained(options=options)
    shutil.copy(folder / "iter_3.pth", folder / "iter_2.pth")
    cut(folder / "iter_3.pth")
    trained(resume=True, options={**options, "train_cfg.max_iters": 5})
    assert [path.name for path in checkpoint_files(folder) if fault_of(path) is None] == [
        "iter_4.pth",
        "iter_5.pth",
    ]
    cut(folder / "iter_5.pth")
    trained(resume=True, options={**options, "train_cfg.max_iters": 5})
    assert (
        all(fault_of(path) is None for path in checkpoint_files(folder))
        and len(checkpoint_files(folder)) == 2
    )


def test_leftovers_of_a_killed_run_go(trained: Run) -> None:
    folder = trained(options={"train_cfg.max_iters": 3})
    (folder / ".lock").write_text("process 4711 on a host\n")
    (folder / ".iter_6.pth.4711.tmp").write_bytes(b"half")
    (folder / ".last_checkpoint.4711.tmp").write_bytes(b"")
    (folder / "pictures").mkdir()
    (folder / "pictures" / ".classes.png.4711.tmp").write_bytes(b"half")
    (folder / ".notes.1234.tmp").write_bytes(b"somebody's")
    trained(resume=True)
    assert [path.name for path in folder.rglob(".*.tmp")] == [".notes.1234.tmp"]


def test_checkpoints_do_not_grow(trained: Run) -> None:
    """Nor does the log in them."""
    folder = trained(
        options={"hooks.checkpoints.interval": 20, "hooks.checkpoints.keep": 0, "train_cfg.max_iters": 100}
    )
    sizes = {path.stat().st_size for path in checkpoint_files(folder)[1:]}
    assert max(sizes) - min(sizes) <= 256, sizes


# -- writing -------------------------------------------------------------------------------------------------


def test_whatever_stops_a_write_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C too."""
    write_text("old", tmp_path / "a")

    def stopped(file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", stopped)
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "old"


def test_file_and_folder_reach_the_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    write_text("x", tmp_path / "a")
    assert done == ["file", "rename", "folder"]


def test_a_second_name_costs_nothing_where_links_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = save(tmp_path, 1)
    copy_whole(one, tmp_path / "link.pth")
    assert (tmp_path / "link.pth").samefile(one)
    monkeypatch.setattr(os, "link", lambda *names: (_ for _ in ()).throw(OSError("no links here")))
    copy_whole(one, tmp_path / "copy.pth")
    assert (
        not (tmp_path / "copy.pth").samefile(one) and (tmp_path / "copy.pth").read_bytes() == one.read_bytes()
    )


def test_sweeping_takes_files_of_killed_runs_only(tmp_path: Path) -> None:
    """By their names, and by the record of the processes that held the folder."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / ".lock").write_text(
        "process 1 on a host\nprocess 23 on a host\nprocess 9999999999999 on a host"
    )
    ours = [".a.1.tmp", "pictures/.b.png.23.tmp"]
    others = [
        ".notes.1234.tmp",
        "pictures/.b.png.2.tmp",
        "a.tmp",
        ".mine.tmp",
        ".hidden",
        "iter_1.pth",
        "b.1.tmp",
    ]
    for name in (*ours, *others):
        (tmp_path / name).write_text("")
    (tmp_path / ".folder.1.tmp").mkdir()
    sweep(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert left == sorted([*others, ".lock", ".folder.1.tmp", "pictures"])


def test_the_record_of_a_folder_keeps_all_its_holders(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("process 7 on a host")
    (tmp_path / "mine").write_text("")
    with locked(tmp_path):
        assert holders(tmp_path) == {7, os.getpid()}
        write_text("x", tmp_path / "file")
        beside(tmp_path / "torn").write_text("killed here")
        sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "file", "mine"]
