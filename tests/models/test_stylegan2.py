"""StyleGAN2: equal to the published networks, conditions, randomness, truncation, features, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models.stylegan_filled import DATA, filled, golden, normal, one_hot
from toolbox import testing
from toolbox.config import load_config
from toolbox.interfaces import Condition, RowGenerator, Rows
from toolbox.models import stylegan2_presets as presets
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.models.stylegan2_discriminator import StyleGAN2Discriminator, minibatch_std

SMALL = dict(channel_base=256, channel_max=24, conv_clamp=None)
ARCHITECTURES = ["skip", "resnet", "orig"]


def close(ours: Tensor, theirs: Tensor) -> None:
    """1e-4 relative to the largest value; the measured worst is 4e-6."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * max(1.0, float(theirs.detach().abs().max())))


def check_features(features: dict[str, Tensor], arrays: dict[str, Tensor]) -> dict[str, int]:
    """A corner of the first image, or mean, deviation and largest magnitude of all; how many there were of
    each.
    """
    seen: dict[str, int] = {}
    for name in [name for name in arrays if name.startswith("tap.")]:
        _, _, block, layer, what = name.split(".")
        expected, size = arrays[name], block[1:]
        x = features[f"{size}x{size}" + (".0" if layer == "conv0" else "")]
        stats = torch.stack([x.mean(), x.std(unbiased=False), x.abs().max()])
        close(
            x[0][tuple(slice(n) for n in expected.shape)] if what == "head" else stats,
            expected.to(x.dtype),
        )
        seen[what] = seen.get(what, 0) + 1
    return seen


@pytest.fixture
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def small(**changes: object) -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(
        **{
            **dict(
                image_size=16, latent_dim=8, style_dim=12, mapping_layers=2, channel_base=128, channel_max=16
            ),
            **changes,
        }
    ).eval()


def small_discriminator(**changes: object) -> StyleGAN2Discriminator:
    torch.manual_seed(0)
    return StyleGAN2Discriminator(
        **{
            **dict(
                image_size=16, channel_base=128, channel_max=16, mapping_layers=2, minibatch_std_channels=0
            ),
            **changes,
        }
    ).eval()


@pytest.mark.usefixtures("without_gradients")
class TestReference:
    def test_cifar_generator(self) -> None:
        arrays, z = golden("stylegan2", "sg2_cond32"), normal("input.z", 2, 512)
        network, condition = (
            filled(StyleGAN2Generator(32, 10, preset="cifar")),
            Condition(weights=one_hot(2, 10)),
        )
        w = network.style_latent(z, condition)
        close(w, arrays["w"])
        ws = network.styles(w, 0.7, cutoff=3)
        close(ws[:, 0], arrays["w_trunc_psi0.7_cutoff3.first"])
        close(ws[:, -1], arrays["w_trunc_psi0.7_cutoff3.last"])
        labelled = Condition(labels=one_hot(2, 10).argmax(dim=1))
        close(network(z, labelled)[:, :, ::2, ::2], arrays["img.const"])
        close(network(z, condition, 0.5)[:, :, ::2, ::2], arrays["img.trunc0.5.const"])
        close(network.synthesis(network.styles(w), [None] * 7)[:, :, ::2, ::2], arrays["img.none"])
        assert check_features(network.features(z, condition, network.feature_layers), arrays) == {
            "head": 7,
            "stats": 7,
        }

    def test_cifar_discriminator(self) -> None:
        arrays, images = golden("stylegan2", "sg2_disc_cond32"), normal("input.img", 4, 3, 32, 32)
        network = filled(StyleGAN2Discriminator(32, 10, preset="cifar"))
        close(network(images, Condition(weights=one_hot(4, 10))), arrays["logits"][:, 0])
        close(network.mapping(None, one_hot(4, 10))[:, :16], arrays["cmap"])

    def test_unconditional(self) -> None:
        arrays, z = golden("stylegan2", "sg2_uncond64"), normal("input.z", 2, 64)
        network = filled(
            StyleGAN2Generator(64, 0, 64, 64, channel_base=2048, channel_max=64, mapping_layers=8)
        )
        assert network.n_styles == int(arrays["num_ws"])
        ws = network.styles(network.style_latent(z))
        close(network(z)[:1, :, ::2, ::2], arrays["img.const"])
        assert check_features(network.features(z, None, network.feature_layers), arrays) == {"stats": 9}
        close(
            network.synthesis(torch.cat([ws[:1, :4], ws[1:, 4:]], dim=1))[:, :, ::2, ::2],
            arrays["img.mix_cut4.const"],
        )
        judge = filled(StyleGAN2Discriminator(64, channel_base=2048, channel_max=64, minibatch_std_group=4))
        close(
            judge(normal("input.img", 4, 3, 64, 64)), golden("stylegan2", "sg2_disc_uncond64")["logits"][:, 0]
        )

    @pytest.mark.parametrize("fused", [False, True])
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_generators(self, architecture: str, fused: bool) -> None:
        arrays, z = golden("stylegan2", "sg2_variants16"), normal("input.z", 2, 16)
        network = filled(
            StyleGAN2Generator(
                16,
                0,
                16,
                24,
                mapping_layers=2,
                layer_features=20,
                architecture=architecture,
                fused=fused,
                **SMALL,
            )
        )
        close(network(z), arrays[f"G.{architecture}.img"])
        close(network(z, None, 0.5), arrays[f"G.{architecture}.img.psi0.5.cutNone"])
        network.truncation_cutoff = 2
        close(network(z, None, 0.5), arrays[f"G.{architecture}.img.psi0.5.cut2"])

    @pytest.mark.parametrize("statistics", [(1, 4), (2, 2), (0, 4)])
    @pytest.mark.parametrize("classes", [0, 3])
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_discriminators(self, architecture: str, classes: int, statistics: tuple[int, int]) -> None:
        channels, group = statistics
        network = filled(
            StyleGAN2Discriminator(
                16,
                classes,
                architecture=architecture,
                minibatch_std_group=group,
                minibatch_std_channels=channels,
                mapping_layers=2,
                **SMALL,
            )
        )
        logits = network(normal("input.img", 4, 3, 16, 16), Condition(weights=one_hot(4, 3)))
        name = f"D.{architecture}.c{classes}.mbstd_F{channels}_G{group}.logits"
        close(logits, golden("stylegan2", "sg2_variants16")[name][:, 0])

    def test_odd_settings(self) -> None:
        arrays, z = golden("stylegan2", "sg2_variants16"), normal("input.z", 2, 16)
        grey = StyleGAN2Generator(
            16,
            0,
            16,
            24,
            mapping_layers=2,
            image_channels=1,
            use_noise=False,
            act="relu",
            resample_filter=[1, 1],
            **{**SMALL, "conv_clamp": 0.8},
        )
        close(filled(grey)(z), arrays["G.clamp0.8_relu_nonoise_boxfilter_gray.img"])
        embedded = filled(StyleGAN2Generator(8, 5, 16, 24, mapping_layers=3, embed_features=6, **SMALL))
        close(embedded(z, Condition(weights=one_hot(2, 5))), arrays["G.embed6_c5_res8.img"])


class TestPublished:
    """Names, shapes and sizes, without making the weights."""

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("cifar_cond32", dict(image_size=32, n_conditions=10, preset="cifar")),
            ("paper256", dict(image_size=256, preset="paper256")),
        ],
    )
    def test_names(self, name: str, arguments: dict) -> None:
        names = json.loads((DATA / "stylegan2_names.json").read_text())
        with torch.device("meta"):
            pair = dict(G=StyleGAN2Generator(**arguments), D=StyleGAN2Discriminator(**arguments))
        for letter, network in pair.items():
            assert {key: list(value.shape) for key, value in network.state_dict().items()} == names[
                f"{letter}_{name}"
            ]

    @pytest.mark.parametrize(
        ("arguments", "counts"),
        [
            (dict(image_size=32, n_conditions=10, preset="cifar"), (20_215_315, 23_089_664)),
            (dict(image_size=256, preset="paper256"), (24_767_458, 24_001_089)),
            (dict(image_size=512, preset="paper512"), (30_276_583, 28_982_849)),
            (dict(image_size=1024, preset="stylegan2"), (30_370_060, 29_012_513)),
            (dict(image_size=1024, preset="paper1024"), (30_370_060, 29_012_513)),
            (dict(image_size=256, preset="stylegan2"), (30_034_338, 28_864_129)),
            (dict(image_size=256, n_conditions=10), (23_459_298, 26_370_112)),
            (dict(image_size=64), (22_243_608, 23_407_361)),
        ],
    )
    def test_parameter_counts(self, arguments: dict, counts: tuple[int, int]) -> None:
        with torch.device("meta"):
            pair = StyleGAN2Generator(**arguments), StyleGAN2Discriminator(**arguments)
        assert tuple(sum(p.numel() for p in network.parameters()) for network in pair) == counts

    def test_presets(self) -> None:
        at_256, at_32, at_1024 = presets.auto(256), presets.auto(32), presets.auto(1024, processes=8)
        assert (at_256.batch, at_256.minibatch_std_group, at_256.half_life_kimg) == (16, 4, 5)
        assert (at_256.r1_gamma, at_32.r1_gamma, at_1024.r1_gamma) == pytest.approx((0.8192, 0.0064, 6.5536))
        assert (at_32.batch, at_32.half_life_kimg, at_1024.batch) == (32, 10, 32)
        assert presets.lazy(0.0025, 16) == dict(
            lr=pytest.approx(0.002353, rel=1e-3), betas=(0.0, pytest.approx(0.99 ** (16 / 17)))
        )
        network = small(preset="cifar", mapping_layers=None)
        assert network.style_mixing_prob == 0 and network.mapping.layers == ["fc0", "fc1"]

    def test_the_config_is_the_published_run(self) -> None:
        config = load_config(Path(__file__).parents[2] / "configs" / "stylegan2_ada_cifar.py")
        run = presets.PRESETS["cifar"]
        assert config.train_dataloader.batch_size == run.batch
        assert config.train_cfg.max_iters * run.batch == 1000 * run.kimg
        assert config.model.objectives.r1.gamma == run.r1_gamma and run.path_length == 0
        assert config.model.average.generator == dict(
            half_life_kimg=run.half_life_kimg, rampup=run.rampup, average_buffers=False
        )
        for player, every in (("discriminator", 16), ("generator", 4)):
            optimizer, published = config.optim_wrapper[player].optimizer, presets.lazy(run.lr, every)
            assert (optimizer.lr, *optimizer.betas) == pytest.approx((published["lr"], *published["betas"]))

    def test_feature_layers_are_klish_layers(self) -> None:
        with torch.device("meta"):
            network = StyleGAN2Generator(256, preset="stylegan2")
        chosen = [network.feature_layers[i] for i in (9, 11, 13)]
        assert chosen == ["64x64", "128x128", "256x256"]
        assert [network.feature_channels[i] for i in (9, 11, 13)] == [512, 256, 128]


class TestContract:
    @pytest.mark.parametrize(
        "arguments", [dict(), dict(n_conditions=3), dict(architecture="resnet", image_size=8)]
    )
    def test_generator(self, arguments: dict) -> None:
        testing.check_generator(small(**arguments))

    @pytest.mark.parametrize(
        "arguments", [dict(), dict(n_conditions=3), dict(architecture="resnet"), dict(architecture="skip")]
    )
    def test_discriminator(self, arguments: dict) -> None:
        testing.check_discriminator(small_discriminator(**arguments), image_size=16)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("fused", [False, True])
    def test_images_and_logits_are_float32_and_near(self, dtype: torch.dtype, fused: bool) -> None:
        network, judge, z = (
            small(fused=fused),
            small_discriminator(minibatch_std_channels=1),
            torch.randn(4, 8),
        )
        with torch.autocast("cpu", dtype=dtype):
            images = network(z)
            logits = judge(images)
        assert images.dtype == logits.dtype == torch.float32
        torch.testing.assert_close(images, network(z), atol=0.1, rtol=0)
        logits.sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.usefixtures("without_gradients")
class TestCondition:
    def test_one_hot_weights_equal_labels(self) -> None:
        network, z, labels = small(n_conditions=3), torch.randn(4, 8), torch.tensor([0, 2, 1, 2])
        close(network(z, Condition(weights=torch.eye(3)[labels])), network(z, Condition(labels=labels)))

    def test_the_embedding_is_linear_in_the_weights(self) -> None:
        embed, weights = small(n_conditions=3).mapping.embed, torch.rand(4, 3).softmax(1)
        close(embed(weights), weights @ embed(torch.eye(3)))

    def test_weights_count_before_labels_for_the_generator_and_after_them_for_the_discriminator(self) -> None:
        both = Condition(labels=torch.tensor([0, 1]), weights=torch.eye(3)[[2, 2]])
        network, z = small(n_conditions=3), torch.randn(2, 8)
        close(network(z, both), network(z, Condition(weights=both.weights)))
        judge, images = small_discriminator(n_conditions=3), torch.randn(2, 3, 16, 16)
        close(judge(images, both), judge(images, Condition(labels=both.labels)))

    def test_hidden_labels(self) -> None:
        judge, images = small_discriminator(n_conditions=3), torch.randn(3, 3, 16, 16)
        mixed, none = judge(images, Condition(labels=torch.tensor([0, -1, 2]))), judge(images)
        close(mixed[1], none[1])
        assert not torch.equal(mixed[0], none[0])

    def test_statistics_couple_the_images_of_a_group(self) -> None:
        x = torch.arange(16.0).view(4, 4, 1, 1) * torch.tensor([1.0, 1, 1, 3])[:, None, None, None]
        maps = minibatch_std(x, group=2, channels=2)[:, 4:, 0, 0]  # images 0 and 2, images 1 and 3
        expected = (x[:2] - x[2:]).abs().div(2)[:, :, 0, 0].unflatten(1, (2, 2)).mean(dim=2)
        close(maps, torch.cat([expected, expected]))


class TestRandomness:
    def test_several_processes_draw_what_one_draws(self) -> None:
        network, z = small(style_mixing_prob=1.0).train(), torch.randn(4, 8)
        for layer in network.synthesis.layers():
            layer.noise_strength.data.fill_(0.5)
        whole = network.generate(z, None, RowGenerator.of(3, Rows.all(4)))
        parts = [network.generate(z[k : k + 2], None, RowGenerator.of(3, Rows(k, k + 2, 4))) for k in (0, 2)]
        close(torch.cat([part.images for part in parts]), whole.images)
        close(torch.cat([part.extras["ws"] for part in parts]), whole.extras["ws"])
        assert not torch.equal(
            whole.images, network.generate(z, None, RowGenerator.of(4, Rows.all(4))).images
        )

    @torch.no_grad()
    def test_style_mixing(self) -> None:
        z = torch.randn(3, 8)
        network = small(style_mixing_prob=1.0).train()
        starts: set[int] = set()
        for seed in range(20):
            ws = network.generate(z, None, torch.Generator().manual_seed(seed)).extras["ws"]
            second = (ws != ws[:, :1]).any(dim=2)
            assert torch.equal(second, second[:1].expand(3, -1))  # one layer for the whole batch
            assert not second[0, 0] and second[0, -1] and (second[0].int().diff() >= 0).all()
            starts.add(int(second[0].int().argmax()))
        assert len(starts) >= 4
        never = small(style_mixing_prob=0.0).train().generate(z, None, torch.Generator()).extras["ws"]
        assert torch.equal(never, never[:, :1].expand_as(never))

    @torch.no_grad()
    def test_noise_modes(self) -> None:
        z, rng = torch.randn(2, 8), torch.Generator
        for mode, fresh in (("auto", False), ("random", True), ("const", False), ("none", False)):
            network = small(noise_mode=mode)
            for layer in network.synthesis.layers():
                layer.noise_strength.fill_(0.5)
            one, two = (network.generate(z, None, rng().manual_seed(seed)).images for seed in (0, 1))
            assert torch.equal(one, two) != fresh, mode
        assert small().train().noise(torch.zeros(2, 6, 12))[0].shape == (2, 1, 4, 4)

    @torch.no_grad()
    def test_the_mean_style_follows_in_training_only(self) -> None:
        network, z = small(style_mixing_prob=1.0), torch.randn(64, 8)
        network.generate(z)
        assert not network.mapping.w_avg.any()
        network.train().generate(z, None, torch.Generator())
        close(network.mapping.w_avg, 0.005 * network.style_latent(z).mean(dim=0))

    @torch.no_grad()
    def test_what_is_shown_and_measured_is_clipped_and_what_is_trained_is_not(self) -> None:
        network, z = small(style_mixing_prob=0.0), 3 * torch.randn(4, 8)
        assert network(z).abs().max() > 1
        assert torch.equal(network.generate(z).images, network(z).clamp(-1, 1))
        assert network.train().generate(z, None, torch.Generator()).images.abs().max() > 1

    @torch.no_grad()
    def test_truncation_pulls_to_the_mean_style(self) -> None:
        network = small()
        network.mapping.w_avg.normal_()
        mean = network.synthesis(network.styles(network.mapping.w_avg[None]))
        close(network.sample(2, truncation=1e-6), mean.clamp(-1, 1).expand(2, -1, -1, -1))
        assert network.sample(2).abs().max() <= 1


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(image_size=48), r"image_size=48 must be a power of two from 4 on, such as 32 or 64"),
            (dict(architecture="skpi"), r"architecture: 'skpi' is not one of .*did you mean 'skip'"),
            (dict(noise_mode="constant"), r"noise_mode: 'constant' .*did you mean 'const'"),
            (dict(preset="cifar10"), r"preset='cifar10' is not known.*did you mean 'cifar'"),
            (dict(act="relo"), r"activation='relo'"),
        ],
    )
    def test_constructor(self, arguments: dict, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small(**arguments)

    @pytest.mark.parametrize(
        ("condition", "message"),
        [
            (None, r"StyleGAN2Generator has 3 conditions and got none"),
            (Condition(weights=torch.ones(2, 5)), r"condition.weights has shape \(2, 5\), expected \(N, 3\)"),
            (Condition(labels=torch.tensor([0, 3])), r"run from 0 to 3, allowed is 0..2"),
            (Condition(labels=torch.tensor([-1, 0])), r"hidden labels \(-1\) were replaced"),
        ],
    )
    def test_condition(self, condition: Condition | None, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small(n_conditions=3)(torch.randn(2, 8), condition)

    def test_shapes(self) -> None:
        with pytest.raises(ValueError, match=r"latents have shape \(2, 7\), expected \(N, 8\)"):
            small()(torch.randn(2, 7))
        with pytest.raises(ValueError, match=r"ws have shape \(2, 5, 12\), expected \(N, 6, style_dim\)"):
            small().synthesis(torch.randn(2, 5, 12))
        with pytest.raises(ValueError, match=r"'8x9' is not one of .*did you mean '8x8'"):
            small().features(torch.randn(1, 8), None, ["8x9"])
        with pytest.raises(
            ValueError, match=r"images have shape \(2, 3, 32, 32\), expected \(N, 3, 16, 16\)"
        ):
            small_discriminator()(torch.randn(2, 3, 32, 32))
        with pytest.raises(ValueError, match=r"minibatch_std_group=4 does not divide the 6 images at hand"):
            small_discriminator(minibatch_std_channels=1)(torch.randn(6, 3, 16, 16))
