"""AttnGAN and DM-GAN: the published networks' outputs from their own weights, masks, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.models.t2i_filled import asked, close, enlarged, filled, golden, manifest
from toolbox import testing
from toolbox.interfaces import Condition, TextCodes
from toolbox.models.attngan import AttnGANDiscriminator, AttnGANGenerator
from toolbox.models.dmgan import DMGANDiscriminator, DMGANGenerator, from_official

GENERATORS: dict[str, Callable[..., AttnGANGenerator]] = {
    "attngan": AttnGANGenerator,
    "dmgan": DMGANGenerator,
}
JUDGES: dict[str, Callable[..., AttnGANDiscriminator]] = {
    "attngan": AttnGANDiscriminator,
    "dmgan": DMGANDiscriminator,
}
WIDTHS = {  # of generator and discriminator, residual blocks
    "attngan_cub": (32, 64, 2),
    "attngan_coco": (48, 96, 3),
    "dmgan_cub": (64, 32, 2),
    "dmgan_coco": (64, 32, 3),
}
TINY = dict(channels=4, residual_blocks=1, image_size=32, stages=2, noise_dim=3, condition_dim=2, code_dim=6)
FAMILIES = ["attngan", "dmgan"]


def generator(name: str) -> AttnGANGenerator:
    width, _, blocks = WIDTHS[name]
    return GENERATORS[name.split("_")[0]](width, blocks, init="normal")


def discriminator(name: str, size: int) -> AttnGANDiscriminator:
    return JUDGES[name.split("_")[0]](WIDTHS[name][1], size, init="normal")


def tiny(family: str, **changes: Any) -> AttnGANGenerator:
    torch.manual_seed(0)
    return GENERATORS[family](**{**TINY, **changes})


def texts(n: int = 4, width: int = 6) -> Condition:
    rng = torch.Generator().manual_seed(1)
    words = torch.randn(n, width, 5, generator=rng)
    lengths = torch.tensor([5, 2, 1, 3])[:n]
    return Condition(codes=TextCodes(torch.randn(n, width, generator=rng), words, lengths))


@pytest.mark.parametrize("name", WIDTHS)
def test_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        networks: dict[str, nn.Module] = {"G": generator(name)}
        networks |= {f"D{size}": discriminator(name, size) for size in (64, 128, 256)}
    for key, network in networks.items():
        theirs = {
            name: torch.empty(shape, device="meta") for name, shape in manifest(f"{name}_{key}").items()
        }
        own = {name: tensor.shape for name, tensor in network.state_dict().items()}
        assert own == {name: tensor.shape for name, tensor in from_official(theirs).items()}


def check_generator(name: str, modes: tuple[str, ...]) -> None:
    arrays, network = golden(f"{name}_G"), filled(generator(name), f"{name}_G")
    latents, condition = asked(arrays)
    with torch.no_grad():
        for mode in modes:
            network.mask_mode = mode
            sample = network.generate(latents, condition)
            suffix = "_exactmask" if mode == "correct" else ""
            close(sample.extras["mu"], arrays["mu"])
            close(sample.extras["logvar"], arrays["logvar"])
            close(sample.extras["images64"][:, :, ::2, ::2], arrays["img64"])
            close(sample.extras["images128"][:, :, ::4, ::4], arrays[f"img128{suffix}"])
            close(sample.images[:, :, ::8, ::8], arrays[f"img256{suffix}"])
        if "official" in modes:
            first, second = network.attention(latents, condition)
            close(first[:, :, ::8, ::8], arrays["att1"])
            close(second[:, :, ::16, ::16], arrays["att2"])


def check_discriminator(name: str, size: int) -> None:
    """DM-GAN's power step of eval mode is ours of train mode; its discriminators know no other difference."""
    arrays = golden(f"{name}_D")
    network = filled(discriminator(name, size), f"{name}_D{size}").train(name.startswith("dmgan"))
    with torch.no_grad():
        features = network.encode(enlarged(arrays[f"x{size}_low"]))
        close(features[:, ::8], arrays[f"feat{size}"])
        conditional = network.judge(features, Condition(codes=TextCodes(arrays["sent_emb"])))
        close(conditional.sigmoid(), arrays[f"cond{size}"])
        close(network.judge(features, Condition()).sigmoid(), arrays[f"uncond{size}"])
        assert torch.equal(network.judge(features), network.judge(features, Condition()))


def test_images_equal_the_reference() -> None:
    check_generator("attngan_cub", ("correct",))


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDTHS)
def test_images_equal_the_reference_in_both_modes(name: str) -> None:
    check_generator(name, ("correct", "official"))


@pytest.mark.parametrize("name", ["attngan_cub", "dmgan_cub"])
def test_logits_equal_the_reference(name: str) -> None:
    check_discriminator(name, 64)


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize("name", WIDTHS)
def test_logits_of_all_sizes_equal_the_reference(name: str, size: int) -> None:
    check_discriminator(name, size)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_contract_of_generators(family: str) -> None:
    """``forward`` makes the last image alone: the layers of the others are not in it."""

    def make() -> AttnGANGenerator:
        network = tiny(family)
        network.get_submodule("img_net1").requires_grad_(False)
        return network

    testing.check_generator(make, texts())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_contract_of_discriminators(family: str) -> None:
    def make() -> AttnGANDiscriminator:
        torch.manual_seed(0)
        return JUDGES[family](4, 16, 6, unconditional=False)

    testing.check_discriminator(make, 16, texts())
    testing.check_discriminator(lambda: JUDGES[family](2, 128, 6, unconditional=False), 128, texts())


def test_the_official_mask_is_that_of_other_captions() -> None:
    latents, condition = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), texts()
    network = tiny("attngan", mask_mode="official").eval()
    with torch.no_grad():
        official = network(latents, condition)
        network.mask_mode = "correct"
        assert not torch.allclose(official, network(latents, condition), atol=1e-4)
        network.mask_mode = "official"
        first = network(latents[:1], condition[:1])  # of a batch of one both are the same
        network.mask_mode = "correct"
        assert torch.equal(first, network(latents[:1], condition[:1]))


@pytest.mark.parametrize("family", FAMILIES)
def test_three_small_stages(family: str) -> None:
    network, latents = tiny(family, stages=3), torch.randn(4, 5)
    sample = network.generate(latents, texts())
    assert sorted(sample.extras) == ["images16", "images8", "logvar", "mu"]
    assert sample.images.shape[2:] == (32, 32) and sample.extras["images8"].shape[2:] == (8, 8)
    assert sample.extras["mu"].shape == (4, 2)
    seen = network.eval().generate(latents, texts()).extras["attention"]
    assert [maps.shape[2:] for maps in seen] == [(8, 8), (16, 16)]
    assert all(map(torch.equal, seen, network.attention(latents, texts())))
    assert all(torch.allclose(maps.sum(1), torch.ones(1)) for maps in seen)


def test_state_dicts_of_data_parallel() -> None:
    official = {
        f"module.{name}": torch.zeros(shape) + 0.5
        for name, shape in manifest("dmgan_cub_D64").items()
        if not name.endswith("_tracked")
    }
    network = DMGANDiscriminator(init="normal")
    network.load_state_dict(official)
    assert (network.img_code_s16[0].weight_orig == 0.5).all()


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: tiny("attngan")(torch.randn(4, 5)), "AttnGANGenerator reads captions and got none"),
    (
        lambda: tiny("dmgan")(torch.randn(4, 5), texts(width=7)),
        r"codes.sentence has shape \(4, 7\), expected \(N, 6\)",
    ),
    (
        lambda: tiny("dmgan")(torch.randn(4, 5), Condition(codes=TextCodes(torch.randn(4, 6)))),
        "DMGANGenerator needs codes of words; the text encoder gives those of sentences only",
    ),
    (
        lambda: tiny("attngan")(
            torch.randn(4, 5), Condition(codes=texts().codes.replace(words=torch.zeros(4, 7, 5)))
        ),
        r"codes.words has shape \(4, 7, 5\), expected \(N, 6, L\)",
    ),
    (lambda: tiny("attngan", mask_mode="oficial"), r"mask_mode='oficial' .*did you mean 'official'"),
    (lambda: tiny("attngan", image_size=24), "image_size=24 must be a power of two"),
    (lambda: tiny("attngan", image_size=8), "image_size=8 must be a whole number of 16 or more"),
    (lambda: tiny("attngan", stages=0), "stages=0 must be a whole number of 1 or more"),
    (lambda: tiny("attngan", init="othogonal"), "init='othogonal' is not known"),
    (
        lambda: AttnGANDiscriminator(2, 16)(torch.randn(2, 3, 32, 32)),
        r"images must be \(N, 3, 16, 16\), got \(2, 3, 32, 32\)",
    ),
    (
        lambda: AttnGANDiscriminator(2, 16, 6, unconditional=False)(torch.randn(2, 3, 16, 16)),
        "unconditional=False and needs condition.codes",
    ),
    (
        lambda: AttnGANDiscriminator(2, 16, 6)(torch.randn(1, 3, 16, 16), Condition(text=["a bird"])),
        "AttnGANDiscriminator reads captions and got none",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_does_not_fit(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
