"""PGGAN: equal to the published networks, growth, conditions, features, and its errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.models.klish_names import filled_as_klish
from tests.models.stylegan_filled import golden, normal
from toolbox import testing
from toolbox.interfaces import Condition, Generator
from toolbox.metrics.base import quantise
from toolbox.models.pggan import PGGANDiscriminator, PGGANGenerator, ScaledConv2d
from toolbox.registry import build


def close(ours: Tensor, theirs: Tensor) -> None:
    """1e-4 relative to the largest value."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * max(1.0, float(theirs.detach().abs().max())))


def check_features(
    network: Generator, latents: Tensor, arrays: dict[str, Tensor], **arguments: float
) -> None:
    """All feature layers, in KLiSH's order, against a corner, mean, deviation and largest value of each."""
    features = network.features(latents, None, network.feature_layers, **arguments)
    assert len(features) == sum(name.endswith(".head") for name in arrays)
    for i, x in enumerate(features.values()):
        close(x[0, :4, :4, :4], arrays[f"tap.{i:02d}.head"])
        close(
            torch.stack([x.mean(), x.std(unbiased=False), x.abs().max()]),
            arrays[f"tap.{i:02d}.stats"],
        )


@pytest.fixture
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def small(**changes: object) -> PGGANGenerator:
    torch.manual_seed(0)
    return PGGANGenerator(
        **{**dict(image_size=16, latent_dim=8, channel_base=128, channel_max=16), **changes}
    ).eval()


def small_discriminator(**changes: object) -> PGGANDiscriminator:
    torch.manual_seed(0)
    return PGGANDiscriminator(**{**dict(image_size=16, channel_base=128, channel_max=16), **changes}).eval()


@pytest.mark.usefixtures("without_gradients")
class TestReference:
    def test_at_64(self) -> None:
        arrays, z = golden("layouts", "pggan64"), normal("input.z", 2, 64)
        network = filled_as_klish(PGGANGenerator(64, 0, 64, 2048, 64))
        close(network(z)[:1, :, ::4, ::4], arrays["img"])
        check_features(network, z, arrays)
        network.lod = 1
        close(network(z)[:1, :, ::4, ::4], arrays["img.lod1"])
        judge = filled_as_klish(PGGANDiscriminator(64, 0, 2048, 64))
        close(judge(normal("input.img", 4, 3, 64, 64)), arrays["D.logits"][:, 0])

    def test_fused(self) -> None:
        arrays, z = golden("layouts", "pggan16_fused"), normal("input.z", 2, 64)
        network = filled_as_klish(PGGANGenerator(16, 0, 64, 2048, 64), fused_from=8)
        close(network(z), arrays["img"])
        check_features(network, z, arrays)
        judge = filled_as_klish(PGGANDiscriminator(16, 0, 2048, 64, fused_scale=True), fused_from=8)
        close(judge(normal("input.img", 4, 3, 16, 16)), arrays["D.logits"][:, 0])

    @pytest.mark.parametrize(("size", "counts"), [(256, (23_044_309, 23_052_353))])
    def test_parameter_counts(self, size: int, counts: tuple[int, int]) -> None:
        with torch.device("meta"):
            pair = PGGANGenerator(size), PGGANDiscriminator(size)
        assert tuple(sum(p.numel() for p in network.parameters()) for network in pair) == counts


@pytest.mark.usefixtures("without_gradients")
class TestGrowth:
    def test_fading(self) -> None:
        network, judge, z = small(), small_discriminator(), torch.randn(4, 8)
        images, logits, real = {}, {}, torch.randn(4, 3, 16, 16)
        for lod in (0.0, 1e-6, 0.5, 1 - 1e-6, 1.0, 2.0):
            network.lod = judge.lod = lod
            images[lod], logits[lod] = network(z), judge(real)
        close(images[0.0], images[1e-6])
        close(images[1 - 1e-6], images[1.0])
        close(images[0.5], (images[0.0] + images[1.0]) / 2)
        close(logits[0.0], logits[1e-6])
        close(logits[1 - 1e-6], logits[1.0])
        assert torch.equal(
            images[2.0], images[2.0][:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
        )

    def test_a_small_network_is_a_large_one_that_has_not_grown(self) -> None:
        large, z = small(lod=1), torch.randn(2, 8)
        grown = small(image_size=8)
        kept = {
            name: value
            for name, value in large.state_dict().items()
            if name in grown.state_dict() and name != "lod"
        }
        grown.load_state_dict(kept)
        close(grown(z), large(z)[:, :, ::2, ::2])

    def test_resampling_is_what_it_says(self) -> None:
        up, down, x = (
            ScaledConv2d(3, 5, resample="up"),
            ScaledConv2d(3, 5, resample="down"),
            torch.randn(2, 3, 8, 8),
        )
        doubled = torch.nn.functional.interpolate(x, scale_factor=2)
        close(up(x), torch.nn.functional.conv2d(doubled, up.weight * up.scale, padding=1))
        close(
            down(x),
            torch.nn.functional.avg_pool2d(
                torch.nn.functional.conv2d(x, down.weight * down.scale, padding=1), 2
            ),
        )


class TestContract:
    @pytest.mark.parametrize(
        ("arguments", "idle"), [(dict(), (0, 1)), (dict(n_conditions=3), (0, 1)), (dict(lod=0.5), (0,))]
    )
    def test_generator(self, arguments: dict, idle: tuple[int, ...]) -> None:
        network = small(**arguments)
        for k in idle:  # colours of resolutions that it has outgrown
            network.get_submodule(f"output{k}").requires_grad_(False)
        testing.check_generator(network)

    @pytest.mark.parametrize(
        ("arguments", "idle"), [(dict(), (1, 2)), (dict(n_conditions=3), (1, 2)), (dict(lod=0.5), (2,))]
    )
    def test_discriminator(self, arguments: dict, idle: tuple[int, ...]) -> None:
        judge = small_discriminator(minibatch_std_group=1, **arguments)
        for k in idle:
            judge.get_submodule(f"input{k}").requires_grad_(False)
        testing.check_discriminator(judge, image_size=16)

    def test_images_to_measure_are_clipped_and_those_of_training_are_not(self) -> None:
        network = small()
        with torch.no_grad():
            network.get_submodule("output2").weight.mul_(30)  # images as far out as trained ones are
        latents = torch.randn(4, 8)
        quantise(network.generate(latents).images)  # raises beyond [-1, 1]
        network.train()
        trained = network.generate(latents).images
        assert trained.abs().max() > 2 and torch.equal(trained, network(latents))

    def test_by_name(self) -> None:
        assert isinstance(build(dict(type="PGGANGenerator", image_size=8, channel_max=4)), PGGANGenerator)
        assert isinstance(
            build(dict(type="PGGANDiscriminator", image_size=8, channel_max=4)), PGGANDiscriminator
        )

    @torch.no_grad()
    def test_condition(self) -> None:
        network, judge, z = small(n_conditions=3), small_discriminator(n_conditions=3), torch.randn(4, 8)
        labels = torch.tensor([1, 2, 0, 1])
        images = network(z, Condition(labels=labels))
        close(images, network(z, Condition(weights=torch.eye(3)[labels])))
        assert judge.encode(images).shape == (4, 4)

    def test_half_precision(self) -> None:
        network, judge, z = small(), small_discriminator(), torch.randn(4, 8)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images = network(z)
            logits = judge(images)
        assert images.dtype == logits.dtype == torch.float32
        # Seven layers, each of which rounds to 8 bits: at worst their relative errors, 2^-8 each, add up.
        assert (images - network(z)).norm() < 7 * 2**-8 * images.norm()


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(image_size=24), r"image_size=24 must be a power of two"),
            (dict(lod=3), r"lod=3 must be from 0 \(all of 16x16\) to 2 \(only 4x4\)"),
            (dict(lod=-1), r"lod=-1 must be"),
        ],
    )
    def test_arguments(self, arguments: dict, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small(**arguments)
        with pytest.raises(ValueError, match=message):
            small_discriminator(**arguments)

    def test_shapes(self) -> None:
        with pytest.raises(ValueError, match=r"latents have shape \(2, 7\), expected \(N, 8\)"):
            small()(torch.randn(2, 7))
        with pytest.raises(ValueError, match=r"images have shape \(2, 3, 8, 8\), expected \(N, 3, 16, 16\)"):
            small_discriminator()(torch.randn(2, 3, 8, 8))
        with pytest.raises(ValueError, match=r"'8x9' is not one of .*did you mean '8x8'"):
            small().features(torch.randn(1, 8), None, ["8x9"])
        with pytest.raises(ValueError, match=r"PGGANGenerator has 3 conditions and got none"):
            small(n_conditions=3)(torch.randn(2, 8))
