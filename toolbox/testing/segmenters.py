"""The conformance check of segmenters."""

from __future__ import annotations

import torch

from toolbox.interfaces import Segmenter
from toolbox.testing.common import (
    check_gradients,
    check_state_round_trip,
    close,
    evaluating,
    random_sample,
    require,
)

N = 3


def check_segmenter(segmenter: Segmenter, image_size: int = 32) -> None:
    """Check the contract of :class:`toolbox.interfaces.Segmenter`.

    - ``part_names`` are two or more different words;
    - the forward pass gives finite logits (n, parts, H, W), those of an image a function of that image alone;
    - ``labels`` are whole numbers below the number of parts, of the images' size or of the one asked for;
    - every trainable parameter feels a loss; the state dict holds everything.

    Args:
        segmenter: it is left as it was.
        image_size: of the test images.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(segmenter).__name__
    require(isinstance(segmenter, Segmenter), f"{name} does not inherit toolbox.interfaces.Segmenter")
    parts = list(getattr(segmenter, "part_names", []))
    named = all(isinstance(part, str) and part for part in parts)
    require(
        named and len(set(parts)) == len(parts) >= 2,
        f"{name}.part_names={parts} must be two or more different names",
    )
    images = random_sample(N, image_size).images
    with evaluating(segmenter):
        logits = segmenter(images)
        expected = (N, len(parts), image_size, image_size)
        require(
            tuple(logits.shape) == expected,
            f"{name}: logits are {tuple(logits.shape)}, expected {expected}: (N, parts, H, W)",
        )
        require(bool(logits.isfinite().all()), f"{name}: its logits are not finite")
        alone = torch.cat([segmenter(images[i : i + 1]) for i in range(N)])
        require(close(alone, logits), f"{name}: the logits of an image depend on the others of its batch")
        for size in (None, image_size // 2, 2 * image_size):
            _check_labels(segmenter, images, size, name)
        with torch.no_grad():
            others = random_sample(N, image_size, seed=7).images
            check_state_round_trip(
                segmenter,
                lambda network: network.eval()(images),
                name,
                lambda network: network(others),
            )
        if any(parameter.requires_grad for parameter in segmenter.parameters()):
            check_gradients(segmenter, logits.square().mean(), name)


def _check_labels(segmenter: Segmenter, images: torch.Tensor, size: int | None, name: str) -> None:
    labels = segmenter.labels(images, size)
    wanted = tuple(images.shape[2:]) if size is None else (size, size)
    require(
        labels.dtype == torch.int64 and tuple(labels.shape) == (N, *wanted),
        f"{name}: labels(images, size={size}) are {labels.dtype} {tuple(labels.shape)}, expected int64 "
        f"{(N, *wanted)}",
    )
    require(
        labels.min() >= 0 and labels.max() < len(segmenter.part_names),
        f"{name}: labels run from {int(labels.min())} to {int(labels.max())}, there are "
        f"{len(segmenter.part_names)} parts",
    )
