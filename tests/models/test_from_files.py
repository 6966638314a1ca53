"""Generators straight from published files: every layout makes the images of the network that it was written
from.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import toolbox
from tests.models.klish_names import klish_stylegan2_state
from tests.models.test_stylegan_layouts import as_genforce, rosinality_state, stylegan2
from tests.weights.pickle_makers import EasyDict, Persistent, nvidia_pickle
from toolbox.cli.main import main
from toolbox.loading import export
from toolbox.models.pggan import PGGANGenerator
from toolbox.models.stylegan2_discriminator import StyleGAN2Discriminator
from toolbox.models.stylegan_layouts import translate
from toolbox.pipeline import evaluate_run
from toolbox.training.checkpoints import CheckpointError
from toolbox.weights.errors import WeightsError


def check_same(path: Path, network: Any) -> None:
    """Images of the file's generator, truncated too, are those of the network."""
    found = toolbox.load_generator(path)
    assert not found.training and not any(parameter.requires_grad for parameter in found.parameters())
    for truncation in (1.0, 0.5):
        ours = network.eval().sample(2, seed=3, truncation=truncation)
        assert torch.allclose(found.sample(2, seed=3, truncation=truncation), ours, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "make", "wrap"),
    [
        ("klish.pth", klish_stylegan2_state, lambda state: state),
        (
            "genforce.pth",
            lambda network: as_genforce(klish_stylegan2_state(network)),
            lambda state: dict(
                models=dict(generator=dict.fromkeys(state, torch.zeros(1)), generator_smooth=state)
            ),
        ),
        (
            "genforce_zoo.pth",
            lambda network: as_genforce(klish_stylegan2_state(network)),
            lambda state: dict(generator_smooth=state),
        ),
        (
            "rosinality.pt",
            rosinality_state,
            lambda state: dict(
                g=dict.fromkeys(state, torch.zeros(1)), g_ema=state, latent_avg=torch.ones(24)
            ),
        ),
    ],
)
def test_files_of_torch_save(tmp_path: Path, name: str, make: Any, wrap: Any) -> None:
    """The averaged generator is taken where there are several; rosinality's mean of w lies beside it."""
    network = stylegan2()
    state = make(network)
    torch.save(wrap(state), tmp_path / name)
    network.load_state_dict(
        translate(state | ({"latent_avg": torch.ones(24)} if name.startswith("rosinality") else {}))
    )
    check_same(tmp_path / name, network)


def as_persistent(module: nn.Module, class_name: str, **init_kwargs: Any) -> Persistent:
    """A module as NVIDIA's training writes it."""
    made = Persistent(class_name, **init_kwargs)
    for name, value in module._parameters.items():
        made.register_parameter(name, value)
    for name, buffer in module._buffers.items():
        made.register_buffer(name, buffer)
    for name, child in module._modules.items():
        if child is not None:
            setattr(made, name, as_persistent(child, type(child).__name__))
    return made


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_pickles_of_nvidia(tmp_path: Path, clamp: float | None) -> None:
    """Whether activations are clamped is said by the pickle alone, not by the tensors."""
    network = stylegan2(conv_clamp=clamp)
    network.mapping.w_avg.normal_(generator=torch.Generator().manual_seed(0))
    kwargs = EasyDict({} if clamp is None else dict(conv_clamp=clamp))
    theirs = as_persistent(network, "Generator", z_dim=24, synthesis_kwargs=kwargs)
    other = as_persistent(stylegan2(), "Generator")
    (tmp_path / "net.pkl").write_bytes(nvidia_pickle(dict(G=other, D=None, G_ema=theirs)))
    check_same(tmp_path / "net.pkl", network)
    out = tmp_path / "net.safetensors"
    assert (
        main(["convert", str(tmp_path / "net.pkl"), "--network", "G_ema", "--layout", "auto", "-o", str(out)])
        == 0
    )
    check_same(out, network)
    assert main(["convert", str(tmp_path / "net.pkl"), "-o", str(tmp_path / "whole.safetensors")]) == 0
    check_same(tmp_path / "whole.safetensors", network)


def test_converted_files_are_built_as_their_card_says(tmp_path: Path) -> None:
    network = PGGANGenerator(image_size=8, latent_dim=8, channel_base=64, channel_max=8)
    torch.save(dict(generator_smooth=network.state_dict()), tmp_path / "pggan8.pth")
    check_same(tmp_path / "pggan8.pth", network)
    out = tmp_path / "out.safetensors"
    assert (
        main(
            [
                "convert",
                str(tmp_path / "pggan8.pth"),
                "--network",
                "generator_smooth",
                "-o",
                str(out),
                "--layout",
                "auto",
            ]
        )
        == 0
    )
    check_same(out, network)
    card = json.loads(out.with_suffix(".json").read_text())
    for config, words in (
        (dict(type="os.system"), "no registered generator"),
        (dict(type="PGGANDiscriminator"), "a generator is needed"),
        (dict(type="PGGANGenerator", image_size=16), "numbers by its config, 2,839 in the file"),
    ):
        out.with_suffix(".json").write_text(json.dumps({**card, "network": config}))
        with pytest.raises(WeightsError, match=words):
            toolbox.load_generator(out)


def test_what_is_no_generator(tmp_path: Path) -> None:
    torch.save(
        StyleGAN2Discriminator(image_size=8, channel_base=64, channel_max=8).state_dict(),
        tmp_path / "judge.pth",
    )
    with pytest.raises(WeightsError, match="StyleGAN2Discriminator, a generator is needed"):
        toolbox.load_generator(tmp_path / "judge.pth")
    torch.save(dict(weight=torch.zeros(3)), tmp_path / "other.pth")
    with pytest.raises(
        WeightsError, match=r"other.pth.*none of the known layouts.*genforce-pggan.*weights=FILE"
    ):
        toolbox.load_generator(tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"othr.pth does not exist - did you mean 'other.pth'"):
        toolbox.load_generator(tmp_path / "othr.pth")
    state = {"networks.generator.weight": torch.zeros(3)}
    torch.save(dict(state_dict=state), tmp_path / "iter_10.pth")
    with pytest.raises(
        WeightsError, match=r"iter_10.pth is the checkpoint of a run without .* name the run's folder"
    ):
        toolbox.load_generator(tmp_path / "iter_10.pth")


@pytest.mark.parametrize("name", ["klish.pth", "iter_10.pth"])
def test_a_config_beside_published_weights_is_not_run(tmp_path: Path, name: str) -> None:
    """A download of weights and a ``config.py``: the weights are opened, by every way in, nothing runs."""
    network = stylegan2()
    torch.save(klish_stylegan2_state(network), tmp_path / name)
    (tmp_path / "config.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    network.load_state_dict(translate(klish_stylegan2_state(network)))
    check_same(tmp_path / name, network)
    for call in (toolbox.load_run, evaluate_run, partial(export, out=tmp_path / "x.safetensors")):
        with pytest.raises(
            CheckpointError, match=r"is no checkpoint of a run .*so the config.py .* was not run"
        ):
            call(tmp_path / name)
    assert main(["sample", str(tmp_path / name), "-o", str(tmp_path / "x.png")]) in (0, 1)
    assert not (tmp_path / "ran").exists(), "the config was run"


@pytest.mark.parametrize("record", ["{}", '{"starts": []}', "[1]", "[" * 100_000, "\0"])
def test_any_json_is_not_the_record_of_a_run(tmp_path: Path, record: str) -> None:
    """``environment.json`` that no run wrote makes no run of a folder."""
    torch.save(klish_stylegan2_state(stylegan2()), tmp_path / "iter_10.pth")
    (tmp_path / "config.py").write_text("raise SystemExit('ran')")
    (tmp_path / "environment.json").write_text(record)
    assert toolbox.load_generator(tmp_path / "iter_10.pth").sample(1).shape[0] == 1
