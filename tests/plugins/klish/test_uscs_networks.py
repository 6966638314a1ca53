"""GauGAN's networks: SPADE by hand, what they refuse, and the contracts of generators and discriminators."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox import testing
from toolbox.interfaces import Condition
from toolbox.testing import run_ranks
from toolbox.weights.errors import WeightsError
from toolbox_klish.uscs.generator import SpadeGenerator
from toolbox_klish.uscs.judges import MultiscalePatchDiscriminator, SpadeEncoder
from toolbox_klish.uscs.layers import Spade, SyncedBatchNorm2d, at_size, one_hot
from toolbox_klish.uscs.perceptual import PortraitMaps, VGG19Maps

PARTS, SIZE = 4, 32
SMALL = dict(n_parts=PARTS, image_size=SIZE, latent_dim=6, channels=2, hidden=3)


def masks(n: int, size: int = SIZE) -> Tensor:
    """Blocks of random parts."""
    coarse = torch.randint(0, PARTS, (n, 4, 4), generator=torch.Generator().manual_seed(0))
    return coarse.repeat_interleave(size // 4, 1).repeat_interleave(size // 4, 2)


def condition(n: int = 4) -> Condition:
    return Condition(mask=masks(n))


def test_spade_is_the_formula() -> None:
    """gamma and beta of a pixel are those of its part alone where kernels have but a centre."""
    layer = Spade(channels=1, n_parts=2, hidden=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.mlp_shared[0].weight[:, :, 1, 1] = torch.eye(2)  # h = the one-hot mask
        layer.mlp_gamma.weight[0, :, 1, 1] = torch.tensor([1.0, 3.0])
        layer.mlp_beta.weight[0, :, 1, 1] = torch.tensor([10.0, -10.0])
    x = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    mask = torch.tensor([[[0, 1], [1, 0]]])
    mean, std = 4.0, (5.0 + 1e-5) ** 0.5  # of 1, 3, 5, 7, biased
    expected = [
        [2 * (1 - mean) / std + 10, 4 * (3 - mean) / std - 10],
        [4 * (5 - mean) / std - 10, 2 * (7 - mean) / std + 10],
    ]
    assert torch.allclose(layer(x, one_hot(mask, 2))[0, 0], torch.tensor(expected), atol=1e-5)


def test_masks_take_the_nearest_pixel_and_become_one_hot() -> None:
    mask = torch.tensor([[[0, 0, 2, 2], [0, 0, 2, 2], [1, 1, 0, 0], [1, 1, 0, 0]]])
    small = at_size(one_hot(mask, 3), 2)
    assert torch.equal(small.argmax(dim=1)[0], torch.tensor([[0, 2], [1, 0]]))
    assert torch.equal(small.sum(dim=1), torch.ones(1, 2, 2))


def test_generator_keeps_its_contract() -> None:
    testing.check_generator(partial(SpadeGenerator, **SMALL), condition())


def test_discriminator_keeps_its_contract() -> None:
    make = partial(MultiscalePatchDiscriminator, PARTS, SIZE, channels=2, layers=3)
    testing.check_discriminator(make, SIZE, condition())


@pytest.mark.parametrize(("upsamplings", "first"), [(5, 4), (6, 2), (7, 1)])
def test_the_first_map_is_small_by_the_number_of_upsamplings(upsamplings: int, first: int) -> None:
    generator = SpadeGenerator(PARTS, 128, 4, channels=2, hidden=2, upsamplings=upsamplings).eval()
    assert generator.start == first
    with torch.no_grad():
        assert generator(torch.zeros(1, 4), Condition(mask=masks(1, 128))).shape == (1, 3, 128, 128)


def test_names_and_widths_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        generator = SpadeGenerator(26)
        discriminator = MultiscalePatchDiscriminator(26)
        encoder = SpadeEncoder()
    shapes = {name: tuple(value.shape) for name, value in generator.state_dict().items()}
    assert shapes["fc.weight"] == (16 * 16 * 1024, 256)
    assert shapes["G_middle_1.conv_0.weight_orig"] == (1024, 1024, 3, 3)
    assert shapes["up_0.norm_s.mlp_gamma.weight"] == (1024, 128, 3, 3)
    assert shapes["up_3.norm_0.mlp_shared.0.weight"] == (128, 26, 3, 3)
    assert shapes["up_3.conv_s.weight_orig"] == (64, 128, 1, 1)
    assert "up_3.norm_1.param_free_norm.running_mean" in shapes and shapes["conv_img.weight"] == (3, 64, 3, 3)
    of_judge = {name: tuple(value.shape) for name, value in discriminator.state_dict().items()}
    assert of_judge["discriminator_1.model0.0.weight"] == (64, 29, 4, 4)
    assert of_judge["discriminator_0.model3.0.0.weight_orig"] == (512, 256, 4, 4)
    assert of_judge["discriminator_0.model4.0.weight"] == (1, 512, 4, 4)
    assert encoder.state_dict()["layer6.0.weight_orig"].shape == (512, 512, 3, 3)
    assert encoder.state_dict()["fc_mu.weight"].shape == (256, 512 * 16)


def test_a_style_is_encoded_around_what_the_images_show() -> None:
    encoder = SpadeEncoder(latent_dim=6, image_size=16, channels=2).eval()
    generator = SpadeGenerator(**SMALL, encoder=encoder).eval()
    latents = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    images = testing.random_sample(4, SIZE).images
    with torch.no_grad():
        mu, logvar = encoder(images)
        styled = generator.generate(latents, condition().replace(extra=dict(style=images)))
        z = mu + torch.exp(logvar / 2) * latents
    assert torch.equal(styled.extras["mu"], mu) and torch.equal(styled.extras["logvar"], logvar)
    assert styled.latents is not None and torch.allclose(styled.latents, z)
    with torch.no_grad():  # what was made is made again from its latents alone
        assert torch.allclose(generator.remake(styled).images, styled.images, atol=1e-6)
        assert torch.equal(generator.generate(latents, condition()).images, generator(latents, condition()))
    assert not [name for name in generator.state_dict() if "encoder" in name]


def test_the_discriminator_sees_two_scales_of_image_and_mask() -> None:
    network = MultiscalePatchDiscriminator(PARTS, SIZE, channels=2, layers=3)
    maps = network.maps(torch.zeros(2, 3, SIZE, SIZE), condition(2))
    assert [[m.shape[1:] for m in scale] for scale in maps] == [
        [(2, 17, 17), (4, 9, 9), (8, 10, 10), (1, 11, 11)],
        [(2, 9, 9), (4, 5, 5), (8, 6, 6), (1, 7, 7)],
    ]
    other = Condition(mask=(masks(2) + 1) % PARTS)
    assert not torch.allclose(maps[0][-1], network.maps(torch.zeros(2, 3, SIZE, SIZE), other)[0][-1])


def test_vgg_reads_a_file_of_torchvision_by_its_numbers(tmp_path: Path) -> None:
    made = VGG19Maps(None)
    file = tmp_path / "vgg.pth"
    state = {f"features.{key}": value for key, value in made.features.state_dict().items()}
    torch.save({**state, "features.34.weight": torch.zeros(1), "classifier.0.weight": torch.zeros(1)}, file)
    images = testing.random_sample(1, 16).images
    maps = VGG19Maps(file)(images)
    assert [m.shape[1] for m in maps] == [64, 128, 256, 512, 512] and [m.shape[2] for m in maps] == [
        16,
        8,
        4,
        2,
        1,
    ]
    assert all(torch.equal(one, other) for one, other in zip(maps, made(images), strict=True))
    torch.save({"features.0.weight": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match=r"VGG19Maps: .* does not fit: missing in the file"):
        VGG19Maps(file)
    with pytest.raises(WeightsError, match=r"no such file; it takes vgg19-dcbb9e9d\.pth"):
        VGG19Maps(tmp_path / "none.pth")


def test_the_stand_in_for_vgg_is_frozen() -> None:
    network = PortraitMaps().train()
    assert len(network(torch.zeros(1, 3, 64, 64))) == len(network.layer_weights) == 4
    assert not network.training and not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"SpadeGenerator reads masks and got none"),
        (masks(2)[:, :8], r"condition\.mask is \(2, 8, 32\), expected \(N, 32, 32\)"),
        (masks(2) + 1, r"condition\.mask has parts 1 to 4, allowed is 0 to 3 \(n_parts=4\)"),
        (masks(2) - 1, r"condition\.mask has parts -1 to 2"),
    ],
)
def test_masks_that_do_not_fit_are_refused(given: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpadeGenerator(**SMALL)(torch.zeros(2, 6), Condition(mask=given))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpadeGenerator(**{**SMALL, "image_size": 48}), r"image_size=48 must be a multiple of"),
        (lambda: SpadeGenerator(**SMALL, upsamplings=4), r"upsamplings=4 must be 5"),
        (
            lambda: SpadeGenerator(**SMALL, encoder=SpadeEncoder(3, 16, 2)),
            r"dim=3 is not latent_dim=6",
        ),
        (lambda: MultiscalePatchDiscriminator(PARTS, 16), r"image_size=16 must be 32 or more for 2 scales"),
        (lambda: SpadeEncoder(image_size=24), r"image_size=24 must be a power of 2"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def normalised(rank_of: int) -> tuple[Tensor, Tensor, Tensor]:
    """(output, gradient, running variance) of this rank's share of one batch."""
    from toolbox import ranks

    x = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(5))
    own = x.view(ranks.world(), -1, 2, 3, 3)[ranks.rank()].clone().requires_grad_()
    layer = SyncedBatchNorm2d(2)
    y = layer(own)
    weights = torch.arange(x.numel()).view_as(x).view(ranks.world(), -1, 2, 3, 3)[ranks.rank()]
    (y * weights.sin()).sum().backward()
    assert own.grad is not None and layer.running_var is not None
    return y.detach(), own.grad, layer.running_var


@pytest.mark.slow
def test_two_ranks_normalise_as_one() -> None:
    parts = run_ranks(normalised, 0)
    y, gradient, variance = normalised(0)
    assert torch.allclose(torch.cat([part[0] for part in parts]), y, atol=1e-5)
    assert torch.allclose(torch.cat([part[1] for part in parts]), gradient, atol=1e-5)
    assert torch.allclose(parts[0][2], variance, atol=1e-6)
    x = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(5))
    reference = F.batch_norm(x, None, None, training=True)
    assert torch.allclose(y, reference, atol=1e-5) and isinstance(SyncedBatchNorm2d(2), nn.BatchNorm2d)
