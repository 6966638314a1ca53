"""Published files of AttnGAN, DM-GAN and DAMSM: recognised, described, and loaded with the same outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import toolbox
from tests.models.t2i_filled import manifest
from toolbox.cli.main import main
from toolbox.models.attngan import AttnGANDiscriminator, AttnGANGenerator
from toolbox.models.damsm import DamsmTextEncoder
from toolbox.models.dmgan import DMGANDiscriminator, DMGANGenerator
from toolbox.models.from_files import translated
from toolbox.models.stylegan_layouts import recognise
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.game.networks import build_networks
from toolbox.training.pretrained import fill_in_types
from toolbox.weights.card import read_with_card
from toolbox.weights.errors import WeightsError

COMMON = dict(noise_dim=100, condition_dim=100, code_dim=256, stages=3, image_size=256)
PUBLISHED: dict[str, dict[str, Any]] = {
    "attngan_cub_G": dict(type="AttnGANGenerator", channels=32, residual_blocks=2, **COMMON),
    "attngan_coco_G": dict(type="AttnGANGenerator", channels=48, residual_blocks=3, **COMMON),
    "dmgan_cub_G": dict(type="DMGANGenerator", channels=64, residual_blocks=2, **COMMON),
    "dmgan_coco_G": dict(type="DMGANGenerator", channels=64, residual_blocks=3, **COMMON),
    "damsm_cub_text_encoder": dict(type="DamsmTextEncoder", n_tokens=5450, embedding_dim=300, code_dim=256),
    "damsm_coco_text_encoder": dict(type="DamsmTextEncoder", n_tokens=27297, embedding_dim=300, code_dim=256),
    "damsm_image_encoder": dict(type="DamsmImageEncoder", code_dim=256),
}
for family, channels in (("attngan_cub", 64), ("attngan_coco", 96), ("dmgan_cub", 32), ("dmgan_coco", 32)):
    kind = "AttnGANDiscriminator" if family.startswith("attn") else "DMGANDiscriminator"
    for size in (64, 128, 256):
        PUBLISHED[f"{family}_D{size}"] = dict(
            type=kind, channels=channels, image_size=size, code_dim=256, unconditional=True
        )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_described(name: str) -> None:
    """Also where they have no batch counters."""
    state = {
        key: torch.empty(shape, device="meta")
        for key, shape in manifest(name).items()
        if not key.endswith("num_batches_tracked")
    }
    assert translated(state, "auto")[1] == PUBLISHED[name]


def official(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """The state dict as the authors' code writes it, long ago."""
    result = {}
    for name, tensor in network.state_dict().items():
        owner, _, entry = name.rpartition(".")
        if f"{owner}.weight_orig" in network.state_dict():
            name = f"{owner}.module.{'weight_bar' if entry == 'weight_orig' else entry}"
        if entry != "num_batches_tracked":
            result[prefix + name] = tensor
    return result


SMALL: dict[str, Callable[[], nn.Module]] = {
    "attngan": lambda: AttnGANGenerator(4, 1, 32, 2, 3, 2, 6),
    "attngan-discriminator": lambda: AttnGANDiscriminator(4, 128, 6, unconditional=False),
    "dmgan": lambda: DMGANGenerator(4, 0, 64, 3, 3, 2, 6),
    "dmgan-discriminator": lambda: DMGANDiscriminator(4, 32, 6),
    "damsm-text": lambda: DamsmTextEncoder(20, 5, 6),
}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("layout", SMALL)
def test_files_of_the_authors(tmp_path: Path, layout: str, prefix: str) -> None:
    """In a game, without a type; converted; both are the network that was written."""
    network = SMALL[layout]()
    state = official(network, prefix)
    assert recognise(state) == layout
    torch.save(state, tmp_path / "net.pth")
    name = "discriminator" if layout.endswith("discriminator") else "net"
    built, _ = build_networks(fill_in_types({name: dict(weights=str(tmp_path / "net.pth"))}), [name], seed=1)
    out = tmp_path / "net.safetensors"
    assert main(["convert", str(tmp_path / "net.pth"), "-o", str(out), "--layout", layout]) == 0
    tensors, card = read_with_card(out)
    other = toolbox.build(card["network"])
    other.load_state_dict(tensors)
    for found in (built[name], other):
        assert type(found) is type(network)
        for key, tensor in network.state_dict().items():
            assert torch.equal(found.state_dict()[key], tensor), key


def test_a_generator_of_a_file(tmp_path: Path) -> None:
    torch.save(official(AttnGANGenerator(4, 1, 32, 2, 3, 2, 6)), tmp_path / "net.pth")
    assert isinstance(toolbox.load_generator(tmp_path / "net.pth"), AttnGANGenerator)


def test_what_is_no_such_network(tmp_path: Path) -> None:
    state = official(DamsmTextEncoder(20, 5, 6))
    with pytest.raises(WeightsError, match="layout 'damsm-image'"):
        translated(state, "damsm-image")
    with pytest.raises(
        WeightsError, match="layout 'damsm-text': not the tensors of a DamsmTextEncoder: missing"
    ):
        translated({key: value for key, value in state.items() if key != "rnn.bias_ih_l0"}, "auto")
    with pytest.raises(WeightsError, match="did you mean 'attngan'"):
        translated(state, "attgan")
    torch.save(state, tmp_path / "net.pth")
    config = dict(type="DamsmTextEncoder", n_tokens=21, embedding_dim=5, code_dim=6)
    with pytest.raises(
        CheckpointError, match=r"encoder.weight: \(20, 5\) in the file, \(21, 5\) in the model"
    ):
        build_networks({"text": dict(config, weights=str(tmp_path / "net.pth"))}, ["text"], seed=1)
    with pytest.raises(WeightsError):
        toolbox.load_generator(tmp_path / "net.pth")
