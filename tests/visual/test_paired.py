"""Sheets of two generators: a row of the source's images above each row of the generator's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from toolbox.config import ConfigError
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.training.game.game import Game
from toolbox.training.game.sampler import Sampler
from toolbox.visual.paired import has_source, paired_sheet
from toolbox.visual.sample_grid import SampleGrid

STYLE = dict(type=StyleGAN2Generator, image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8)


def game_of(**changes: Any) -> Game:
    networks = dict(generator=dict(STYLE, n_conditions=2), source=dict(STYLE, n_conditions=2))
    return Game(
        networks={**networks, **changes},
        players=dict(generator=["generator"]),
        phases=[dict(player="generator")],
        objectives=dict(path=dict(type="PathLength")),
        conditioner=dict(type="ClassConditions", class_names=["a", "b"]),
    )


def test_rows_take_turns() -> None:
    sampler = Sampler(game_of(), seed=3, truncation=0.5)
    images, names = paired_sheet(sampler, columns=3, rows=2)
    assert names == ["a: source", "a: generator", "b: source", "b: generator"]
    own, _ = sampler.sheet(3, 2)
    rows = images.unflatten(0, (4, 3))
    assert torch.equal(rows[1::2].flatten(0, 1), own.clamp(-1, 1))
    source = Sampler(sampler.game, seed=3, truncation=0.5, generator="source").sheet(3, 2)[0]
    assert torch.equal(rows[::2].flatten(0, 1), source.clamp(-1, 1))


def test_what_cannot_stand_beside_it() -> None:
    other = dict(STYLE, image_size=16)
    game = game_of(large=other)
    assert has_source(game) and not any(has_source(game, name) for name in ("large", "generator", "sauce"))
    SampleGrid(source="source").check_game(game, None)
    SampleGrid(source="generator").check_game(game, None)  # an earlier stage of it: nothing stands beside it
    with pytest.raises(ConfigError, match=r"source='sauce' is no other generator.*did you mean 'source'"):
        SampleGrid(source="sauce").check_game(game, None)
