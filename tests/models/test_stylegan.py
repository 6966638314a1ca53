"""StyleGAN: equal to the published networks, truncation, noise, conditions, growth, features, errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.models.klish_names import filled_as_klish
from tests.models.stylegan_filled import golden, normal
from tests.models.test_pggan import check_features, close
from toolbox import testing
from toolbox.interfaces import Condition, RowGenerator, Rows
from toolbox.models.stylegan import StyleGANDiscriminator, StyleGANGenerator
from toolbox.registry import build


@pytest.fixture
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def small(**changes: object) -> StyleGANGenerator:
    torch.manual_seed(0)
    return StyleGANGenerator(
        **{
            **dict(
                image_size=16, latent_dim=8, style_dim=12, mapping_layers=2, channel_base=128, channel_max=16
            ),
            **changes,
        }
    ).eval()


def small_discriminator(**changes: object) -> StyleGANDiscriminator:
    torch.manual_seed(0)
    return StyleGANDiscriminator(
        **{**dict(image_size=16, channel_base=128, channel_max=16, minibatch_std_group=1), **changes}
    ).eval()


def loud(network: StyleGANGenerator) -> StyleGANGenerator:
    """The network with noise that shows."""
    for layer in network.synthesis.layers():
        layer.noise_strength.data.fill_(0.5)
    return network


def without_noise(network: StyleGANGenerator, ws: Tensor) -> Tensor:
    return network.synthesis(ws, [None] * network.n_styles)


@pytest.mark.usefixtures("without_gradients")
class TestReference:
    @pytest.mark.parametrize(
        ("name", "size", "fused_from"), [("stylegan1_64", 64, 128), ("stylegan1_16_fused", 16, 8)]
    )
    def test_unconditional(self, name: str, size: int, fused_from: int) -> None:
        arrays, z = golden("layouts", name), normal("input.z", 2, 64)
        network = filled_as_klish(
            StyleGANGenerator(size, 0, 64, 64, 2048, 64, truncation_cutoff=4), fused_from
        )
        w = network.style_latent(z)
        close(w, arrays["w"])
        ws = network.styles(w, 0.7)
        close(ws[:, 0], arrays["wp_first"])
        close(ws[:, -1], arrays["wp_last"])
        step = 4 if size == 64 else 1
        images, still = arrays["img.psi0.7_layers4"], arrays["img.psi0.7_layers4.zero_noise"]
        close(network(z, None, 0.7)[: len(images), :, ::step, ::step], images)
        close(without_noise(network, ws)[:1, :, ::step, ::step], still)
        check_features(network, z, arrays, truncation=0.7)
        judge = filled_as_klish(StyleGANDiscriminator(size, 0, 2048, 64), fused_from)
        close(judge(normal("input.img", 4, 3, size, size)), arrays["D.logits"][:, 0])

    def test_conditional(self) -> None:
        arrays, z = golden("layouts", "stylegan1_cond16"), normal("input.z", 2, 24)
        network = filled_as_klish(StyleGANGenerator(16, 5, 24, 24, 256, 24, mapping_layers=2))
        weights = Condition(weights=arrays["label"])
        close(network.style_latent(z, weights), arrays["w"])
        close(network(z, weights), arrays["img"])
        close(network(z, Condition(labels=arrays["label"].argmax(dim=1))), arrays["img"])

    def test_parameter_counts(self) -> None:
        with torch.device("meta"):
            pair = StyleGANGenerator(), StyleGANDiscriminator()
        assert tuple(sum(p.numel() for p in network.parameters()) for network in pair) == (
            26_086_229,
            23_052_353,
        )

    def test_feature_layers_are_klish_layers(self) -> None:
        with torch.device("meta"):
            network = StyleGANGenerator(1024)
        assert [network.feature_layers[i] for i in (9, 17)] == ["64x64", "1024x1024"]
        assert [network.feature_channels[i] for i in (9, 11, 13, 15, 17)] == [256, 128, 64, 32, 16]


class TestContract:
    @pytest.mark.parametrize("arguments", [dict(), dict(n_conditions=3)])
    def test_generator(self, arguments: dict) -> None:
        network = small(**arguments)
        for k in (0, 1):  # colours of resolutions that it has outgrown
            network.get_submodule(f"synthesis.output{k}").requires_grad_(False)
        testing.check_generator(network)

    @pytest.mark.parametrize("arguments", [dict(), dict(n_conditions=3)])
    def test_discriminator(self, arguments: dict) -> None:
        judge = small_discriminator(**arguments)
        for k in (1, 2):
            judge.get_submodule(f"input{k}").requires_grad_(False)
        testing.check_discriminator(judge, image_size=16)

    def test_by_name(self) -> None:
        assert isinstance(
            build(dict(type="StyleGANGenerator", image_size=8, channel_max=4)), StyleGANGenerator
        )
        assert isinstance(
            build(dict(type="StyleGANDiscriminator", image_size=8, channel_max=4)), StyleGANDiscriminator
        )

    def test_half_precision(self) -> None:
        network, judge, z = small(), small_discriminator(), torch.randn(4, 8)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images = network(z)
            logits = judge(images)
        assert images.dtype == logits.dtype == torch.float32
        assert (images - network(z)).abs().mean() < 0.05  # AdaIN after a bfloat16 convolution


@pytest.mark.usefixtures("without_gradients")
class TestBehaviour:
    def test_several_processes_draw_what_one_draws(self) -> None:
        network, z = loud(small(style_mixing_prob=1.0)).train(), torch.randn(4, 8)
        whole = network.generate(z, None, RowGenerator.of(3, Rows.all(4)))
        parts = [network.generate(z[k : k + 2], None, RowGenerator.of(3, Rows(k, k + 2, 4))) for k in (0, 2)]
        close(torch.cat([part.images for part in parts]), whole.images)
        assert not torch.equal(
            whole.images, network.generate(z, None, RowGenerator.of(4, Rows.all(4))).images
        )

    def test_noise_modes(self) -> None:
        z, rng = torch.randn(2, 8), torch.Generator
        for mode, fresh in (("auto", False), ("random", True), ("const", False), ("none", False)):
            network = loud(small(noise_mode=mode))
            one, two = (network.generate(z, None, rng().manual_seed(seed)).images for seed in (0, 1))
            assert torch.equal(one, two) != fresh, mode
        close(network(z), without_noise(network, network.styles(network.style_latent(z))))

    def test_truncation_to_nothing_is_the_mean_in_the_first_layers(self) -> None:
        network = small(truncation_cutoff=4)
        ws = network.styles(network.style_latent(torch.randn(2, 8)), 0.0)
        assert torch.equal(ws[:, :4], network.mapping.w_avg.expand(2, 4, -1)) and not torch.equal(
            ws[0, 4], ws[1, 4]
        )

    def test_the_mean_follows_in_training(self) -> None:
        network = small(average_beta=0.0).train()
        sample = network.generate(torch.randn(64, 8), None, torch.Generator().manual_seed(0))
        assert not network.mapping.w_avg.equal(torch.zeros(12)) and sample.extras["ws"].shape == (64, 6, 12)

    def test_fading(self) -> None:
        network, z = small(), torch.randn(2, 8)
        images = {}
        for network.synthesis.lod in (0.0, 0.5, 1.0):
            images[network.synthesis.lod] = network(z)
        close(images[0.5], (images[0.0] + images[1.0]) / 2)

    def test_the_discriminator_picks_the_logit_of_the_class(self) -> None:
        judge, images, labels = (
            small_discriminator(n_conditions=3),
            torch.randn(2, 3, 16, 16),
            torch.tensor([2, 0]),
        )
        close(judge(images, Condition(labels=labels)), judge.encode(images)[[0, 1], labels])


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(image_size=24), r"image_size=24 must be a power of two"),
            (dict(lod=3), r"lod=3 must be from 0"),
            (dict(noise_mode="constant"), r"noise_mode: 'constant' is not one of .*did you mean 'const'"),
        ],
    )
    def test_arguments(self, arguments: dict, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small(**arguments)

    def test_inputs(self) -> None:
        with pytest.raises(ValueError, match=r"latents have shape \(2, 7\), expected \(N, 8\)"):
            small()(torch.randn(2, 7))
        with pytest.raises(ValueError, match=r"ws have shape \(2, 5, 12\), expected \(N, 6, style_dim\)"):
            small().synthesis(torch.randn(2, 5, 12))
        with pytest.raises(ValueError, match=r"StyleGANGenerator has 3 conditions and got none"):
            small(n_conditions=3)(torch.randn(2, 8))
        with pytest.raises(ValueError, match=r"StyleGANDiscriminator has 3 conditions and got none"):
            small_discriminator(n_conditions=3)(torch.randn(2, 3, 16, 16))
