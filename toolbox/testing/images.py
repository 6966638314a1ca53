"""The conformance checks of augmentations and feature extractors."""

from __future__ import annotations

import copy
from functools import cached_property, partial

import torch

from toolbox.interfaces import Augment, FeatureExtractor, RowGenerator, Rows
from toolbox.testing.common import (
    check_global_rng_untouched,
    check_state_round_trip,
    close,
    evaluating,
    random_sample,
    require,
    rng,
)

N = 4


def check_augment(augment: Augment, image_size: int = 32, identity: bool = False) -> None:
    """Check the contract of :class:`toolbox.interfaces.Augment`.

    - the shape stays, values are finite, the images are not changed in place;
    - the result is a function of the rng, and of nothing else;
    - it draws through ``draw_rows``: an image is seen alike in a whole batch and in a part of it, also where
      a game draws beforehand (``draw``);
    - gradients reach the images;
    - the state dict holds everything, also what moves in iterations of training.

    Args:
        augment: the augmentation.
        image_size: of the test images.
        identity: it is meant to change nothing.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(augment).__name__
    require(isinstance(augment, Augment), f"{name} does not inherit toolbox.interfaces.Augment")
    images = random_sample(N, image_size).images
    untouched = images.clone()
    seen = augment(images, rng())
    require(torch.equal(images, untouched), f"{name} changes its images in place")
    require(
        seen.shape == images.shape,
        f"{name}: images {tuple(images.shape)} become {tuple(seen.shape)}; the shape must stay",
    )
    require(bool(seen.isfinite().all()), f"{name}: its images are not finite")
    require(torch.equal(seen, augment(images, rng())), f"{name} is not a function of its rng")
    check_global_rng_untouched(lambda: augment(images, rng()), name)
    others = [augment(images, rng(seed)) for seed in range(1, 5)]
    require(
        identity or any(not torch.equal(seen, other) for other in others),
        f"{name} ignores its rng (identity=True if it is meant to)",
    )
    part, whole = Rows(1, 3, N), Rows.all(N)
    for see in (augment, partial(_seen_in_a_game, augment)):
        require(
            close(see(images[1:3], RowGenerator.of(0, part)), see(images, RowGenerator.of(0, whole))[1:3]),
            f"{name}: part of a batch is seen otherwise than in the whole; make every draw through "
            "toolbox.interfaces.draw_rows",
        )
    _check_augment_state(augment, images, name)
    moving = images.clone().requires_grad_(True)
    result = augment(moving, rng())
    require(result.requires_grad, f"{name} is not differentiable: no gradient reaches the images")
    result.square().sum().backward()
    require(
        moving.grad is not None and bool(moving.grad.abs().sum() > 0),
        f"{name}: no gradient reaches the images",
    )


def _seen_in_a_game(augment: Augment, images: torch.Tensor, rng: RowGenerator) -> torch.Tensor:
    """As :meth:`Augment.draw` and ``forward`` do it together."""
    n, *shape = images.shape
    drawn = augment.draw(n, shape, RowGenerator.of(1, rng.rows))
    seen: torch.Tensor = augment(images, rng, *([] if drawn is None else [drawn]))
    return seen


def _check_augment_state(augment: Augment, images: torch.Tensor, name: str) -> None:
    def move(moved: Augment) -> None:
        for iteration in range(8):
            moved(images, rng(iteration))
            moved.observe(torch.ones(N))
            moved.after_iteration(iteration, 10_000)

    check_state_round_trip(augment, lambda one: one.eval()(images, rng(3)), name, move)


def check_extractor(extractor: FeatureExtractor, image_size: int = 32) -> None:
    """Check the contract of :class:`toolbox.interfaces.FeatureExtractor`.

    - ``name`` is a short word, ``n_features`` the length of a vector;
    - features are (n, n_features) float32, finite, and image i's depend on image i only, whatever mode it was
      put in;
    - nothing in it is trainable;
    - ``fingerprint`` is a digest, the same for a copy, and another one when a weight differs.

    Args:
        extractor: it is left as it was.
        image_size: of the test images.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(extractor).__name__
    require(
        isinstance(extractor, FeatureExtractor),
        f"{name} does not inherit toolbox.interfaces.FeatureExtractor",
    )
    word = getattr(extractor, "name", None)
    fine = isinstance(word, str) and word and not set(word) & {"[", "]", ",", " "}
    require(
        fine,
        f"{name}.name={word!r} must be a word without brackets, commas and blanks: it becomes a part of "
        "metrics' names",
    )
    require(
        not any(p.requires_grad for p in extractor.parameters()),
        f"{name} has trainable parameters; it must be frozen",
    )
    images = random_sample(N, image_size).images
    with evaluating(extractor), torch.no_grad():
        features = extractor(images)
        expected = (N, extractor.n_features)
        require(
            tuple(features.shape) == expected,
            f"{name}: features are {tuple(features.shape)}, expected {expected} (n_features)",
        )
        require(features.dtype == torch.float32, f"{name}: features are {features.dtype}, expected float32")
        require(bool(features.isfinite().all()), f"{name}: features are not finite")
        alone = torch.cat([extractor(images[i : i + 1]) for i in range(N)])
        require(close(alone, features), f"{name}: the features of an image depend on the others of its batch")
        extractor.train()
        require(
            close(extractor(images), features),
            f"{name}: train mode changes its features; it must stay in eval mode",
        )
    _check_fingerprint(extractor, name)


def _check_fingerprint(extractor: FeatureExtractor, name: str) -> None:
    digest = extractor.fingerprint()
    require(
        isinstance(digest, str) and len(digest) >= 16 and not set(digest) - set("0123456789abcdef"),
        f"{name}.fingerprint() is {digest!r}, expected a hex digest",
    )
    other = copy.deepcopy(extractor)
    require(other.fingerprint() == digest, f"{name}: a copy has another fingerprint")
    weights = [value for value in other.state_dict().values() if value.is_floating_point() and value.numel()]
    if weights:
        for value in weights:
            value.add_(1)
        _forget_cached(other)
        require(other.fingerprint() != digest, f"{name}: another weight does not change the fingerprint")


def _forget_cached(extractor: FeatureExtractor) -> None:
    """A fingerprint may be cached, since weights do not move; here they just did."""
    for module in extractor.modules():
        for key in list(vars(module)):
            if isinstance(getattr(type(module), key, None), cached_property):
                del module.__dict__[key]
