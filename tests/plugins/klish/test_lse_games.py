"""The game of a linear extractor: no images, generator and teacher stand still; resumed, and on two ranks."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.plugins.klish.tiny_lse import PARTS, SMALL
from toolbox.pipeline import train
from toolbox.testing import check_ranks
from toolbox.training.game.game import Game
from toolbox_klish.lse.annotations import Annotations

CONFIG = """
title = 'a small extractor'
seed = 0
model = dict(
    type='Game',
    networks=dict(
        generator={generator},
        teacher=dict(type='UNet', part_names={parts}, channels=2, depth=1, image_size=None),
        lse=dict(type='LSE', uses=dict(generator='generator', teacher='teacher'))),
    players=dict(lse=['lse']), phases=[dict(player='lse')],
    objectives=dict(parts={objective}))
train_dataloader = dict(batch_size=4, dataset=None)
optim_wrapper = dict(lse=dict(optimizer=dict(type='Adam', lr=1e-2)))
train_cfg = dict(max_iters=4)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=2), journal=dict(type='Journal'))
"""


def written(folder: Path, **objective: Any) -> Path:
    path = folder / "extractor.py"
    path.write_text(CONFIG.format(generator=SMALL, parts=PARTS, objective=objective))
    return path


def extractor_of(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "iter_4.pth", weights_only=True)["state_dict"]
    return {key: value for key, value in state.items() if key.startswith("networks.")}


FRESH = dict(type="TapCrossEntropy")
FEW = dict(type="TapCrossEntropy", annotated=3, annotated_seed=7)


@pytest.mark.parametrize("objective", [FRESH, FEW], ids=["new images", "three images"])
def test_a_resumed_run_equals_an_uninterrupted_one(objective: dict[str, Any], tmp_path: Path) -> None:
    config = written(tmp_path, **objective)
    train(config, work_dir=tmp_path / "one", report=False)
    train(config, work_dir=tmp_path / "two", options={"train_cfg.max_iters": 2}, report=False)
    train(config, work_dir=tmp_path / "two", resume=True, report=False)
    one, two = extractor_of(tmp_path / "one"), extractor_of(tmp_path / "two")
    assert {key.split(".")[1] for key in one} == {"lse"}  # what stands still is a fingerprint
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def make_game(objective: dict[str, Any], accumulate: int = 1) -> Game:
    """A small game; of a module, so that it can travel to another process."""
    networks = dict(
        generator=SMALL,
        teacher=dict(type="UNet", part_names=PARTS, channels=2, depth=1, image_size=None),
        lse=dict(type="LSE", uses=dict(generator="generator", teacher="teacher")),
    )
    phase = dict(player="lse", accumulate=accumulate)
    return Game(networks, dict(lse=["lse"]), [phase], dict(parts=objective))


HINGE = pytest.param(dict(type="TapHinge", C=10.0), marks=pytest.mark.slow)


@pytest.mark.parametrize("objective", [FRESH, HINGE, FEW], ids=["cross-entropy", "hinge", "few"])
def test_two_processes_play_as_one(objective: dict[str, Any]) -> None:
    check_ranks(functools.partial(make_game, objective), iterations=1, batch_size=4)


def test_annotations_of_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 16, 16)).astype(np.uint8)
    latents = rng.normal(size=(2, 8)).astype(np.float32)
    Annotations(latents, masks, PARTS, 0.7).save(tmp_path / "few.npz")
    config = written(tmp_path, type="TapCrossEntropy", annotations=str(tmp_path / "few.npz"))
    train(config, work_dir=tmp_path / "run", report=False)
    Annotations(latents, masks, ["a", "b", "c"], 0.7).save(tmp_path / "few.npz")
    with pytest.raises(Exception, match=r"annotations name \['a', 'b', 'c'\], the extractor knows"):
        train(config, work_dir=tmp_path / "other", report=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(truncation=0.0), r"truncation=0.0 must be a number in \(0, 1\]"),
        (dict(annotated=0), "annotated=0 must be a whole number of 1 or more"),
        (dict(annotated=1, annotations="x"), "annotated=1, annotations='x': give one of them"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        make_game({**FRESH, **change})
