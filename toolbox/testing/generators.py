"""The conformance check of generators."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from toolbox.interfaces import Condition, Generator, Sample
from toolbox.testing.common import (
    check_global_rng_untouched,
    check_gradients,
    check_state_round_trip,
    close,
    evaluating,
    made_of,
    require,
    rng,
)
from toolbox.testing.texts import beyond_the_end, other_texts

N = 4
_LARGE = 16.0  # times the weights that a generator starts with


def check_generator(
    generator: Generator | Callable[[], Generator], condition: Condition | None = None
) -> None:
    """Check the contract of :class:`toolbox.interfaces.Generator`.

    - ``latent_dim`` and ``image_size`` are whole numbers, ``sample_latents`` is (n, latent_dim) and a
      function of its rng;
    - images are (n, 3, image_size, image_size), finite, in [-1, 1] if ``bounded``, and depend on the latents;
    - in eval mode image i depends on its own latents and condition only, and not on chance;
    - with ``n_conditions`` the images depend on the condition; with text codes in the condition they depend
      on the captions, and not on what stands beyond their last words;
    - ``generate`` gives the same images with latents and condition; ``sample`` is a function of (seed, i);
    - large weights do not change the range: ``forward`` keeps to [-1, 1] if ``bounded``; in eval mode
      ``generate`` and ``sample`` always do;
    - ``features`` gives what ``feature_layers`` lists, (n, C, h, w), as wide as ``feature_channels`` say,
      takes ``truncation`` and ``rng``, is a function of them, and refuses other names;
      ``images_and_features`` gives the same, and the images of ``truncated``;
    - ``style_latent`` is (n, style_dim), a function of latents and condition, each row of its own;
    - gradients reach the latents and every trainable parameter;
    - the state dict holds everything, also what moves in a forward pass of training.

    Args:
        generator: a small one, which is left as it was; or what makes one (a class), so that the state dict
            is loaded into one that is really fresh.
        condition: of 4 images; default: labels, where the generator has ``n_conditions``. For one of
            captions: :func:`toolbox.testing.random_texts`.

    Raises:
        AssertionError: naming what is broken.
    """
    one, make = made_of(generator)
    _check(one, make, condition)


def _check(generator: Generator, make: Callable[[], Generator] | None, condition: Condition | None) -> None:
    name = type(generator).__name__
    require(isinstance(generator, Generator), f"{name} does not inherit toolbox.interfaces.Generator")
    if condition is None and generator.n_conditions:
        condition = Condition(labels=torch.arange(N) % generator.n_conditions)
    with evaluating(generator):
        _check_latents(generator, name)
        latents = generator.sample_latents(N, rng())
        with torch.no_grad():
            _check_images(generator, latents, condition, name)
            _check_condition(generator, latents, condition, name)
            _check_generate(generator, latents, condition, name)
            _check_sample(generator, condition, name)
            _check_range(generator, latents, condition, name)
            _check_features(generator, latents, condition, name)
            _check_style(generator, latents, condition, name)
            check_state_round_trip(
                generator,
                lambda network: network.eval()(latents, condition),
                name,
                lambda network: network.generate(network.sample_latents(N, rng(7)), condition, rng(8)),
                make,
            )
        moving = latents.clone().requires_grad_(True)
        images = generator(moving, condition)
        loss = (images * torch.randn(images.shape, generator=rng(9))).sum()
        loss = loss + _of_extras(generator, moving, condition)
        check_gradients(generator, loss, name, moving, "latents")


def _of_extras(generator: Generator, latents: Tensor, condition: Condition | None) -> Tensor:
    """A loss of the further outputs: a stage's image comes out of parameters of its own."""
    extras = generator.generate(latents, condition, rng()).extras.values()
    found = [value for value in extras if isinstance(value, Tensor) and value.requires_grad]
    return torch.stack([value.square().sum() for value in found]).sum() if found else torch.zeros(())


def _check_latents(generator: Generator, name: str) -> None:
    for attribute in ("latent_dim", "image_size", "n_conditions"):
        value = getattr(generator, attribute, None)
        require(isinstance(value, int), f"{name}.{attribute} must be a whole number, got {value!r}")
    latents = generator.sample_latents(N, rng())
    require(
        tuple(latents.shape) == (N, generator.latent_dim),
        f"{name}.sample_latents({N}) is {tuple(latents.shape)}, "
        f"expected ({N}, latent_dim={generator.latent_dim})",
    )
    require(
        torch.equal(latents, generator.sample_latents(N, rng())),
        f"{name}.sample_latents is not a function of its rng",
    )
    require(
        not torch.equal(latents, generator.sample_latents(N, rng(1))),
        f"{name}.sample_latents ignores its rng",
    )
    check_global_rng_untouched(lambda: generator.sample_latents(N, rng()), f"{name}.sample_latents")


def _check_images(generator: Generator, latents: Tensor, condition: Condition | None, name: str) -> None:
    images = generator(latents, condition)
    expected = (N, 3, generator.image_size, generator.image_size)
    require(tuple(images.shape) == expected, f"{name}: images are {tuple(images.shape)}, expected {expected}")
    require(
        images.is_floating_point() and bool(images.isfinite().all()), f"{name}: images are not finite floats"
    )
    if generator.bounded:
        _check_bounds(images, name)
    require(
        close(images, generator(latents, condition)), f"{name}: two calls in eval mode give different images"
    )
    alone = []
    for i in range(N):
        own = None if condition is None else condition[i : i + 1]
        alone.append(generator(latents[i : i + 1], own))
    require(
        close(torch.cat(alone), images), f"{name}: in eval mode an image depends on the others of its batch"
    )
    require(
        not close(images, generator(generator.sample_latents(N, rng(1)), condition)),
        f"{name}: images do not depend on the latents",
    )


def _check_condition(generator: Generator, latents: Tensor, condition: Condition | None, name: str) -> None:
    if condition is not None and condition.codes is not None:
        images = generator(latents, condition)
        require(
            not torch.equal(images, generator(latents, other_texts(condition))),
            f"{name}: images do not depend on condition.codes",
        )
        require(
            close(images, generator(latents, beyond_the_end(condition))),
            f"{name}: images depend on word codes beyond a caption's length: see TextCodes.mask",
        )
    if generator.n_conditions < 2 or condition is None or condition.labels is None:
        return
    other = condition.replace(labels=(condition.labels + 1) % generator.n_conditions)
    require(
        not torch.equal(generator(latents, condition), generator(latents, other)),
        f"{name}: images do not depend on condition.labels",
    )


def _check_generate(generator: Generator, latents: Tensor, condition: Condition | None, name: str) -> None:
    sample = generator.generate(latents, condition, rng())
    require(isinstance(sample, Sample), f"{name}.generate must give a Sample, got {type(sample).__name__}")
    require(
        sample.latents is not None and len(sample) == N,
        f"{name}.generate: the Sample lacks latents, or has not {N} images",
    )
    require(
        sample.images.shape == generator(latents, condition).shape,
        f"{name}.generate and forward differ in shape",
    )
    again = generator.generate(latents, condition, rng())
    require(
        close(sample.images, again.images), f"{name}.generate is not a function of latents, condition and rng"
    )
    asked, kept = None if condition is None else condition.labels, sample.condition.labels
    require(
        asked is None or (kept is not None and torch.equal(kept, asked)),
        f"{name}.generate: the Sample does not carry the condition it was asked for",
    )
    require(
        condition is None or condition.codes is None or sample.condition.codes is not None,
        f"{name}.generate: the Sample does not carry the text codes it was asked for",
    )


def _check_sample(generator: Generator, condition: Condition | None, name: str) -> None:
    two = generator.sample(2, seed=1, condition=None if condition is None else condition[:2])
    three = generator.sample(3, seed=1, condition=None if condition is None else condition[:3])
    require(
        close(two, three[:2]),
        f"{name}.sample: image i must depend on (seed, i) only, not on how many are drawn",
    )


def _check_range(generator: Generator, latents: Tensor, condition: Condition | None, name: str) -> None:
    """Fresh weights give images near grey; trained ones may not."""
    large = copy.deepcopy(generator)
    for parameter in large.parameters():
        parameter.mul_(_LARGE)
    if generator.bounded:
        advice = "end with a tanh, or say bounded = False"
        _check_bounds(large(latents, condition), f"{name} with large weights ({advice})")
    advice = "in eval mode it must clip those of a generator that is not bounded: see Generator.clipped"
    _check_bounds(large.generate(latents, condition, rng()).images, f"{name}.generate ({advice})")
    own = None if condition is None else condition[:2]
    _check_bounds(large.sample(2, condition=own), f"{name}.sample")


def _check_bounds(images: Tensor, what: str) -> None:
    low, high = float(images.min()), float(images.max())
    inside = low >= -1 - 1e-5 and high <= 1 + 1e-5
    require(inside, f"{what}: images run from {low:.3g} to {high:.3g}, expected [-1, 1]")


def _check_features(generator: Generator, latents: Tensor, condition: Condition | None, name: str) -> None:
    layers = list(generator.feature_layers)
    try:
        found = generator.features(latents, condition, layers[:2])
    except NotImplementedError:
        require(not layers, f"{name} lists feature_layers {layers} but has no features()")
        return
    require(set(found) == set(layers[:2]), f"{name}.features({layers[:2]}) gives {sorted(found)}")
    widths = dict(zip(layers, generator.feature_channels or [None] * len(layers), strict=False))
    require(
        len(generator.feature_channels) in (0, len(layers)),
        f"{name} lists {len(layers)} feature_layers and {len(generator.feature_channels)} feature_channels",
    )
    for layer, value in found.items():
        expected = f"({N}, {widths[layer] or 'C'}, h, w)"
        require(
            value.ndim == 4 and len(value) == N and widths[layer] in (None, value.shape[1]),
            f"{name}.features[{layer!r}] is {tuple(value.shape)}, expected {expected}",
        )
    _check_feature_draws(generator, latents, condition, layers[-1:], name)
    try:
        generator.features(latents, condition, ["no such layer"])
    except Exception as error:
        require(
            "no such layer" in str(error),
            f"{name}.features: the error for an unknown layer does not name it: {error}",
        )
        return
    raise AssertionError(f"{name}.features accepts a layer that is not in feature_layers")


def _check_style(generator: Generator, latents: Tensor, condition: Condition | None, name: str) -> None:
    style = generator.style_latent(latents, condition)
    require(
        tuple(style.shape) == (N, generator.style_dim),
        f"{name}.style_latent is {tuple(style.shape)}, expected ({N}, style_dim={generator.style_dim})",
    )
    own = None if condition is None else condition[:1]
    require(
        close(generator.style_latent(latents[:1], own), style[:1]),
        f"{name}.style_latent of an image depends on the others, or on chance",
    )


def _check_feature_draws(
    generator: Generator, latents: Tensor, condition: Condition | None, layers: list[str], name: str
) -> None:
    """Truncation 1 and no rng change nothing; with an rng, activations are a function of it."""

    def found(truncation: float, chance: torch.Generator | None) -> Tensor:
        return generator.features(latents, condition, layers, truncation=truncation, rng=chance)[layers[0]]

    try:
        plain, drawn = found(1.0, None), found(0.5, rng())
    except TypeError as error:
        raise AssertionError(f"{name}.features must take truncation and rng: {error}") from error
    require(
        close(plain, generator.features(latents, condition, layers)[layers[0]]),
        f"{name}.features: truncation=1.0 and rng=None must be the defaults",
    )
    require(close(drawn, found(0.5, rng())), f"{name}.features is not a function of its rng")
    check_global_rng_untouched(lambda: found(0.5, rng()), f"{name}.features")
    images, both = generator.images_and_features(latents, condition, layers, truncation=0.5)
    require(
        close(images, generator.truncated(latents, condition, 0.5))
        and close(both[layers[0]], found(0.5, None)),
        f"{name}.images_and_features gives other images than truncated, or other maps than features",
    )
