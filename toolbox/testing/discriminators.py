"""The conformance check of discriminators."""

from __future__ import annotations

from collections.abc import Callable

import torch

from toolbox.interfaces import Condition, Discriminator
from toolbox.testing.common import (
    check_gradients,
    check_state_round_trip,
    close,
    evaluating,
    made_of,
    random_sample,
    require,
)
from toolbox.testing.texts import beyond_the_end, other_texts

N = 4


def check_discriminator(
    discriminator: Discriminator | Callable[[], Discriminator],
    image_size: int = 32,
    condition: Condition | None = None,
) -> None:
    """Check the contract of :class:`toolbox.interfaces.Discriminator`.

    - ``encode`` keeps the first axis, ``judge`` gives finite logits (n,), calling it does both;
    - features can be judged twice, under other conditions, with the same answer;
    - with text codes in the condition, logits depend on the captions, and not on what stands beyond their
      last words;
    - in eval mode logit i depends on its own image and condition only, and not on chance; images are not
      changed in place;
    - gradients reach the images and every trainable parameter;
    - the state dict holds everything, also what moves in a forward pass of training.

    Args:
        discriminator: a small one, which is left as it was; or what makes one (a class), so that the state
            dict is loaded into one that is really fresh.
        image_size: of the images it takes.
        condition: of 4 images; default: labels, where it has an ``n_conditions``. For one of captions:
            :func:`toolbox.testing.random_texts`.

    Raises:
        AssertionError: naming what is broken.
    """
    one, make = made_of(discriminator)
    _check(one, make, image_size, condition)


def _check(
    discriminator: Discriminator,
    make: Callable[[], Discriminator] | None,
    image_size: int,
    condition: Condition | None,
) -> None:
    name = type(discriminator).__name__
    require(
        isinstance(discriminator, Discriminator), f"{name} does not inherit toolbox.interfaces.Discriminator"
    )
    n_conditions = getattr(discriminator, "n_conditions", 0)
    if condition is None and n_conditions:
        condition = Condition(labels=torch.arange(N) % n_conditions)
    images = random_sample(N, image_size).images
    with evaluating(discriminator):
        with torch.no_grad():
            _check_logits(discriminator, images, condition, name)
            others = random_sample(N, image_size, seed=7).images
            check_state_round_trip(
                discriminator,
                lambda network: network.eval()(images, condition),
                name,
                lambda network: network(others, condition),
                make,
            )
        moving = images.clone().requires_grad_(True)
        loss = discriminator(moving, condition).sum()
        if condition is not None and condition.codes is not None:
            loss = loss + _without_text(discriminator, moving)
        check_gradients(discriminator, loss, name, moving, "images")


def _without_text(discriminator: Discriminator, images: torch.Tensor) -> torch.Tensor:
    """Sum of unconditional logits, which some networks of captions also give, by layers of their own."""
    try:
        return discriminator(images, Condition()).sum()
    except ValueError:
        return torch.zeros(())


def _check_logits(
    discriminator: Discriminator, images: torch.Tensor, condition: Condition | None, name: str
) -> None:
    untouched = images.clone()
    features = discriminator.encode(images)
    require(torch.equal(images, untouched), f"{name}.encode changes its images in place")
    require(
        len(features) == N,
        f"{name}.encode: the first axis is {len(features)}, expected the number of images, {N}",
    )
    logits = discriminator.judge(features, condition)
    require(tuple(logits.shape) == (N,), f"{name}.judge gives {tuple(logits.shape)}, expected ({N},)")
    require(bool(logits.isfinite().all()), f"{name}: logits are not finite")
    require(
        close(logits, discriminator.judge(features, condition)),
        f"{name}.judge: judging the same features twice gives other logits",
    )
    require(
        close(logits, discriminator(images, condition)), f"{name}: calling it is not judge(encode(images))"
    )
    alone = []
    for i in range(N):
        own = None if condition is None else condition[i : i + 1]
        alone.append(discriminator(images[i : i + 1], own))
    require(
        close(torch.cat(alone), logits),
        f"{name}: in eval mode a logit depends on the other images of its batch",
    )
    _check_texts(discriminator, features, condition, name)


def _check_texts(
    discriminator: Discriminator, features: torch.Tensor, condition: Condition | None, name: str
) -> None:
    if condition is None or condition.codes is None:
        return
    logits = discriminator.judge(features, condition)
    require(
        not torch.equal(logits, discriminator.judge(features, other_texts(condition))),
        f"{name}: logits do not depend on condition.codes",
    )
    require(
        close(logits, discriminator.judge(features, beyond_the_end(condition))),
        f"{name}: logits depend on word codes beyond a caption's length: see TextCodes.mask",
    )
