"""``weights=`` means the same in a game, in `klish fit`, in toolbox.build and in load_generator."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import toolbox
from tests.models.test_from_files import as_persistent
from tests.models.test_stylegan_layouts import SMALL, rosinality_state, stylegan2
from tests.weights.pickle_makers import EasyDict, nvidia_pickle
from toolbox.interfaces import Generator
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.models.stylegan2_discriminator import StyleGAN2Discriminator
from toolbox.models.stylegan2_embedded import WEIGHTS, EmbeddedStyleGAN2
from toolbox.plugins import host
from toolbox.registry import BuildError
from toolbox.runs.kept import kept_path
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.game.networks import build_networks
from toolbox.training.pretrained import fill_in_types
from toolbox.weights.card import write_with_card
from toolbox.weights.errors import WeightsError
from toolbox_klish.runs.run import build_generator as build_for_klish
from toolbox_klish.runs.settings import read_config

ARCHITECTURE = dict(
    type="StyleGAN2Generator",
    **dict(image_size=16, latent_dim=24, style_dim=24, mapping_layers=2, conv_clamp=None),
    **SMALL,
)


def in_a_game(config: dict[str, Any]) -> nn.Module:
    networks, _ = build_networks(fill_in_types({"generator": config}), ["generator"], seed=1)
    return networks["generator"]


WAYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "game": in_a_game,
    "klish fit": build_for_klish,
    "build": toolbox.build,
    "first available": lambda config: toolbox.build(
        dict(type="FirstAvailable", candidates=[dict(type="Clip", weights="no.pt"), config])
    ),
    "load_generator": lambda config: toolbox.load_generator(config["weights"]),
}


def nvidia(folder: Path, network: StyleGAN2Generator) -> Path:
    path = folder / "net.pkl"
    theirs = as_persistent(network, "Generator", z_dim=24, synthesis_kwargs=EasyDict())
    path.write_bytes(nvidia_pickle(dict(G=as_persistent(stylegan2(), "Generator"), D=None, G_ema=theirs)))
    return path


def rosinality(folder: Path, network: StyleGAN2Generator) -> Path:
    torch.save(dict(g_ema=rosinality_state(network), latent_avg=torch.zeros(24)), folder / "net.pt")
    return folder / "net.pt"


@pytest.fixture
def network() -> StyleGAN2Generator:
    torch.manual_seed(4)
    return stylegan2()


def same(found: Any, file: Path) -> None:
    expected = toolbox.load_generator(file).state_dict()
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in found.state_dict().items())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("write", [nvidia, rosinality])
@pytest.mark.parametrize(
    "architecture", [{}, pytest.param(ARCHITECTURE, marks=pytest.mark.slow)], ids=["of the file", "said"]
)
def test_files_of_others(
    tmp_path: Path, network: StyleGAN2Generator, way: str, write: Any, architecture: dict[str, Any]
) -> None:
    file = write(tmp_path, network)
    same(WAYS[way]({**architecture, "weights": str(file)}), file)


@pytest.mark.parametrize("way", ["game", "klish fit", "build", "load_generator"])
def test_a_release_a_run_and_a_file_of_a_plugin(way: str) -> None:
    name = "toolbox:models/embedded/stylegan2_portraits.safetensors"
    for source in (name, str(WEIGHTS)):
        found = WAYS[way](dict(weights=source))
        assert isinstance(found, Generator)
        assert torch.equal(found.eval().sample(1, seed=2), EmbeddedStyleGAN2().eval().sample(1, seed=2))


def test_a_runs_folder(trained: Callable[..., Path]) -> None:
    """Its averaged generator; the architecture is its config's, numbers of the data filled in."""
    run = trained("first", options={"train_cfg.max_iters": 1})
    for way in ("game", "klish fit", "build"):
        found = WAYS[way](dict(weights=str(run)))
        assert found.n_conditions == 10
        same(found, run)


def test_the_game_keeps_the_architecture_and_needs_the_file_no_more(
    trained: Callable[..., Path], tmp_path: Path
) -> None:
    """A run that started from a file is continued, sampled and released without it."""
    source = tmp_path / "published"
    trained("published", options={"train_cfg.max_iters": 1})
    start = {"model.networks": dict(generator=dict(_delete_=True, weights=str(source)))}
    start["model.networks"]["discriminator"] = dict(type="ToyDiscriminator", image_size=8)
    run = trained("tuned", options={**start, "train_cfg.max_iters": 1})
    kept = toolbox.load_config(kept_path(run))
    assert kept.model.networks.generator.type == "ToyGenerator"
    shutil.rmtree(source)
    toolbox.load_generator(run).sample(1)
    kept.train_cfg.max_iters = 2
    toolbox.train(kept, work_dir=run, resume=True, evaluate=False, report=False)
    assert (run / "iter_2.pth").is_file()


def test_the_discriminator_of_a_file(tmp_path: Path, network: StyleGAN2Generator) -> None:
    judge = StyleGAN2Discriminator(image_size=16, channel_base=64, channel_max=8, mapping_layers=2)
    theirs = as_persistent(judge, "Discriminator", epilogue_kwargs=EasyDict(mbstd_group_size=4))
    made = as_persistent(network, "Generator", z_dim=24, synthesis_kwargs=EasyDict())
    (tmp_path / "net.pkl").write_bytes(nvidia_pickle(dict(G=made, D=theirs, G_ema=made)))
    networks, _ = build_networks(
        fill_in_types({"discriminator": dict(weights=str(tmp_path / "net.pkl"))}), ["discriminator"], 0
    )
    found = networks["discriminator"].state_dict()
    assert all(torch.equal(value, found[key]) for key, value in judge.state_dict().items())
    with pytest.raises(BuildError, match="holds no discriminator; it holds g_ema"):
        toolbox.build(dict(weights=str(rosinality(tmp_path, network))), "discriminator")


def test_another_size_is_refused_and_the_cure_is_said(tmp_path: Path, network: StyleGAN2Generator) -> None:
    file = nvidia(tmp_path, network)
    with pytest.raises(BuildError, match=r"does not fit .*without type=, weights= brings the file's"):
        toolbox.build({**ARCHITECTURE, "image_size": 32, "weights": str(file)})
    with pytest.raises(CheckpointError, match="does not fit"):
        in_a_game({**ARCHITECTURE, "image_size": 32, "weights": str(file)})


def test_a_card_may_name_any_registered_generator(tmp_path: Path) -> None:
    """Also one of a plugin; what is registered as something else, or not at all, is refused."""
    host().load_file(Path(__file__).with_name("toy_games.py"))
    torch.manual_seed(0)
    network = toolbox.build(dict(type="ToyGenerator", latent_dim=3))
    file = tmp_path / "toy.safetensors"
    write_with_card(file, network.state_dict(), dict(network=dict(type="ToyGenerator", latent_dim=3)))
    for way in ("game", "klish fit", "build", "load_generator"):
        same(WAYS[way](dict(weights=str(file))), file)
    card = json.loads(file.with_suffix(".json").read_text())
    inside = dict(type="ToyGenerator", latent_dim=dict(type="os.system", command="true"))
    for config, words in (
        (inside, "os.system.*no registered generator"),
        (dict(type="ToyDiscriminator"), "a generator is needed"),
        (dict(type="ToyGeneratr"), "did you mean 'ToyGenerator'"),
    ):
        file.with_suffix(".json").write_text(json.dumps({**card, "network": config}))
        with pytest.raises(WeightsError, match=words):
            toolbox.load_generator(file)
    with pytest.raises(BuildError, match="ToyGeneratr"):
        toolbox.build(dict(weights=str(file)))


def test_klish_takes_a_type_with_its_weights(tmp_path: Path, network: StyleGAN2Generator) -> None:
    rest = "\nclusterers = dict(a=dict(type='KLiSH', clusters=3))\nfinal = 2\n"
    file = nvidia(tmp_path, network)
    for weights in (str(file), "https://host.invalid/net.pkl", dict(url="https://host.invalid/net.pkl")):
        for source in (dict(ARCHITECTURE, weights=weights), dict(weights=weights)):
            (tmp_path / "a.py").write_text(f"command = 'klish fit'\ngenerator = {source}{rest}")
            assert read_config(tmp_path / "a.py").generator["weights"] == weights
