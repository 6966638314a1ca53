"""Text-to-image games of two branches with SCL: two processes train as one, in every stage."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_texts
import torch
from pairs import run_pair
from smooth_games import largest_difference

from toolbox.config import load_config
from toolbox.registry import build
from toolbox.testing import check_ranks


def game_of(config: str, stage: str = "") -> Any:
    """The game of a stage ('' = the last), its encoders as they start."""
    loaded = load_config(config)
    model = loaded.before[stage].model if stage else loaded.model
    for network in model.networks.values():
        network.pop("weights", None)
        if "n_tokens" in network:
            network.n_tokens = len(data_of(config).tokens)
    return build(model, "model")


def data_of(config: str) -> Any:
    """The pairs that both stages train on."""
    return build(load_config(config).train_dataloader.dataset, "dataset")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_texts.write_config(tmp_path_factory.mktemp("texts")))


@pytest.mark.parametrize("stage", ["damsm", pytest.param("", marks=pytest.mark.slow)])
def test_two_processes_are_one(config: str, stage: str) -> None:
    """Encoders that are matched and contrasted, then a generator and a discriminator before frozen ones."""
    make = partial(game_of, config, stage), partial(data_of, config)
    check_ranks(*make, iterations=2, tolerance=1e-6)


def train_it(config: str, folder: str) -> None:
    from toolbox.pipeline import train

    train(config, work_dir=folder, evaluate=False, report=False)


def states(folder: Path) -> dict[str, dict[str, Any]]:
    """What each stage ends with."""
    last = {"stages/damsm": 4, ".": 6}
    return {
        name: torch.load(folder / name / f"iter_{i}.pth", weights_only=True)["state_dict"]
        for name, i in last.items()
    }


@pytest.mark.slow
def test_a_run_of_two_processes_is_that_of_one(config: str, tmp_path: Path) -> None:
    train_it(config, str(tmp_path / "alone"))
    run_pair(train_it, config, str(tmp_path / "together"))
    one, other = states(tmp_path / "alone"), states(tmp_path / "together")
    for stage in one:
        assert largest_difference(one[stage], other[stage]) < 1e-5
        files = [tmp_path / name / stage / "scalars.jsonl" for name in ("alone", "together")]
        mine, theirs = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
        assert len(mine) == len(theirs)
        assert all(a == pytest.approx(b, abs=1e-4) for a, b in zip(mine, theirs, strict=True))
