"""Games without images: they train on what they generate, and nothing of them speaks of real images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pairs import run_pair
from smooth_games import largest_difference
from toy_adaptation import Darken, write_config
from toy_games import ToyGenerator, optimisers, toy_game, weights_of

from toolbox import load_config
from toolbox.config import ConfigError
from toolbox.data.no_images import NoImages, NoImagesError
from toolbox.interfaces import Rows, Sample
from toolbox.pipeline import read_config, train
from toolbox.training.explain.iteration import explain
from toolbox.training.explain.summary import summary
from toolbox.training.game.game import Game
from toolbox.training.game.phases import PlanError
from toolbox.training.game.turn import GameTurn

Run = Callable[..., Path]
FEATURES = dict(type="PooledPixels")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config") / "adapt.py")


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five iterations, with its report."""
    return train(config, work_dir=tmp_path_factory.mktemp("runs") / "whole")


def state_of(folder: Path) -> dict[str, Any]:
    contents: dict[str, Any] = torch.load(folder / "iter_5.pth", weights_only=True)
    return contents["state_dict"]


def told(config: Path, **options: Any) -> Any:
    return load_config(config, options={key.replace("__", "."): value for key, value in options.items()})


# -- a run ---------------------------------------------------------------------------------------------------


def test_a_resumed_run_equals_an_uninterrupted_one(config: Path, whole: Path, tmp_path: Path) -> None:
    train(config, work_dir=tmp_path, options={"train_cfg.max_iters": 3}, report=False)
    train(config, work_dir=tmp_path, resume=True, report=False)
    one, other = state_of(whole), state_of(tmp_path)
    assert all(torch.equal(one[key], other[key]) for key in one) and one.keys() == other.keys()
    assert (whole / "scalars.jsonl").read_text() == (tmp_path / "scalars.jsonl").read_text()


def play_it(config: str, folder: str) -> None:
    train(config, work_dir=folder, report=False, options={"model.phases.0.accumulate": 2})


def test_two_processes_and_splits_change_nothing(config: Path, whole: Path, tmp_path: Path) -> None:
    run_pair(play_it, str(config), str(tmp_path))
    assert largest_difference(state_of(whole), state_of(tmp_path)) < 1e-5


def test_it_counts_and_says_what_it_generates(whole: Path) -> None:
    assert [json.loads(line)["kimg"] for line in (whole / "scalars.jsonl").read_text().splitlines()][
        -1
    ] == 0.02
    record = json.loads((whole / "environment.json").read_text())
    assert record["data"] == {} and record["starts"][0]["data_fingerprint"] is None
    report = (whole / "report.html").read_text()
    assert "Generated images shown" in report and "eal images" not in report.split("The resolved config")[0]
    assert sorted(file.name for file in (whole / "pictures").glob("*.png")) == ["classes.png", "pairs.png"]


def test_explain_and_summary(config: Path) -> None:
    text = summary(told(config))
    assert "[main] data: none, the game generates its own images" in text and "memory: weights" in text
    assert "5 iterations, 4 generated images each" in text
    assert "move [generator] on 4 generated images, minimise" in text
    assert "real" not in text + explain(told(config))


def test_a_release_of_it_samples(whole: Path, tmp_path: Path) -> None:
    from toolbox.loading import export, load_generator

    card = json.loads(export(whole, tmp_path / "dark.safetensors").with_suffix(".json").read_text())
    assert card["data"] == {} and card["networks"] == ["generator"]
    made = load_generator(tmp_path / "dark.safetensors").sample(2, seed=1)
    assert torch.equal(made, load_generator(whole).sample(2, seed=1))


def test_reproduce(config: Path, tmp_path: Path) -> None:
    from toolbox.pipeline import reproduce

    options = {"deterministic": True, "train_cfg.max_iters": 2}
    train(config, work_dir=tmp_path / "run", options=options, report=False)
    assert not reproduce(tmp_path / "run").differing


# -- turns ---------------------------------------------------------------------------------------------------


def game_of(**changes: Any) -> Game:
    given = dict(
        networks=dict(generator=dict(type=ToyGenerator, norm=True), source=dict(type=ToyGenerator)),
        players=dict(generator=["generator"]),
        phases=[dict(player="generator")],
        objectives=dict(darken=dict(type=Darken)),
    )
    return toy_game(**{**given, **changes})


def rows(n: int = 4) -> dict[str, Any]:
    return dict(row=torch.arange(n))


def played(game: Game, iterations: int = 2) -> dict[str, torch.Tensor]:
    wrappers = optimisers(game)
    for _ in range(iterations):
        game.train_step(rows(), wrappers)
    return weights_of(game.network("generator"))


def test_repeats_see_their_parts_of_the_batch() -> None:
    game = game_of(phases=[dict(player="generator", repeat=2)])
    sizes: list[int] = []
    darken: Any = game.plan.objectives["darken"]
    loss = darken.loss

    def counted(turn: Any) -> torch.Tensor:
        sizes.append(len(turn.fake))
        return loss(turn)

    darken.loss = counted
    played(game, 1)
    assert sizes == [2, 2] and int(game.images_seen) == 4


def test_branches_draw_their_own_images_and_keep_their_own_values() -> None:
    game = game_of(branches=("images", "more"))
    turns = game._turns("generator", game.receive(rows()), 0, Rows.all(4), 0, {})
    assert not torch.equal(turns[0].fake.images, turns[1].fake.images)
    assert turns[0].frozen("which", lambda: 0) == 0 and turns[1].frozen("which", lambda: 1) == 1
    played(game)


def test_conditions_need_no_images() -> None:
    game = game_of(
        networks=dict(generator=dict(type=ToyGenerator, n_conditions=3), source=dict(type=ToyGenerator)),
        conditioner=dict(type="ClassConditions", class_names=["a", "b", "c"]),
    )
    game.prepare(NoImages(4))
    turn = GameTurn(game, "generator", game.receive(rows(8)), 0, 0, {})
    assert turn.fake.condition.labels is not None and len(set(turn.fake.condition.labels.tolist())) > 1


def test_real_images_are_refused() -> None:
    turn = GameTurn(game_of(), "generator", game_of().receive(rows()), 0, 0, {})
    for name in ("real", "whole"):
        with pytest.raises(PlanError, match=rf"no real images \(.*dataset=None\).* reads turn\.{name}"):
            getattr(turn, name)
    with pytest.raises(NoImagesError, match="'source' of them is needed"):
        _ = NoImages(4).source
    assert isinstance(turn.fake, Sample)


# -- what is refused before anything is trained --------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model.objectives.darken.type": "Compare"}, r"model.objectives.darken: .* reads turn\.real"),
        ({"train_dataloader.sampler": dict(type="StreamSampler")}, r"train_dataloader\.sampler has nothing"),
        ({"model.networks.generator.n_conditions": "data:n_conditions"}, "dataset=None gives no data"),
        (
            {"model.conditioner": dict(type="ClassConditions", class_names=["a"], classifier="source")},
            r"model.conditioner \(ClassConditions\): this game has no real images",
        ),
        ({"train_dataloader.batch_size": 0}, "train_dataloader.batch_size"),
    ],
)
def test_what_needs_images_is_refused(config: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        summary(load_config(config, options=options), memory=False)


def test_data_of_the_command_line_have_no_place(config: Path) -> None:
    with pytest.raises(ConfigError, match="--data: this config trains without images"):
        read_config(str(config), data="anywhere")
