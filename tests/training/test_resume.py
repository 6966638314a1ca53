"""Resumed runs equal uninterrupted ones: the log between two readings, measurements, the best checkpoint, no
replay of data.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killing
import pytest
import torch

from toolbox.config import ConfigError
from toolbox.data.stream import Stream
from toolbox.registry import BuildError
from toolbox.runs.stopping import Stopped
from toolbox.training.game.game import Game
from toolbox.training.hooks.evaluation import undisturbed

Run = Callable[..., Path]


@pytest.fixture
def measured(trained: Run, tmp_path: Path) -> Run:
    """The tiny run of nine iterations, measured every two, saved every three; ``best`` names a metric."""
    evaluation = dict(
        real=dict(type="EmbeddedFashion", split="test", image_size=8),
        n_fake=40,
        extractor=dict(type="PooledPixels"),
        metrics=dict(fid=dict(type="FID"), precision_recall=dict(type="PrecisionRecall", k=3)),
        cache_dir=str(tmp_path / "statistics"),
    )

    def run(
        name: str = "run",
        best: str | None = "fid",
        hook: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> Path:
        measuring = {"type": "Evaluation", "interval": 2, "metrics": ["fid"], **(hook or {})}
        ours = {
            "evaluation": evaluation,
            "hooks.evaluation": measuring,
            "model.networks.generator.bounded": True,
            "train_cfg.max_iters": 9,
            "hooks.checkpoints": dict(type="Checkpoints", interval=3, keep=2, best=best),
        }
        return trained(name, options={**ours, **(options or {})}, **arguments)

    return run


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


def load(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


class StoppedError(RuntimeError):
    """A run that ends in the middle."""


def stop() -> None:
    """With nothing saved or said: a stand-in for a kill, inside the process."""
    raise StoppedError


def do_at(iteration: int, action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something at the start of an iteration."""
    step = Game.train_step

    def act_and_step(game: Any, data: Any, optim_wrapper: Any) -> Any:
        if int(game.iteration) == iteration:
            action()
        return step(game, data, optim_wrapper)

    monkeypatch.setattr(Game, "train_step", act_and_step)


# -- exactness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [5, *(pytest.param(at, marks=pytest.mark.slow) for at in (4, 7, 8))])
def test_everything_is_as_in_an_uninterrupted_run(
    measured: Run, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Also the log, whose readings (every 4) do not fall on checkpoints (every 3) nor measurements
    (every 2).
    """
    options = {"model.log_every": 4}
    whole = measured("whole", options=options)
    with monkeypatch.context() as patch:
        do_at(at, stop, patch)
        with pytest.raises(StoppedError):
            measured("part", options=options)
    part = measured("part", options=options, resume=True)
    killing.assert_same_folder(whole, part)
    assert [line["iteration"] for line in records(part)] == [2, 4, 6, 8]


@pytest.mark.parametrize(
    "options",
    [
        {"model.precision": "fp16"},
        pytest.param({"model.precision": "bf16"}, marks=pytest.mark.slow),
        {"train_dataloader.num_workers": 1},
        {
            "model.phases": [
                dict(player="discriminator", repeat=2, accumulate=2),
                dict(player="generator", every=2),
            ]
        },
        {
            "optim_wrapper.generator.optimizer.amsgrad": True,
            "param_scheduler": [
                dict(type="LinearLR", start_factor=0.1, begin=0, end=4),
                dict(type="CosineAnnealingLR", begin=4, end=9, T_max=5),
            ],
        },
    ],
    ids=["fp16 with its loss scale", "bf16", "loader worker", "accumulation, lazy phase", "schedules"],
)
def test_exact_with_every_switch(
    measured: Run, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    options = {"hooks.evaluation": None, "model.log_every": 4, **options}
    whole = measured("whole", best=None, options=options)
    with monkeypatch.context() as patch:
        do_at(7, stop, patch)
        with pytest.raises(StoppedError):
            measured("part", best=None, options=options)
    killing.assert_same_folder(whole, measured("part", best=None, options=options, resume=True))


def test_a_run_that_was_asked_to_stop_goes_on_exactly(measured: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM within iteration 5: the iteration is finished and saved; no grid is drawn that an uninterrupted
    run has not.
    """
    options = {
        "model.log_every": 4,
        "hooks.samples": dict(type="SampleGrid", interval=4, columns=2),
        "hooks.checkpoints.keep": 0,
    }
    whole = measured("whole", options=options)
    with monkeypatch.context() as patch:
        do_at(5, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        with pytest.raises(Stopped) as stopped:
            measured("part", options=options)
    assert stopped.value.exit_code == 143
    part = whole.parent / "part"
    assert (
        not (part / "done.json").exists() and "iter_6.pth" in names(part) and "iter_9.pth" not in names(part)
    )
    measured("part", options=options, resume=True)
    killing.assert_same_folder(whole, part)


@pytest.mark.parametrize(
    ("average", "modes"),
    [
        (dict(decay=0.5), ("standing",)),
        pytest.param(dict(decay=0.5), ("running", "batch"), marks=pytest.mark.slow),
        pytest.param(None, ("running", "batch", "standing"), marks=pytest.mark.slow),
    ],
    ids=["standing", "averaged", "not averaged"],
)
def test_measuring_changes_nothing(
    measured: Run, average: dict[str, float] | None, modes: tuple[str, ...]
) -> None:
    """Averaged or not, in every BatchNorm mode."""
    plain = measured(
        "plain", best=None, options={"hooks.evaluation": None, "model.average.generator": average}
    )
    for bn in modes:
        busy = measured(
            f"busy-{bn}",
            best=None,
            hook=dict(interval=3, bn=bn, n_fake=20),
            options={"model.average.generator": average},
        )
        for name in names(plain):
            killing.assert_same_file(plain / name, busy / name)
        assert (plain / "scalars.jsonl").read_bytes() == (busy / "scalars.jsonl").read_bytes()
        assert {line["bn"] for line in records(busy)} == {bn} and len(records(busy)) == 3


def test_undisturbed_gives_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    import numpy as np
    import toy_games

    game = toy_games.toy_game()
    game.networks["discriminator"].eval()
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    with undisturbed(game):
        game.train().requires_grad_(False)
        game.eval()
        torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    assert (
        game.training and game.networks["generator"].training and not game.networks["discriminator"].training
    )
    assert all(parameter.requires_grad for parameter in game.parameters())
    assert torch.equal(before[0], torch.get_rng_state()) and before[2] == random.getstate()
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_no_item_is_read_before_the_first_batch_of_iteration_100000(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(options={"train_cfg.max_iters": 3})
    contents = load(folder / "iter_3.pth")
    contents["meta"]["iter"] = 100_000
    contents["state_dict"]["iteration"].fill_(100_000)
    (folder / "iter_3.pth").unlink()
    torch.save(contents, folder / "iter_100000.pth")
    read: list[Any] = []
    item = Stream.__getitem__
    monkeypatch.setattr(Stream, "__getitem__", lambda self, key: (read.append(key), item(self, key))[1])
    trained(resume=True, options={"train_cfg.max_iters": 100_001})
    looked_at = [key for key in read if not isinstance(key, tuple)]  # its size, before the game is built
    drawn = [key[0] for key in read if isinstance(key, tuple)]
    assert set(looked_at) <= {0} and drawn == list(range(800_000, 800_008))
    assert (folder / "iter_100001.pth").is_file()


# -- the best checkpoint -------------------------------------------------------------------------------------


def test_the_best_is_kept_by_its_metric(measured: Run) -> None:
    folder = measured()
    values = {line["iteration"]: line["value"] for line in records(folder)}
    best = min(values, key=lambda iteration: values[iteration])
    assert names(folder) == sorted([f"best_fid_iter_{best}.pth", "iter_6.pth", "iter_9.pth"])
    kept = load(folder / f"best_fid_iter_{best}.pth")
    assert kept["meta"]["iter"] == best and int(kept["state_dict"]["iteration"]) == best
    assert kept["best"] == dict(metric="fid", value=values[best], iteration=best)
    assert all(line["during"] == "training" for line in records(folder))


@pytest.mark.slow
def test_higher_may_be_better(measured: Run) -> None:
    folder = measured(best="precision_recall.recall", hook=dict(metrics=["precision_recall"]))
    values = {line["iteration"]: line["values"]["recall"] for line in records(folder)}
    best = max(values, key=lambda iteration: values[iteration])  # the first of equals
    assert f"best_precision_recall.recall_iter_{best}.pth" in names(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            dict(best="fdi"),
            r"hooks\.checkpoints\.best names 'fdi', which is not measured - did you mean 'fid'",
        ),
        (dict(best="precision_recall"), r"not measured.*evaluation\.metrics has: fid"),
        (
            dict(options={"hooks.evaluation": None}),
            r"best='fid' needs measurements during training: add hooks=dict\(evaluation=",
        ),
        (dict(hook=dict(metrics=["fdi"])), r"hooks\.evaluation\.metrics names 'fdi'.*did you mean 'fid'"),
        (dict(hook=dict(intervall=3)), r"Evaluation has no argument 'intervall' - did you mean 'interval'"),
        (dict(hook=dict(interval=0)), "interval=0 must be a whole number of 1 or more"),
        (
            dict(best=None, hook=dict(metrics=None), options={"evaluation": None}),
            r"hooks\.evaluation has nothing to measure",
        ),
    ],
    ids=["best", "not measured", "no hook", "metric", "argument", "interval", "no evaluation"],
)
def test_what_cannot_be_measured_is_refused_before_training(
    measured: Run, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, BuildError), match=message):
        measured(**changes)
    assert not names(tmp_path / "run")


def test_a_number_that_a_metric_does_not_have_is_named(measured: Run) -> None:
    with pytest.raises(ConfigError, match=r"'precision_recall\.recal' is not a single number - did you mean"):
        measured(best="precision_recall.recal", hook=dict(metrics=["precision_recall"]))
