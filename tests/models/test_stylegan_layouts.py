"""Layouts of published weights: recognised, translated to the same images, nothing left over."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.models.klish_names import KERNEL, State, klish_state, klish_stylegan2_state
from tests.models.stylegan_filled import golden, normal
from tests.models.test_pggan import check_features, close
from toolbox.models.pggan import PGGANDiscriminator, PGGANGenerator
from toolbox.models.stylegan import StyleGANDiscriminator, StyleGANGenerator
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.models.stylegan2_discriminator import StyleGAN2Discriminator
from toolbox.models.stylegan_layouts import LAYOUTS, network_config, recognise, translate
from toolbox.models.stylegan_sizes import arguments
from toolbox.registry import build
from toolbox.weights.errors import WeightsError, misfits

SMALL = dict(channel_base=256, channel_max=24)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def stylegan2(**changes: object) -> StyleGAN2Generator:
    return StyleGAN2Generator(
        **{
            **dict(image_size=16, latent_dim=24, style_dim=24, mapping_layers=2, conv_clamp=None, **SMALL),
            **changes,
        }
    ).eval()


def as_genforce(state: State) -> State:
    """KLiSH's state in genforce's spelling, with kernels in torch's order."""
    result = {}
    for name, tensor in state.items():
        hwio = tensor.ndim == 4 and re.fullmatch(r"(synthesis\.)?(layer|output)\d+\.weight", name)
        for old, new in (
            (".conv.weight", ".weight"),
            (".fc.weight", ".weight"),
            ("wscale.bias", "bias"),
            ("epilogue.", ""),
            ("style_mod.dense.", "style."),
        ):
            name = name.replace(old, new)
        result[name] = tensor.permute(3, 2, 0, 1) if hwio else tensor
    return result


def rosinality_name(name: str) -> str:
    """Of a tensor of our StyleGAN2 generator."""
    block = re.match(r"synthesis\.b(\d+)\.(\w+)\.?(.*)", name)
    if not block:
        return re.sub(r"mapping\.fc(\d+)", lambda m: f"style.{int(m[1]) + 1}", name)
    k, layer, rest = int(block[1]).bit_length() - 3, block[2], block[3]
    if layer == "const":
        return "input.input"
    i = 2 * k - (layer == "conv0")
    if rest == "noise_const":
        return f"noises.noise_{i}"
    owner = (
        (f"to_rgbs.{k - 1}" if k else "to_rgb1") if layer == "torgb" else f"convs.{i - 1}" if i else "conv1"
    )
    ends = {
        "weight": "conv.weight",
        "bias": "bias" if layer == "torgb" else "activate.bias",
        "noise_strength": "noise.weight",
        "affine.weight": "conv.modulation.weight",
        "affine.bias": "conv.modulation.bias",
    }
    return f"{owner}.{ends[rest]}"


def rosinality_fill(name: str, shape: tuple[int, ...]) -> Tensor:
    """The rule of its reference."""
    numbers = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    v = torch.from_numpy(np.asarray(numbers, dtype=np.float32))
    if name.startswith("style."):
        return v * (100 if name.endswith("weight") else 10)
    return v if v.ndim >= 2 else 0.1 * v


def rosinality_state(network: nn.Module) -> State:
    """Weights of our generator, filled by rosinality's names, in its shapes."""
    state = {"convs.0.conv.blur.kernel": KERNEL, "to_rgbs.0.upsample.kernel": KERNEL}
    for name, tensor in network.state_dict().items():
        if name.endswith("resample_filter") or name == "mapping.w_avg":
            continue
        theirs, shape = rosinality_name(name), tuple(tensor.shape)
        if re.search(r"conv\.weight|input\.input|noise_\d", theirs):
            shape = (1,) * (2 if "noise_" in theirs else 1) + shape
        elif theirs.endswith("noise.weight"):
            shape = (1,)
        elif re.fullmatch(r"to_rgb.*\d\.bias", theirs):
            shape = (1, *shape, 1, 1)
        state[theirs] = rosinality_fill(theirs, shape)
    return state


class TestReference:
    def test_klish_stylegan2(self) -> None:
        arrays, network, z = (
            golden("layouts", "stylegan2_klish_layout16"),
            stylegan2(),
            normal("input.z", 2, 24),
        )
        state = klish_stylegan2_state(network)
        assert recognise(state) == "klish-stylegan2"
        network.load_state_dict(translate(state))
        close(network.styles(network.style_latent(z), 0.6)[:, [0, -1]], arrays["wp"])
        close(network(z, None, 0.6), arrays["img"])
        check_features(network, z, arrays, truncation=0.6)

    def test_rosinality(self) -> None:
        arrays = golden("layouts", "rosinality32")
        network = stylegan2(
            image_size=32,
            latent_dim=512,
            style_dim=512,
            mapping_layers=8,
            channel_base=32768,
            channel_max=512,
        )
        state = rosinality_state(network) | {"latent_avg": arrays["in_wavg"]}
        assert recognise(state) == "rosinality-stylegan2"
        network.load_state_dict(translate(state))
        close(network.style_latent(arrays["in_z"]), arrays["out_w_from_z"])
        for truncation, name in ((1.0, "out_img_w_bufnoise"), (0.7, "out_img_trunc07")):
            close(network.synthesis(network.styles(arrays["in_w"], truncation))[:, :, ::2, ::2], arrays[name])
        close(network(arrays["in_z"])[:, :, ::2, ::2], arrays["out_img_z_bufnoise"])


class TestSameWeightsOtherNames:
    @pytest.mark.parametrize(
        ("network", "fused_from", "name"),
        [
            (PGGANGenerator(16, 0, 8, **SMALL), 10_000, "pggan"),
            (StyleGANGenerator(128, 0, 8, 8, mapping_layers=2, **SMALL), 128, "stylegan"),
        ],
    )
    def test_genforce_is_klish(self, network: nn.Module, fused_from: int, name: str) -> None:
        theirs = klish_state(network, fused_from) | (
            {"lod": torch.zeros(())} if name == "pggan" else {"synthesis.lod": torch.zeros(())}
        )
        if name == "stylegan":
            theirs |= {
                "truncation.truncation": torch.ones(1, 12, 1),
                "synthesis.layer2.blur.kernel": torch.tensor([1.0, 2, 1]).outer(torch.tensor([1.0, 2, 1]))[
                    None, None
                ]
                / 16,
            }
        assert recognise(theirs) == f"klish-{name}" and recognise(as_genforce(theirs)) == f"genforce-{name}"
        one, two = translate(theirs), translate(as_genforce(theirs))
        assert not misfits(one, network.state_dict()) and one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)

    def test_genforce_stylegan2_is_klish(self) -> None:
        theirs = klish_stylegan2_state(stylegan2())
        one, two = translate(theirs), translate(as_genforce(theirs))
        assert recognise(as_genforce(theirs)) == "genforce-stylegan2"
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)

    @pytest.mark.parametrize(
        ("network", "name"),
        [
            (PGGANDiscriminator(16, **SMALL), "klish-pggan-discriminator"),
            (StyleGANDiscriminator(16, **SMALL), ""),
        ],
    )
    def test_discriminators(self, network: nn.Module, name: str) -> None:
        theirs = klish_state(network)
        blur = torch.tensor([1.0, 2, 1]).outer(torch.tensor([1.0, 2, 1])) / 16
        theirs |= {} if name else {"layer1.preact.kernel": blur.expand(16, 1, 3, 3)}
        assert recognise(theirs) == (name or "klish-stylegan-discriminator")
        assert not misfits(translate(theirs), network.state_dict())

    def test_ours_stays(self) -> None:
        for network, name in (
            (stylegan2(), "nvidia-stylegan2"),
            (StyleGAN2Discriminator(16, **SMALL), "nvidia-stylegan2-discriminator"),
        ):
            state = network.state_dict()
            assert recognise(state) == name
            assert all(torch.equal(value, state[key]) for key, value in translate(state).items())

    @pytest.mark.parametrize("layout", ["klish", "rosinality"])
    def test_stylegan2_discriminator(self, layout: str) -> None:
        network = StyleGAN2Discriminator(16, architecture="resnet", **SMALL)
        state = {}
        for name, tensor in network.state_dict().items():
            if not name.endswith("resample_filter"):
                state[DISCRIMINATOR_NAMES[layout](name)] = tensor
        assert recognise(state) == f"{layout}-stylegan2-discriminator"
        translated = translate(state)
        assert not misfits(translated, network.state_dict())
        assert all(torch.equal(value, translated[key]) for key, value in network.state_dict().items())

    def test_a_missing_mean_is_estimated(self) -> None:
        network = stylegan2()
        translated = translate(rosinality_state(network))
        network.load_state_dict(translated)
        w = network.style_latent(torch.randn(20_000, 24, generator=torch.Generator().manual_seed(1)))
        assert (w.mean(dim=0) - translated["mapping.w_avg"]).abs().max() < 0.05 * float(w.std())


def klish_discriminator_name(name: str) -> str:
    names = {
        "b16.fromrgb": "input0",
        "b16.conv0": "layer0",
        "b16.conv1": "layer1",
        "b8.conv0": "layer2",
        "b8.conv1": "layer3",
        "b4.conv": "layer4",
        "b4.fc": "layer5",
        "b4.out": "layer6",
        "b16.skip": "skip_layer0",
        "b8.skip": "skip_layer1",
    }
    owner, _, last = name.rpartition(".")
    middle = ("fc." if owner in ("b4.fc", "b4.out") else "conv.") if last == "weight" else ""
    return f"{names[owner]}.{middle}{last}"


def rosinality_discriminator_name(name: str) -> str:
    names = {
        "b16.fromrgb": "convs.0.{}",
        "b16.conv0": "convs.1.conv1.{}",
        "b16.conv1": "convs.1.conv2.{}",
        "b16.skip": "convs.1.skip.{}",
        "b8.conv0": "convs.2.conv1.{}",
        "b8.conv1": "convs.2.conv2.{}",
        "b8.skip": "convs.2.skip.{}",
        "b4.conv": "final_conv.{}",
        "b4.fc": "final_linear.0",
        "b4.out": "final_linear.1",
    }
    owner, _, last = name.rpartition(".")
    position = int(owner.endswith(("8.conv1", "16.conv1", "skip"))) + (last == "bias")
    return f"{names[owner].format(position)}.{last}"


DISCRIMINATOR_NAMES = {"klish": klish_discriminator_name, "rosinality": rosinality_discriminator_name}


class TestNetworkConfig:
    @pytest.mark.parametrize(
        "network",
        [
            PGGANGenerator(16, 0, 8, **SMALL),
            PGGANDiscriminator(16, 2, **SMALL),
            StyleGANDiscriminator(16, 3, **SMALL),
            StyleGANGenerator(32, 3, 8, 12, mapping_layers=3, hidden_features=10, **SMALL),
            stylegan2(n_conditions=3),
            StyleGAN2Discriminator(16, 3, architecture="orig", **SMALL),
            StyleGAN2Discriminator(16, architecture="skip", **SMALL),
        ],
    )
    def test_it_is_read_off_the_tensors(self, network: nn.Module) -> None:
        config = dict(type=type(network).__name__, **arguments(type(network).__name__, network.state_dict()))
        assert not misfits(network.state_dict(), build(config).state_dict())

    @pytest.mark.parametrize("fused_from", [8, 10_000])
    def test_fused_discriminators_are_told_by_their_names(self, fused_from: int) -> None:
        network = PGGANDiscriminator(16, **SMALL)
        theirs = klish_state(network, fused_from)
        config = network_config(theirs, "klish-pggan-discriminator", translate(theirs))
        assert config["fused_scale"] == (fused_from == 8) and config["image_size"] == 16

    def test_missing_tensors(self) -> None:
        theirs = klish_stylegan2_state(stylegan2())
        del theirs["synthesis.layer3.bias"]
        with pytest.raises(
            WeightsError, match=r"not the tensors of a StyleGAN2Generator: missing .*b16.conv0.bias"
        ):
            network_config(theirs, "klish-stylegan2", translate(theirs))


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"extra.weight": torch.zeros(1)},
                r"layout 'klish-pggan': not of this layout \(1\): extra.weight",
            ),
            (
                {"lod": torch.tensor(2.0)},
                r"not as expected \(1\): lod: a network that has not grown fully \(lod=2\)",
            ),
            (
                {"layer2.blur.kernel": torch.ones(1, 1, 3, 3)},
                r"layer2.blur.kernel: another filter than \[1, 2, 1\]",
            ),
        ],
    )
    def test_strict(self, change: State, message: str) -> None:
        with pytest.raises(WeightsError, match=message):
            translate(klish_state(PGGANGenerator(8, 0, 8, **SMALL)) | change)

    def test_unknown(self) -> None:
        with pytest.raises(
            WeightsError, match=r"the tensors \(G.b4.const, ...\) are in none of the known layouts: nvidia-"
        ):
            translate({"G.b4.const": torch.zeros(1)})
        with pytest.raises(
            WeightsError, match=r"layout='klish-pgan' is not known; .*did you mean 'klish-pggan'"
        ):
            translate({}, "klish-pgan")
        families = ("PGGAN", "StyleGAN", "AttnGAN", "DMGAN", "Damsm", "SSAGAN", "GALIP", "DiffAE")
        assert all(layout.family.startswith(families) for layout in LAYOUTS.values())

    def test_another_layout_than_said(self) -> None:
        with pytest.raises(
            WeightsError, match=r"layout 'rosinality-stylegan2': not of this layout \(\d+\): "
        ):
            translate(klish_stylegan2_state(stylegan2()), "rosinality-stylegan2")
