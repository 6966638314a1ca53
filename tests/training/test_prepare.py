"""One preparation: what train, --dry-run, explain and loading are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolbox.config import ConfigError, load_config
from toolbox.data.stream import Stream
from toolbox.training.game.phases import PlanError
from toolbox.training.run import prepare as module
from toolbox.training.run.data_values import fill_from_data
from toolbox.training.run.prepare import Stage, prepare

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the stages whose loaders were built."""
    names: list[str] = []
    usual = module.build_loader

    def watched(config, seed):  # type: ignore[no-untyped-def]
        names.append(config.work_dir)
        return usual(config, seed)

    monkeypatch.setattr(module, "build_loader", watched)
    return names


def test_stages_in_the_order_of_play_and_nothing_built_for_their_plans(built: list[str]) -> None:
    stages = prepare(load_config(CONFIGS / "lcp_cifar.py", quick=True))
    assert [stage.name for stage in stages] == ["classifier", "main"]
    assert stages[0].folder == stages[1].folder / "stages" / "classifier"
    assert [list(stage.plan.players) for stage in stages] == [["classifier"], ["discriminator", "generator"]]
    assert built == []


def test_data_are_read_once(built: list[str]) -> None:
    (stage,) = prepare(load_config(CONFIGS / "biggan_cifar.py", quick=True))
    stage.check()
    assert stage.data["n"] == len(stage.loader.dataset)  # type: ignore[arg-type]
    stage.build_game()
    assert len(built) == 1


def test_what_the_conditioner_leaves_out_counts_with_its_default() -> None:
    """5 clusters a class is ClusterConditions' own default."""
    conditioner = dict(type="ClusterConditions", class_names="data:classes", extractor=None)
    model = dict(conditioner=conditioner, rows="data:n_conditions", each="conditioner:clusters")
    stream = prepare(load_config(CONFIGS / "biggan_cifar.py", quick=True))[0].loader.dataset
    assert isinstance(stream, Stream)
    filled = fill_from_data(model, stream)
    assert (filled["rows"], filled["each"]) == (50, 5)
    by_class = {**conditioner, "clusters": dict.fromkeys(stream.source.classes, 2)}
    assert fill_from_data({**model, "conditioner": by_class}, stream)["rows"] == 20
    with pytest.raises(
        ConfigError, match="'conditioner:clutsers' is not known - did you mean 'conditioner:clusters'"
    ):
        fill_from_data({**model, "each": "conditioner:clutsers"}, stream)


def test_a_stage_that_does_not_fit_together_is_named() -> None:
    options = {"before.classifier.model.phases": [dict(player="clasifier")]}
    with pytest.raises(PlanError, match=r"before\.classifier: phase of unknown player 'clasifier'"):
        prepare(load_config(CONFIGS / "lcp_cifar.py", quick=True, options=options))


def test_weights_of_a_stage_that_has_not_been_played(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "lcp_cifar.py", quick=True)
    config.work_dir = str(tmp_path)
    stage = Stage(config)
    assert stage.build_game(filled_later=True).players["generator"] == ["generator"]
    with pytest.raises(ConfigError, match=r"stage 'classifier' has no checkpoint in .*; is it in 'stages'"):
        stage.build_game()
