"""The conformance check of generators that find the latents of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox.interfaces import Generator, Invertible
from toolbox.testing.common import check_global_rng_untouched, close, evaluating, require


def check_invertible(
    generator: Generator, images: Tensor, bound: float, steps: int | None = None, batched: bool = True
) -> None:
    """Check the contract of :class:`toolbox.interfaces.Invertible`.

    - latents are (N, latent_dim), finite, and carry no gradients;
    - they are a function of the images, and of nothing random; weights are left as they were;
    - with ``batched``, latents i depend on image i only;
    - :meth:`forward` makes the images of them again;
    - images of another size are refused.

    Args:
        generator: it, left as it was.
        images: (N, 3, H, W) that it can make, N of two or more.
        bound: the largest root mean square error that is allowed, per number in [-1, 1].
        steps: of the inversion; None = the generator's own.
        batched: False for an inverse by optimisation, whose rows round differently in other company.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(generator).__name__
    require(
        isinstance(generator, Invertible),
        f"{name} lacks invert(images, steps=None), inversion_steps or inverts_by",
    )
    assert isinstance(generator, Invertible)
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    with evaluating(generator):
        latents = generator.invert(images, steps)
        shape = (len(images), generator.latent_dim)
        require(tuple(latents.shape) == shape, f"{name}.invert gives {tuple(latents.shape)}, not {shape}")
        require(bool(latents.isfinite().all()), f"{name}.invert gives latents that are not finite")
        require(not latents.requires_grad, f"{name}.invert gives latents with gradients")
        check_global_rng_untouched(lambda: generator.invert(images[:1], steps), f"{name}.invert")
        require(torch.equal(latents, generator.invert(images, steps)), f"{name}.invert is not a function")
        if batched:
            alone = generator.invert(images[:1], steps)
            require(close(alone, latents[:1]), f"{name}.invert: latents 0 depend on other images")
        with torch.no_grad():
            error = (generator(latents) - images).square().mean().sqrt().item()
        require(error <= bound, f"{name}: images come back with an error of {error:.4f}, allowed is {bound}")
        require(_refuses(generator, images[:, :, :-1]), f"{name}.invert takes images of another size")
    after = generator.state_dict()
    changed = [key for key, value in before.items() if not torch.equal(value, after[key])]
    require(not changed, f"{name}.invert changes {', '.join(changed[:3])}")


def _refuses(generator: Invertible, images: Tensor) -> bool:
    try:
        generator.invert(images)
    except ValueError:
        return True
    return False
