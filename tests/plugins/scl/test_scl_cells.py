"""Every cell of models x label losses: the shipped config, made tiny, trains two steps of every stage."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import default_collate

from tests.data_readers.caption_makers import mini_birds
from toolbox.config import ConfigError
from toolbox.registry import build
from toolbox.training.checks.built import check_stage_weights
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.run.prepare import prepare
from toolbox_scl.cells import LABEL_LOSSES, MODELS, cell, table

README = Path(__file__).parents[3] / "plugins" / "scl" / "README.md"
Images = Callable[[Any], Any]
_WORDS = {"before.damsm.model.networks.text_encoder": dict(embedding_dim=8, code_dim=16)}
_WORDS["model.networks.text_encoder"] = _WORDS["before.damsm.model.networks.text_encoder"]
_IMAGES = dict(code_dim=16, channels=8)
_DAMSM = {
    **_WORDS,
    "before.damsm.model.networks.image_encoder": _IMAGES,
    "model.networks.image_encoder": _IMAGES,
}
_STAGED = {
    **_DAMSM,
    "model.networks.generator": dict(channels=4, noise_dim=4, condition_dim=4, code_dim=16),
    **{f"model.networks.discriminator{size}": dict(channels=4, code_dim=16) for size in (64, 128, 256)},
}
TINY = dict(
    attngan=_STAGED,
    dmgan=_STAGED,
    ssagan={
        **_DAMSM,
        "model.networks.generator": dict(channels=2, latent_dim=4, code_dim=16, mask_channels=4),
        "model.networks.discriminator": dict(channels=2, code_dim=16),
    },
    galip={
        "model.networks.generator": dict(channels=2, code_channels=4, prompted=(1,)),
        "model.networks.discriminator": dict(channels=2, taps=(1, 3)),
    },
)


#: Each model and each label loss once; all pairs of them in the slow suite.
OFTEN = (("attngan", "scl"), ("dmgan", "unicl"), ("ssagan", "ce"), ("galip", "nt_xent"), ("galip", "none"))
CELLS = [
    pytest.param(*pair, marks=[] if pair in OFTEN else pytest.mark.slow)
    for pair in itertools.product(MODELS, LABEL_LOSSES)
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Data sets of stages, those alike made once, on a small folder of birds."""
    root = str(mini_birds(tmp_path_factory.mktemp("birds")))
    made: dict[str, Any] = {}

    def get(stage: Any) -> Any:
        config = stage.config.train_dataloader.dataset
        config.source.root = root
        if str(config) not in made:
            made[str(config)] = build(config, "dataset")
        return made[str(config)]

    return get


def tiny(model: str) -> dict[str, Any]:
    return {f"{place}.{key}": value for place, own in TINY[model].items() for key, value in own.items()}


@pytest.mark.parametrize(("model", "label_loss"), CELLS)
def test_a_cell_trains(model: str, label_loss: str, images: Images, tmp_path: Path) -> None:
    config = cell(model, label_loss, quick=True, options=tiny(model))
    assert config.model.objectives.labels.label_loss == label_loss
    config.work_dir = str(tmp_path)
    earlier: dict[str, Any] = {}
    for stage in prepare(config):
        vars(stage)["loader"] = Loader(images(stage))
        game = stage.build_game(filled_later=True, log_every=1)
        check_stage_weights(game, stage.model, earlier)  # fills what starts from an earlier stage
        before = {name: value.clone() for name, value in networks_of(game).items()}
        logs = two_steps(game, stage)
        assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logs.values())
        assert float(logs[f"labels/{taught(game)}"]) > 0 or label_loss == "none"
        after = networks_of(game)
        moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
        assert {name for own in game.players.values() for name in own} <= moved
        assert not {"clip", "classifiers"} & moved or not stage.is_main
        earlier[stage.name] = game
    assert list(earlier) == [*config.get("stages", ()), "main"]


def networks_of(game: Any) -> dict[str, torch.Tensor]:
    return {name: value for name, value in game.state_dict().items() if name.startswith("networks.")}


def taught(game: Any) -> str:
    return str(game.objectives["labels"].teaches)


def test_the_readmes_table_is_that_of_the_configs() -> None:
    """To renew it: python -m toolbox_scl.cells"""
    assert table() in README.read_text(encoding="utf-8")


def test_a_label_loss_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match=r"LABEL_LOSS=sc: it is one of scl, unicl, ce, nt_xent, none"):
        cell("ssagan", "sc", "emoji")


class Loader:
    """As much of a loader as a stage asks for."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


def two_steps(game: Any, stage: Any) -> dict[str, Any]:
    """What the second step logs."""
    game.train()
    data = stage.loader.dataset
    game.prepare(data)
    wrappers = PlayerOptimizers(stage.config.optim_wrapper)(game)
    for iteration in range(2):
        game.count_from(iteration, 4 * iteration)
        items = [data[(4 * iteration + i, i % len(data))] for i in range(4)]
        logs = game.train_step(default_collate(items), wrappers)
    return logs
