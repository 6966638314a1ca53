"""Feature streams: a function of (seed, image) alone, the rows of table II, any generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import toolbox
from toolbox.features import (
    FeatureLayer,
    FeatureStream,
    default_layers,
    feature_layers_of,
    feature_stream,
    stack_maps,
)
from toolbox.interfaces import Condition, Generator
from toolbox.models.biggan import BigGANGenerator
from toolbox.models.biggan_ajbrock import AjbrockGenerator
from toolbox.models.pggan import PGGANGenerator
from toolbox.models.stylegan2 import StyleGAN2Generator


@pytest.fixture(scope="module")
def style() -> StyleGAN2Generator:
    torch.manual_seed(0)
    network = StyleGAN2Generator(image_size=16, latent_dim=8, style_dim=8, channel_base=64, channel_max=8)
    with torch.no_grad():
        network.mapping.w_avg.normal_()
        for layer in network.synthesis.layers():
            layer.noise_strength.fill_(0.5)
    return network


@pytest.fixture(scope="module")
def classes() -> BigGANGenerator:
    torch.manual_seed(0)
    return BigGANGenerator(channels=4, n_conditions=3, image_size=16, latent_dim=12).eval()


def rows(stream: FeatureStream) -> Tensor:
    return torch.cat(list(stream))


class TestRows:
    def test_they_are_all_pixels_of_one_image_after_another(self, style: StyleGAN2Generator) -> None:
        stream = toolbox.feature_stream(style, 3, size=12, seed=4)
        found = rows(stream)
        assert (
            found.shape == (stream.rows, stream.width) == (3 * 144, 8 + 8 + 4)
            and found.dtype == torch.float32
        )
        assert stream.layers == ("4x4", "8x8", "16x16") and stream.channels == (8, 8, 4)
        assert torch.equal(found[144:288], stack_maps(stream.maps(1), 12)[0].permute(1, 2, 0).flatten(0, 1))
        assert [tuple(layer.shape) for layer in stream.maps(0)] == [
            (1, 8, 4, 4),
            (1, 8, 8, 8),
            (1, 4, 16, 16),
        ]

    def test_small_streams_are_made_once(
        self, style: StyleGAN2Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A whole first pass is kept; one that was left early, and one that is too large, are made anew."""
        kept, large = feature_stream(style, 3, size=8), feature_stream(style, 3, size=8, keep=1e-6)
        next(iter(kept))
        wanted = rows(kept)
        assert torch.equal(rows(large), wanted)
        monkeypatch.setattr(style, "features", None)
        assert torch.equal(rows(kept), wanted)
        with pytest.raises(TypeError):
            rows(large)
        with pytest.raises(ValueError, match=r"keep=-1 must be a number of GiB, 0 or more"):
            feature_stream(style, 3, keep=-1)

    def test_they_are_a_function_of_seed_and_image(self, style: StyleGAN2Generator) -> None:
        torch.manual_seed(1)
        found = rows(feature_stream(style, 2, size=8, seed=4))
        torch.manual_seed(2)
        longer = feature_stream(style, 3, size=8, seed=4, keep=0)
        assert torch.equal(rows(longer)[:128], found) and torch.equal(rows(longer), rows(longer))
        assert torch.equal(longer.maps(1)[0], feature_stream(style, 9, seed=4).maps(1)[0])
        assert not torch.equal(rows(feature_stream(style, 2, size=8, seed=5)), found)

    def test_pixels_are_a_sample_of_all(self, style: StyleGAN2Generator) -> None:
        whole, some = (
            feature_stream(style, 2, size=8, seed=4),
            feature_stream(style, 2, size=8, seed=4, pixels=10),
        )
        assert some.rows == 20 and torch.equal(rows(some), rows(some))
        places = [
            [int((whole_row == row).all(dim=1).nonzero()[0]) for row in some_rows]
            for whole_row, some_rows in zip(whole, some, strict=True)
        ]
        assert (
            all(len(set(place)) == 10 and place == sorted(place) for place in places)
            and places[0] != places[1]
        )
        assert torch.equal(some.image(1), whole.image(1))

    @pytest.mark.parametrize("batch_size", [2, 3])
    def test_several_images_at_a_time(self, style: StyleGAN2Generator, batch_size: int) -> None:
        one = feature_stream(style, 4, size=8, noise="const")
        several = feature_stream(style, 4, size=8, noise="const", batch_size=batch_size)
        assert [len(chunk) for chunk in several] == [64] * 4
        assert torch.allclose(rows(one), rows(several), atol=1e-5)
        random = feature_stream(style, 4, size=8, batch_size=batch_size)
        assert torch.equal(rows(random), rows(feature_stream(style, 4, size=8)))

    def test_the_generator_is_left_as_it_was(self, style: StyleGAN2Generator) -> None:
        style.train()
        style.mapping.eval()
        before = torch.random.get_rng_state()
        training = rows(feature_stream(style, 1, size=4))
        assert (
            style.training
            and not style.mapping.training
            and torch.equal(before, torch.random.get_rng_state())
        )
        assert torch.equal(training, rows(feature_stream(style.eval(), 1, size=4)))


class TestImages:
    @pytest.mark.parametrize("truncation", [0.5, 1.0])
    def test_constant_noise_gives_the_samples(self, style: StyleGAN2Generator, truncation: float) -> None:
        stream = feature_stream(style, 3, seed=7, noise="const", truncation=truncation)
        expected = style.eval().sample(3, seed=7, truncation=truncation)
        assert all(torch.allclose(stream.image(i), expected[i], atol=1e-5) for i in range(3))

    def test_maps_are_those_of_the_image(self, style: StyleGAN2Generator) -> None:
        """Random noise too: the image is what the last map's colours add up to, so it moves with
        the noise.
        """
        stream = feature_stream(style, 1, seed=7, truncation=0.5)
        rng = torch.Generator().manual_seed(7 * 1_000_003)
        latents = style.sample_latents(1, rng)
        ws = style.styles(style.style_latent(latents), 0.5)
        maps = {
            name: (x, image)
            for name, x, image in style.synthesis.walk(ws, style.synthesis.random_noise(1, rng, ws))
        }
        assert torch.allclose(maps["16x16"][0], stream.maps(0)[-1], atol=1e-5)
        assert torch.allclose(maps["16x16"][1][0].clamp(-1, 1), stream.image(0), atol=1e-5)
        assert not torch.allclose(
            stream.image(0), feature_stream(style, 1, seed=7, noise="const").image(0), atol=1e-2
        )

    def test_classes(self, classes: BigGANGenerator) -> None:
        """Without a label, those that ``sample`` draws."""
        free = feature_stream(classes, 3, seed=2, truncation=1.0)
        expected = classes.sample(3, seed=2)
        assert all(torch.allclose(free.image(i), expected[i], atol=1e-5) for i in range(3))
        fixed = feature_stream(classes, 2, seed=2, label=1)
        latents = classes.sample_latents(1, torch.Generator().manual_seed(2 * 1_000_003))
        with torch.no_grad():
            wanted = classes.features(latents * 0.5, Condition(labels=torch.tensor([1])), ["16x16"])["16x16"]
        assert torch.allclose(fixed.maps(0)[-1], wanted, atol=1e-6)
        assert not torch.allclose(feature_stream(classes, 1, seed=2, label=2).maps(0)[-1], wanted)

    def test_truncation(self) -> None:
        """PGGAN normalises its latents: a shorter one is the same image."""
        network = PGGANGenerator(image_size=8, latent_dim=8, channel_base=64, channel_max=8)
        half, whole = (rows(feature_stream(network, 1, size=8, truncation=psi)) for psi in (0.5, 1.0))
        assert torch.allclose(half, whole, atol=1e-5)

    def test_ajbrocks_generator(self) -> None:
        """The last layer is what its output layer reads."""
        network = AjbrockGenerator(channels=2, n_conditions=3).eval()
        latents, condition = torch.randn(2, 128), Condition(labels=torch.tensor([0, 2]))
        with torch.no_grad():
            maps = network.features(latents, condition, network.feature_layers)
            images = torch.tanh(network.conv2d5(torch.relu(network.bn4(maps["32x32"]))))
            assert torch.allclose(images, network(latents, condition), atol=1e-6)
        assert [one.shape[1:] for one in maps.values()] == [(8, r, r) for r in (4, 8, 16, 32)]


class TestStacking:
    def test_corners_are_aligned(self) -> None:
        """A plane stays a plane, with the corners' values, up and down; layers in order."""

        def plane(size: int) -> Tensor:
            x = torch.linspace(0, 1, size)
            return (2 * x[:, None] - 3 * x)[None, None]

        found = stack_maps([plane(4), 10 + plane(32)], 9)
        assert torch.allclose(found, torch.cat([plane(9), 10 + plane(9)], dim=1), atol=1e-5)

    def test_against_scipy(self) -> None:
        from scipy.ndimage import map_coordinates

        values = np.random.default_rng(0).standard_normal((7, 7)).astype(np.float32)
        for size in (5, 16):
            grid = np.meshgrid(*[np.linspace(0, 6, size)] * 2, indexing="ij")
            found = stack_maps([torch.from_numpy(values)[None, None]], size)[0, 0].numpy()
            assert np.abs(found - map_coordinates(values, grid, order=1)).max() < 1e-5


class Foreign(Generator):
    """Somebody's network: feature layers of its own names, in half precision, widths not told."""

    latent_dim, image_size, feature_layers = 4, 8, ("early", "deep 1", "deep 2")

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 8, 8))

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return torch.tanh(torch.einsum("nd,dchw->nchw", latents, self.weight))

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        image = self(latents * truncation)
        maps = {"early": image[:, :, ::2, ::2], "deep 1": image[:, :2], "deep 2": image.repeat(1, 2, 1, 1)}
        return {layer: maps[layer].half() for layer in layers}


class TestLayers:
    def test_numbers_of_table_ii(self, style: StyleGAN2Generator, classes: BigGANGenerator) -> None:
        assert feature_stream(style, 1, [5, "4x4", 2]).layers == ("4x4", "8x8.0", "16x16")
        assert feature_stream(classes, 1, [3, 5]).layers == ("8x8", "16x16")  # one layer a block: odd numbers

    def test_the_default_rule(self) -> None:
        with torch.device("meta"):
            network = StyleGAN2Generator(image_size=1024)
        assert default_layers(network) == ("64x64", "128x128", "256x256", "512x512", "1024x1024")  # 992
        assert default_layers(network, most=500) == ("128x128", "256x256", "512x512", "1024x1024")
        assert default_layers(network, most=1) == ("1024x1024",)

    def test_a_generator_that_tells_no_widths(self) -> None:
        network = Foreign()
        assert feature_layers_of(network) == [
            FeatureLayer("early", 3, 4),
            FeatureLayer("deep 1", 2, 8),
            FeatureLayer("deep 2", 6, 8),
        ]
        stream = feature_stream(network, 2, size=6)
        assert (
            stream.layers == ("early", "deep 2") and rows(stream).dtype == torch.float32 and stream.width == 9
        )
        assert len(rows(feature_stream(network, 2, ["deep 1"], size=6, noise="const"))) == 72

    @pytest.mark.parametrize(
        ("layers", "words"),
        [
            (
                ["8x9"],
                r"layers: '8x9' is none of the generator's - did you mean '8x8'.*; choose from .* table II: "
                r"\[0, 1, 2, ",
            ),
            ([7], r"layers: 7 is none of the generator's; choose from"),
            ([3, "8x8"], r"layers=\[3, '8x8'\] name a map twice"),
            ([], "layers is empty"),
            ("8x8", r"layers='8x8' must be a list of names or numbers, such as \['8x8'\]"),
        ],
    )
    def test_unknown_ones(self, style: StyleGAN2Generator, layers: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            feature_stream(style, 1, layers)

    def test_a_generator_without_taps(self) -> None:
        class Plain(Foreign):
            feature_layers = ()

        with pytest.raises(
            ValueError,
            match=r"Plain has no feature layers .* be clustered; generators that have: .*BigGANGenerator",
        ):
            feature_stream(Plain(), 1)

    def test_early_layers_alone_need_a_name_with_a_number(self) -> None:
        with pytest.raises(
            ValueError,
            match=r"layers: 9 is none of the generator's; choose from \['early', 'deep 1', 'deep 2'\]$",
        ):
            feature_stream(Foreign(), 1, [9])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(images=0), "images=0 must be a whole number of at least 1"),
        (dict(size=0), "size=0 must"),
        (dict(images=2.5), r"images=2\.5 must"),
        (dict(size=4, pixels=17), "pixels=17 must be at most 16, all of an image of size=4"),
        (dict(pixels=0), "pixels=0 must"),
        (dict(truncation=0), r"truncation=0 must lie in \(0, 1\]"),
        (dict(noise="randm"), r"noise='randm' is not one of .* - did you mean 'random'"),
        (dict(label=3), r"label=3 must lie in 0\.\.2"),
        (dict(label=-1), r"label=-1 must lie in"),
    ],
)
def test_slips(classes: BigGANGenerator, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        feature_stream(classes, **{"images": 1, **arguments})


def test_a_label_of_an_unconditional_generator(style: StyleGAN2Generator) -> None:
    with pytest.raises(ValueError, match="label=1: StyleGAN2Generator is unconditional"):
        feature_stream(style, 1, label=1)
    with pytest.raises(ValueError, match="image i=-1 must be 0 or more"):
        feature_stream(style, 1).image(-1)
