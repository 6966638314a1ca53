"""Frozen networks from files: fingerprints, not copies; an adapted generator is the next one's source."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_adaptation import write_config

from toolbox import load_config
from toolbox.loading import export, load_game, load_generator
from toolbox.pipeline import train
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.pretrained import described, fill_in_types
from toolbox.training.run.prepare import prepare

Options = dict[str, Any]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config") / "adapt.py")


@pytest.fixture(scope="module")
def first(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapted generator: a run, and its release beside it."""
    folder = tmp_path_factory.mktemp("first") / "run"
    train(config, work_dir=folder, options={"train_cfg.max_iters": 2}, report=False)
    export(folder, folder.parent / "adapted.safetensors")
    return folder


def sources_of(first: Path) -> dict[str, Any]:
    release = first.parent / "adapted.safetensors"
    return {
        "release": str(release),
        "run": str(first),
        "checkpoint": str(first / "iter_2.pth"),
        "part": dict(checkpoint=str(first), network="generator"),
    }


def next_from(source: Any) -> Options:
    both = dict(weights=source, _delete_=True)
    return {"model.networks.source": both, "model.networks.generator": both, "train_cfg.max_iters": 2}


def assert_starts_from(game: Any, first: Path) -> None:
    expected = load_generator(first).state_dict()
    found = game.network("source").state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("kind", ["run", "checkpoint", "part"])
def test_whatever_holds_a_generator_is_a_source(config: Path, first: Path, kind: str) -> None:
    loaded = load_config(config, options=next_from(sources_of(first)[kind]))
    assert_starts_from(prepare(loaded)[-1].build_game(), first)


def test_an_adapted_generator_is_the_source_of_the_next(config: Path, first: Path, tmp_path: Path) -> None:
    options = next_from(sources_of(first)["release"])
    run = train(config, work_dir=tmp_path, options=options, report=False)
    assert_starts_from(load_game(run), first)
    contents = torch.load(run / "iter_2.pth", weights_only=True)
    assert list(contents["frozen"]) == ["source"]
    assert not any(key.startswith("networks.source.") for key in contents["state_dict"])
    assert load_config(run / "config.json").model.networks.source.type == "StyleGAN2Generator"


def test_only_a_generator_that_stands_alone_is_meant(first: Path) -> None:
    release = str(first.parent / "adapted.safetensors")
    assert described(release, "source") == described(release, "generator")
    with pytest.raises(CheckpointError, match=r"holds no network 'generatr'.*did you mean 'generator'"):
        fill_in_types(dict(generatr=dict(weights=release)))
    with pytest.raises(CheckpointError, match="holds no network 'discriminator'"):
        described(release, "discriminator")


def test_a_changed_file_is_named_on_resume(config: Path, first: Path, tmp_path: Path) -> None:
    file = tmp_path / "source.safetensors"
    for suffix in (".safetensors", ".json"):
        shutil.copy(first.parent / f"adapted{suffix}", file.with_suffix(suffix))
    options = next_from(str(file))
    run = train(config, work_dir=tmp_path / "run", options=options, report=False)
    train(config, work_dir=tmp_path / "more", options={"seed": 5, "train_cfg.max_iters": 1}, report=False)
    export(tmp_path / "more", file, replace=True)
    with pytest.raises(CheckpointError, match=r"'source' is not the one .*source\.safetensors has changed"):
        train(config, work_dir=run, options={**options, "train_cfg.max_iters": 3}, resume=True, report=False)


def test_what_an_earlier_stage_makes_is_saved(config: Path, first: Path, tmp_path: Path) -> None:
    """And only that: a frozen copy of a file is not."""
    small = load_config(config).to_dict()
    stage = {key: small[key] for key in ("model", "optim_wrapper")}
    options = {
        "before": dict(warm=dict(stage, train_cfg=dict(max_iters=1))),
        "stages": ["warm"],
        "model.networks.source": dict(weights=dict(stage="warm", network="generator")),
    }
    run = train(config, work_dir=tmp_path, options=options, report=False)
    contents = torch.load(run / "iter_5.pth", weights_only=True)
    assert contents["frozen"] == {}
    warm = load_generator(run / "stages" / "warm" / "iter_1.pth", prepare_stage(run))
    kept = {
        k.removeprefix("networks.source."): v for k, v in contents["state_dict"].items() if ".source." in k
    }
    assert all(torch.equal(kept[name], value) for name, value in warm.state_dict().items())


def prepare_stage(run: Path) -> Any:
    return prepare(load_config(run / "config.json"))[0].config


def test_from_starts_both_generators(config: Path, first: Path) -> None:
    """``--from`` is the start of the generator and of whatever is described as it is: its source."""
    from toolbox.pipeline import read_config

    release = str(first.parent / "adapted.safetensors")
    small = load_config(config).to_dict()
    stage = {key: small[key] for key in ("model", "optim_wrapper", "train_cfg")}
    options = {"before": dict(warm=stage), "stages": ["warm"]}
    read = read_config(str(config), start=release, options=options)
    for networks in (read.model.networks, read.before.warm.model.networks):
        assert networks.source.weights == networks.generator.weights == release
        assert networks.generator.freeze_layers == ["mapping."]
