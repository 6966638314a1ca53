"""Settings of the published StyleGAN2 and StyleGAN2-ADA runs, as data.

Karras et al. 2020 (StyleGAN2, ADA) and the public training code of ADA. What a row does not say is the same
in all: Adam with betas (0, 0.99) and eps 1e-8, path length every 4 generator steps, R1 every 16 discriminator
steps, ADA target 0.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolbox.models.layers import near
from toolbox.ranges import check_whole


@dataclass(frozen=True)
class Preset:
    """One published run.

    Attributes:
        processes: GPUs of the run; minibatch statistics are taken over batch // processes images.
        kimg: thousands of real images shown.
        batch: images a step, of all processes.
        minibatch_std_group: images whose statistics are taken together.
        channel_base: see StyleGAN2Generator.
        lr: of both networks, before the correction for lazy regularisation (:func:`lazy`).
        r1_gamma: of the R1 penalty.
        half_life_kimg, rampup: of the averaged generator.
        mapping_layers: of the generator; the discriminator's has 8.
        path_length, style_mixing_prob: weight and probability.
        architecture: of the discriminator.
        augmented: with ADA.
    """

    processes: int
    kimg: int
    batch: int
    minibatch_std_group: int
    channel_base: int
    lr: float
    r1_gamma: float
    half_life_kimg: float
    rampup: float | None = None
    mapping_layers: int = 8
    path_length: float = 2.0
    style_mixing_prob: float = 0.9
    architecture: str = "resnet"
    augmented: bool = True


PRESETS = {
    "stylegan2": Preset(8, 25000, 32, 4, 32768, 0.002, 10, 10),  # config F with ADA, as ADA's code has it
    # StyleGAN2's own, at half the channels
    "config-e": Preset(8, 25000, 32, 4, 16384, 0.002, 100, 10, augmented=False),
    "config-f": Preset(8, 25000, 32, 4, 32768, 0.002, 10, 10, augmented=False),
    "paper256": Preset(8, 25000, 64, 8, 16384, 0.0025, 1, 20),
    "paper512": Preset(8, 25000, 64, 8, 32768, 0.0025, 0.5, 20),
    "paper1024": Preset(8, 25000, 32, 4, 32768, 0.002, 2, 10),
    "cifar": Preset(
        processes=2,
        kimg=100000,
        batch=64,
        minibatch_std_group=32,
        channel_base=32768,
        lr=0.0025,
        r1_gamma=0.01,
        half_life_kimg=500,
        rampup=0.05,
        mapping_layers=2,
        path_length=0.0,
        style_mixing_prob=0.0,
        architecture="orig",
    ),
}
NAMES = ("auto", *PRESETS)


def auto(image_size: int, processes: int = 1) -> Preset:
    """The settings that ADA's code derives from resolution and number of GPUs."""
    batch = max(min(processes * min(4096 // image_size, 32), 64), processes)
    return Preset(
        processes=processes,
        kimg=25000,
        batch=batch,
        minibatch_std_group=min(batch // processes, 4),
        channel_base=32768 if image_size >= 512 else 16384,
        lr=0.002 if image_size >= 1024 else 0.0025,
        r1_gamma=0.0002 * image_size**2 / batch,
        half_life_kimg=batch * 10 / 32,
        rampup=0.05,
        mapping_layers=2,
    )


def preset(name: str, image_size: int, processes: int = 1) -> Preset:
    """By name; 'auto' is derived from the other arguments.

    Raises:
        ValueError: for an unknown name, or no processes.
    """
    check_whole(1, processes=processes, image_size=image_size)
    if name == "auto":
        return auto(image_size, processes)
    if name not in PRESETS:
        raise ValueError(f"preset={name!r} is not known; choose from {list(NAMES)}{near(name, NAMES)}")
    return PRESETS[name]


def lazy(lr: float, every: int, betas: tuple[float, float] = (0.0, 0.99)) -> dict[str, Any]:
    """Adam's settings when a regulariser has its own step every k steps (StyleGAN2, appendix B).

        lr c,   beta_1^c,   beta_2^c,   c = k / (k + 1)

    k + 1 steps then move as far as k would have.
    """
    c = every / (every + 1)
    return dict(lr=lr * c, betas=(betas[0] ** c, betas[1] ** c))


def generator_arguments(name: str, image_size: int, **given: Any) -> dict[str, Any]:
    """channel_base, mapping_layers and style_mixing_prob: those given (not None), else the preset's."""
    names = ("channel_base", "mapping_layers", "style_mixing_prob")
    return _completed(preset(name, image_size), names, given)


def discriminator_arguments(name: str, image_size: int, **given: Any) -> dict[str, Any]:
    """channel_base, architecture and minibatch_std_group: those given (not None), else the preset's."""
    names = ("channel_base", "architecture", "minibatch_std_group")
    return _completed(preset(name, image_size), names, given)


def _completed(published: Preset, names: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(published, name) if given.get(name) is None else given[name] for name in names}
