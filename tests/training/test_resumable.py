"""Checkpoints that are whole and lack something: resumed from never, with one line that names the field."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from toolbox.loading import load_game
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.hooks.checkpoints import Checkpoints

Run = Callable[..., Path]
Damage = tuple[str, Callable[[dict[str, Any]], Any], str]

BIG = 10**400


def _moments(c: dict[str, Any]) -> dict[str, Any]:
    return c["optimizer"]["generator"]["state"][0]


DAMAGES: list[Damage] = [
    ("no optimiser", lambda c: c.pop("optimizer"), "field optimizer is missing"),
    ("one player's", lambda c: c["optimizer"].pop("generator"), r"optimizer\.generator is missing"),
    (
        "renamed",
        lambda c: c["optimizer"].update(generatr=c["optimizer"].pop("generator")),
        "did you mean 'generatr'",
    ),
    ("of a text", lambda c: c.update(optimizer="x"), "field optimizer is 'x'"),
    ("of a list", lambda c: c["optimizer"].update(generator=[1]), r"optimizer\.generator is a list"),
    ("no state", lambda c: c["optimizer"]["generator"].pop("state"), r"generator\.state is missing"),
    ("state", lambda c: c["optimizer"]["generator"].update(state=3), r"generator\.state is 3"),
    (
        "no groups",
        lambda c: c["optimizer"]["generator"].pop("param_groups"),
        r"generator\.param_groups is None",
    ),
    (
        "fewer groups",
        lambda c: c["optimizer"]["generator"]["param_groups"].clear(),
        "0 entries, this run has 1",
    ),
    (
        "params",
        lambda c: c["optimizer"]["generator"]["param_groups"][0]["params"].pop(),
        r"0\.params is \d+ entries",
    ),
    (
        "lr",
        lambda c: c["optimizer"]["generator"]["param_groups"][0].update(lr="x"),
        r"param_groups\.0\.lr is 'x'",
    ),
    (
        "group",
        lambda c: c["optimizer"]["generator"]["param_groups"].__setitem__(0, 1),
        r"param_groups\.0 is 1",
    ),
    ("moment", lambda c: _moments(c).update(exp_avg=torch.zeros(3)), r"state\.0\.exp_avg is of shape \(3,\)"),
    (
        "a parameter",
        lambda c: c["optimizer"]["generator"]["state"].update({99: {}}),
        r"state\.99 is a dict, this run",
    ),
    (
        "parameter key",
        lambda c: c["optimizer"]["generator"]["state"].update({"x": {}}),
        r"state\.x is a dict",
    ),
    ("moments", lambda c: c["optimizer"]["generator"]["state"].update({0: None}), r"state\.0 is None"),
    ("no meta", lambda c: c.pop("meta"), r"meta\.iter is None, its tensors are of iteration 3"),
    ("meta", lambda c: c.update(meta=[1]), r"meta\.iter is None"),
    ("no iter", lambda c: c["meta"].pop("iter"), r"meta\.iter is None"),
    ("iter of text", lambda c: c["meta"].update(iter="3"), r"meta\.iter is '3'"),
    ("iter", lambda c: c["meta"].update(iter=-1), r"meta\.iter is -1"),
    ("another iter", lambda c: c["meta"].update(iter=4), r"meta\.iter is 4, its tensors are of iteration 3"),
    ("endless iter", lambda c: c["meta"].update(iter=BIG), r"meta\.iter is a int"),
    ("seed", lambda c: c["meta"].update(seed="x"), r"meta\.seed is 'x'"),
    ("no schedules", lambda c: c.pop("param_schedulers"), "param_schedulers is missing"),
    ("schedules", lambda c: c.update(param_schedulers=3), "param_schedulers is 3"),
    (
        "schedule",
        lambda c: c["param_schedulers"]["generator"].__setitem__(0, 7),
        r"param_schedulers\.generator\.0 is 7",
    ),
    ("step", lambda c: c["param_schedulers"]["generator"][0].update(last_step="x"), r"0\.last_step is 'x'"),
    ("no tensors", lambda c: c.pop("state_dict"), "no state_dict of named tensors: None"),
    ("tensors", lambda c: c.update(state_dict=[1]), "no state_dict of named tensors: a list"),
    ("names", lambda c: c["state_dict"].update({3: 4}), "no state_dict of named tensors"),
    (
        "a tensor",
        lambda c: c["state_dict"].update({next(iter(c["state_dict"])): "x"}),
        "not tensors in the file",
    ),
    ("frozen", lambda c: c.update(frozen=[1]), "field frozen is a list"),
    ("digests", lambda c: c.update(frozen={"a": 3}), "field frozen is a dict"),
    ("logs", lambda c: c.update(logs=3), "logs or best is damaged"),
    ("log sums", lambda c: c.update(logs=dict(sums={"a": "x"}, counts={})), "logs or best is damaged"),
    ("log counts", lambda c: c.update(logs=dict(sums={})), "logs or best is damaged"),
    ("best", lambda c: c.update(best=3), "logs or best is damaged"),
    ("best's fields", lambda c: c.update(best=dict(metric=None, size=3)), "logs or best is damaged"),
]


@pytest.fixture
def half(trained: Run) -> Path:
    """A run whose newest checkpoint is of iteration 3 of 5."""
    folder = trained()
    (folder / "iter_5.pth").unlink()
    (folder / "done.json").unlink(missing_ok=True)
    return folder


def test_what_a_run_cannot_go_on_from(half: Path, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field damaged in turn, where mmengine hands the file's contents over; then the undamaged one."""
    after = Checkpoints.after_load_checkpoint
    seen: dict[str, str] = {}

    def each(hook: Checkpoints, runner: Any, checkpoint: dict[str, Any]) -> None:
        for name, damage, _ in DAMAGES:
            damaged = copy.deepcopy(checkpoint)
            damage(damaged)
            with pytest.raises(CheckpointError) as error:
                after(hook, runner, damaged)
            seen[name] = str(error.value)
        checkpoint["message_hub"] = "damaged"  # nothing in it is used
        checkpoint["meta"]["config"] = "import os; os.mkdir('ran')"  # mmengine would run it
        after(hook, runner, checkpoint)

    monkeypatch.setattr(Checkpoints, "after_load_checkpoint", each)
    monkeypatch.chdir(half)
    trained(resume=True)
    assert len(seen) == len(DAMAGES) > 30
    odd = [
        line
        for name, _, words in DAMAGES
        if not re.search(words, line := seen[name]) or not line.isprintable()
    ]
    assert not odd
    assert (half / "iter_5.pth").is_file() and not (half / "ran").exists()


def test_a_checkpoint_without_an_optimiser_is_refused(half: Path, trained: Run) -> None:
    """The whole way: another start would take the same weights elsewhere."""
    contents = torch.load(half / "iter_3.pth", weights_only=True)
    del contents["optimizer"]["discriminator"]
    torch.save(contents, half / "iter_3.pth")
    with pytest.raises(CheckpointError, match=r"optimizer\.discriminator is missing"):
        trained(resume=True)
    load_game(half)  # its weights can still be sampled from


@pytest.mark.parametrize(
    "line",
    [
        "null",
        pytest.param("[1]", marks=pytest.mark.slow),
        pytest.param('{"iteration": null}', marks=pytest.mark.slow),
        pytest.param('{"iteration": 1e999}', marks=pytest.mark.slow),
        "[" * 100_000,
    ],
)
def test_damaged_journals_are_dropped(half: Path, trained: Run, line: str) -> None:
    """Lines that are no record go when the run goes on; what was measured stays readable."""
    for name in ("scalars.jsonl", "metrics.jsonl", "done.json"):
        with open(half / name, "a") as file:
            file.write(f"{line}\n")
    trained(resume=True)
    assert line not in (half / "scalars.jsonl").read_text().splitlines()
