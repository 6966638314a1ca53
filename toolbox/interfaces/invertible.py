"""The trait of generators that find the latents of an image."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Invertible(Protocol):
    """A generator with an inverse: ``generator(generator.invert(images))`` are nearly the images.

    Attributes:
        inversion_steps: of :meth:`invert`, unless said there.
        inverts_by: method and settings, in a few words: all that latents depend on beside image, weights and
            steps.
    """

    inversion_steps: int
    inverts_by: str

    def invert(self, images: Tensor, steps: int | None = None) -> Tensor:
        """Latents (N, latent_dim) of images (N, 3, H, W), RGB in [-1, 1]; without gradients.

        Latents i are a function of image i, the weights and ``steps``, and of nothing random.

        Args:
            images: of the generator's ``image_size``.
            steps: how much work is done; None = ``inversion_steps``.

        Raises:
            ValueError: for images of another size.
        """
        ...
