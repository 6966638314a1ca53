"""StyleGAN2 and PGGAN games in two processes end as in one: noise, style mixing, mean w, path length,
penalties, ADA's draws.
"""

from __future__ import annotations

from typing import Any

from toolbox import testing
from toolbox.registry import build

CLASSES = [
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]
SIZES = dict(image_size=8, channel_base=64, channel_max=8, n_conditions=10)


def style_game() -> Any:
    """Everything that StyleGAN2 and ADA draw or keep; minibatch statistics are left out: groups are a
    process's own.
    """
    return build(
        dict(
            type="Game",
            networks=dict(
                generator=dict(
                    type="StyleGAN2Generator",
                    latent_dim=6,
                    style_dim=6,
                    mapping_layers=2,
                    style_mixing_prob=0.9,
                    **SIZES,
                ),
                discriminator=dict(
                    type="StyleGAN2Discriminator", minibatch_std_channels=0, mapping_layers=2, **SIZES
                ),
            ),
            players=dict(generator=["generator"], discriminator=["discriminator"]),
            phases=[
                dict(player="generator", objectives=["real_or_fake"]),
                dict(player="generator", objectives=["path_length"], every=2),
                dict(player="discriminator", objectives=["real_or_fake"]),
                dict(player="discriminator", objectives=["r1"], every=2),
            ],
            conditioner=dict(type="ClassConditions", class_names=CLASSES),
            objectives=dict(
                real_or_fake=dict(type="NonSaturatingAdversarial"),
                r1=dict(type="R1", gamma=0.1),
                path_length=dict(type="PathLength", weight=0.1),
            ),
            augment=dict(type="AdaptiveAugment", pipeline="bgc", p=0.5, speed_kimg=0.05, every=1),
            average=dict(generator=dict(half_life_kimg=0.01, average_buffers=False)),
        )
    )


def test_two_processes_equal_one() -> None:
    testing.check_ranks(style_game, iterations=3, batch_size=8)


def progressive_game() -> Any:
    """PGGAN's loss terms with classes, in the middle of a fade."""
    sizes = dict(**SIZES, lod=0.25)
    return build(
        dict(
            type="Game",
            networks=dict(
                generator=dict(type="PGGANGenerator", latent_dim=6, **sizes),
                discriminator=dict(type="PGGANDiscriminator", minibatch_std_group=1, **sizes),
            ),
            players=dict(generator=["generator"], discriminator=["discriminator"]),
            phases=[dict(player="discriminator"), dict(player="generator")],
            conditioner=dict(type="ClassConditions", class_names=CLASSES),
            objectives=dict(
                real_or_fake=dict(type="WassersteinAdversarial"),
                penalty=dict(type="GradientPenalty"),
                drift=dict(type="Drift", weight=0.001),
                classes=dict(type="AuxiliaryClassifier"),
            ),
        )
    )


def test_two_processes_of_pggan_equal_one() -> None:
    testing.check_ranks(progressive_game, iterations=3, batch_size=8)
