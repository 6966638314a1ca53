"""SSA-GAN and GALIP straight from files as their authors write them: in memory, converted, and in a game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import toolbox
from tests.models import t2i_filled as filled
from toolbox.cli.main import main
from toolbox.interfaces import Condition, Generator
from toolbox.models.clip import Clip
from toolbox.models.from_files import read_network, translated
from toolbox.models.galip import GALIPDiscriminator, GALIPGenerator
from toolbox.models.ssagan import SSAGANDiscriminator, SSAGANGenerator
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.pretrained import fill_in_types, load_network_weights
from toolbox.weights.errors import WeightsError

TINY = dict(channels=2, image_size=16, code_dim=5)
CLIP = dict(
    embed_dim=6,
    quick_gelu=True,
    vision_cfg=dict(image_size=16, patch_size=4, layers=3, width=64),
    text_cfg=dict(context_length=4, vocab_size=8, width=64, heads=1, layers=1),
)


def said(width: int) -> Condition:
    return filled.said(torch.randn(2, width, generator=torch.Generator().manual_seed(1)))


def same(one: Generator, other: Generator, width: int) -> None:
    one, other = one.eval(), other.eval()
    torch.testing.assert_close(one.sample(2, 3, said(width)), other.sample(2, 3, said(width)))


def moved(network: Any) -> Any:
    """With weights unlike those that it starts with."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.add_(
                0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
            )
    return network


@pytest.mark.parametrize(
    ("name", "family"), [("ssagan_G", "SSAGANGenerator"), ("ssagan_D", "SSAGANDiscriminator")]
)
def test_published_files_say_what_they_are(name: str, family: str) -> None:
    shapes = filled.manifest(name)
    tensors = {f"module.{key}": torch.empty(shape, device="meta") for key, shape in shapes.items()}
    _, config = translated({key: tensor for key, tensor in tensors.items() if "tracked" not in key}, "auto")
    assert config.pop("type") == family
    defaults = dict(channels=64, image_size=256, latent_dim=100, code_dim=256, mask_channels=100)
    assert config == {key: value for key, value in defaults.items() if key in config} and len(config) > 2


def test_published_galips_bring_their_clip() -> None:
    """Strictly all tensors of the manifest, in half precision or not."""
    shapes = filled.manifest("galip_G")
    tensors = {
        f"module.{key}": torch.empty(shape, device="meta", dtype=torch.half if "CLIP" in key else torch.float)
        for key, shape in shapes.items()
    }
    state, config = translated(tensors, "auto")
    assert filled.shapes(state) == shapes and {tensor.dtype for tensor in state.values()} == {torch.float32}
    clip = config.pop("clip")["architecture"]
    assert clip["vision_cfg"] == dict(image_size=224, patch_size=32, layers=12, width=768)
    assert clip["embed_dim"] == 512 and clip["quick_gelu"]
    assert config == dict(
        type="GALIPGenerator",
        channels=64,
        image_size=224,
        latent_dim=100,
        code_channels=64,
        bridge_blocks=4,
        prompted=[1, 2, 3, 4, 5, 6, 7, 8],
    )


def test_published_galip_discriminators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strictly all tensors of both manifests, out of a file with a generator; an unknown CLIP is said."""
    shapes = {
        f"{name[-1]}.{key}": shape
        for name in ("galip_D", "galip_C")
        for key, shape in filled.manifest(name).items()
    }
    tensors = {f"model.net{key[0]}.module.{key[2:]}": shape for key, shape in shapes.items()}
    whole = {key: torch.empty(shape, device="meta") for key, shape in tensors.items()}
    other = {
        "model.netG.module.fc_code.weight": torch.empty(2, 2),
        "optimizers.optimizer_D.step": torch.ones(1),
    }
    state, config = translated(whole | other, "auto")
    assert filled.shapes(state) == {f"net{key}": shape for key, shape in shapes.items()}
    clip = dict(type="Clip", architecture="ViT-B-32-quickgelu")
    assert config == dict(type="GALIPDiscriminator", clip=clip, channels=64, taps=[1, 4, 8])
    monkeypatch.setattr("toolbox.models.text_layouts.SEEN_THROUGH", {})
    with pytest.raises(WeightsError, match=r"taps 3 blocks of a CLIP .* \(768, 512\) numbers and 7 patches"):
        translated(whole, "galip-discriminator")


def test_a_file_of_ssagan(tmp_path: Path) -> None:
    network = moved(SSAGANGenerator(latent_dim=6, mask_channels=3, **TINY))
    torch.save(
        {f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "netG_550.pth"
    )
    same(toolbox.load_generator(tmp_path / "netG_550.pth"), network, 5)
    judge = moved(SSAGANDiscriminator(**TINY))
    torch.save({f"module.{key}": value for key, value in judge.state_dict().items()}, tmp_path / "netD.pth")
    config, state = read_network(tmp_path / "netD.pth", "discriminator")
    assert config == dict(type="SSAGANDiscriminator", **TINY)
    other = SSAGANDiscriminator(**TINY)
    load_network_weights(other, tmp_path / "netD.pth", "discriminator")
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in state.items())


@pytest.fixture(scope="module")
def clip() -> Clip:
    """With weights that half precision holds exactly."""
    torch.manual_seed(0)
    made = Clip(CLIP)
    made.model.half().float()
    return made


@pytest.fixture
def galip(tmp_path: Path, clip: Clip) -> tuple[Path, GALIPGenerator, GALIPDiscriminator]:
    """A checkpoint as the authors write it: three networks, DataParallel, CLIP in half precision."""
    arguments = dict(
        channels=2, image_size=32, latent_dim=5, code_channels=4, bridge_blocks=2, prompted=(1, 2)
    )
    generator = moved(GALIPGenerator(clip, **arguments))
    discriminator = moved(GALIPDiscriminator(clip, channels=2, taps=(0, 1, 2)))
    visual = {
        f"mapping.CLIP_ViT.{key}": value.half()
        for key, value in clip.model.visual.state_dict().items()
        if not key.startswith(("ln_post", "proj"))
    }

    def parallel(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"module.{key}": value for key, value in state.items()}

    networks = dict(
        netG=parallel(generator.state_dict() | visual),
        netD=parallel(discriminator.netD.state_dict()),
        netC=parallel(discriminator.netC.state_dict()),
    )
    optimizers = dict(optimizer_G=torch.optim.Adam([nn.Parameter(torch.zeros(2))]).state_dict())
    torch.save(dict(model=networks, optimizers=optimizers, epoch=7), tmp_path / "state_epoch_007.pth")
    return tmp_path / "state_epoch_007.pth", generator, discriminator


@pytest.mark.filterwarnings("ignore:.*weights_only")
def test_a_generator_of_galip_needs_no_other_file(galip: Any, tmp_path: Path, capsys: Any) -> None:
    path, generator, _ = galip
    found = toolbox.load_generator(path)
    same(found, generator, 6)
    assert filled.shapes(found.state_dict()).keys() > filled.shapes(generator.state_dict()).keys()
    out = tmp_path / "galip.safetensors"
    arguments = ["convert", str(path), "-o", str(out), "--network", "model.netG", "--layout", "galip"]
    assert main(arguments) == 0, capsys.readouterr().err
    same(toolbox.load_generator(out), generator, 6)


@pytest.mark.filterwarnings("ignore:.*weights_only")
def test_a_discriminator_of_galip_is_converted(
    galip: Any, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """It is the same through a borrowed CLIP, without a type beside its file."""
    path, _, discriminator = galip
    monkeypatch.setattr("toolbox.models.text_layouts.SEEN_THROUGH", {(64, 6, 4): (CLIP, (0, 1, 2))})
    out = tmp_path / "judge.safetensors"
    assert main(["convert", str(path), "-o", str(out), "--layout", "galip-discriminator"]) == 0, (
        capsys.readouterr()
    )
    for file in (path, out):
        config = dict(weights=str(file), uses=dict(clip="clip"), clip_double_rescale=False)
        (found,) = fill_in_types(dict(discriminator=config)).values()
        assert found == dict(config, type="GALIPDiscriminator", channels=2, taps=[0, 1, 2])
        judge = GALIPDiscriminator(clip, channels=2, taps=(0, 1, 2))
        load_network_weights(judge, file, "discriminator")
        for key, value in discriminator.state_dict().items():
            assert torch.equal(judge.state_dict()[key], value), key


def test_networks_of_galip_in_a_game(galip: Any, clip: Clip) -> None:
    path, generator, discriminator = galip
    for source in (path, dict(checkpoint=path, network="model.netG")):
        mine = GALIPGenerator(clip, 2, 32, 5, code_channels=4, bridge_blocks=2, prompted=(1, 2))
        load_network_weights(mine, source, "generator")
        same(mine, generator, 6)
    judge = GALIPDiscriminator(clip, channels=2, taps=(0, 1, 2))
    load_network_weights(judge, path, "discriminator")
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(judge(images, said(6)), discriminator(images, said(6)))


def test_through_another_clip_is_refused(galip: Any) -> None:
    path, _, _ = galip
    other = Clip(CLIP)
    mine = GALIPGenerator(other, 2, 32, 5, code_channels=4, bridge_blocks=2, prompted=(1, 2))
    with pytest.raises(
        CheckpointError, match="trained through another CLIP than 'custom' with these weights"
    ):
        load_network_weights(mine, path, "generator")
