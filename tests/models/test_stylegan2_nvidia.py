"""NVIDIA's constructor arguments, as ours."""

from __future__ import annotations

from typing import Any

import pytest

from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.models.stylegan2_discriminator import StyleGAN2Discriminator
from toolbox.models.stylegan2_nvidia import arguments_of
from toolbox.weights.errors import WeightsError

SIZES = dict(c_dim=3, img_resolution=16, img_channels=3)


def test_a_published_generator() -> None:
    """As ADA's training writes it: nested, clamped at 256, four resolutions in float16."""
    kwargs = dict(
        z_dim=8,
        w_dim=12,
        **SIZES,
        mapping_kwargs=dict(num_layers=2, embed_features=6, w_avg_beta=0.99),
        synthesis_kwargs=dict(channel_base=128, channel_max=16, num_fp16_res=4, conv_clamp=256),
    )
    assert arguments_of("Generator", kwargs) == dict(
        latent_dim=8,
        style_dim=12,
        n_conditions=3,
        image_size=16,
        image_channels=3,
        mapping_layers=2,
        embed_features=6,
        average_beta=0.99,
        channel_base=128,
        channel_max=16,
        conv_clamp=256,
    )
    network = StyleGAN2Generator(**arguments_of("Generator", kwargs))
    assert network.synthesis.get_submodule("b16.conv1").clamp == 256 and network.mapping.average_beta == 0.99


def test_stylegan3_writes_it_flat() -> None:
    flat = dict(
        z_dim=8,
        w_dim=12,
        **SIZES,
        channel_base=128,
        channel_max=16,
        num_fp16_res=0,
        conv_clamp=None,
        fused_modconv_default="inference_only",
        architecture="resnet",
        activation="relu",
        use_noise=False,
        resample_filter=(1, 1),
    )
    found = arguments_of("Generator", flat)
    assert (found["architecture"], found["act"], found["use_noise"], found["resample_filter"]) == (
        "resnet",
        "relu",
        False,
        [1, 1],
    )
    assert found["conv_clamp"] is None


def test_what_a_file_does_not_say_is_as_their_classes_have_it() -> None:
    sizes = dict(img_resolution=64, img_channels=3)
    assert arguments_of("Generator", dict(z_dim=8, w_dim=12, c_dim=0, **sizes))["conv_clamp"] is None
    judge = arguments_of("Discriminator", dict(c_dim=0, **sizes))
    assert (judge["channel_base"], judge["mapping_layers"], judge["minibatch_std_group"]) == (32768, 8, 4)


def test_a_published_discriminator() -> None:
    kwargs = dict(
        **SIZES,
        channel_base=128,
        channel_max=16,
        architecture="orig",
        conv_clamp=256,
        num_fp16_res=4,
        cmap_dim=7,
        mapping_kwargs=dict(num_layers=0, lr_multiplier=0.1),
        block_kwargs=dict(freeze_layers=2),
        epilogue_kwargs=dict(mbstd_group_size=None, mbstd_num_channels=2),
    )
    found = arguments_of("Discriminator", kwargs)
    assert found == dict(
        n_conditions=3,
        image_size=16,
        image_channels=3,
        channel_base=128,
        channel_max=16,
        architecture="orig",
        conv_clamp=256,
        condition_dim=7,
        mapping_layers=0,
        lr_multiplier=0.1,
        minibatch_std_group=0,
        minibatch_std_channels=2,
    )
    assert StyleGAN2Discriminator(**found).b4.group is None


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("SynthesisNetwork3", {}, r"class 'SynthesisNetwork3' is no StyleGAN2 Generator or Discriminator"),
        ("Generator", dict(z_dm=3), r"'z_dm'=3 of the file is not known - did you mean 'z_dim'"),
        (
            "Generator",
            dict(synthesis_kwargs=dict(clamp=3)),
            r"'synthesis_kwargs\.clamp'=3 of the file is not known",
        ),
        (
            "Generator",
            dict(mapping_kwargs=dict(activation="relu")),
            r"'mapping_kwargs\.activation'='relu': our mapping network has",
        ),
    ],
)
def test_errors(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        arguments_of(name, kwargs)
