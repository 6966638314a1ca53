"""The contract of an image generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from toolbox.interfaces.sample import Condition, Sample


class Generator(nn.Module, ABC):
    """Latents (and a condition) to images.

    A subclass sets the attributes below in its constructor and writes :meth:`forward`; all else has a
    default.

    Attributes:
        latent_dim: numbers in one latent vector.
        image_size: height = width of the images, in pixels.
        n_conditions: rows of the table that ``condition.weights`` or ``.labels`` choose from; 0 =
            unconditional.
        feature_layers: names that :meth:`features` accepts, coarse to fine; empty = none. The last map of
            each resolution is called by it: '8x8'.
        feature_channels: their widths; empty = found out by whoever needs them, at the cost of an image.
        bounded: :meth:`forward` keeps to [-1, 1], whatever the weights. False for networks without a last
            tanh (PGGAN, StyleGAN), some of whose values lie outside; then :meth:`generate` clips them in eval
            mode, for whoever shows or measures images, and so does :meth:`sample`.
        truncates: :meth:`truncated` makes a difference. False for networks that scale every latent to one
            length first.
    """

    latent_dim: int
    image_size: int
    n_conditions: int = 0
    feature_layers: tuple[str, ...] = ()
    feature_channels: tuple[int, ...] = ()
    bounded: bool = True
    truncates: bool = True

    @abstractmethod
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, H, W), RGB in [-1, 1], from latents (N, latent_dim)."""

    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """(n, latent_dim) draws of the prior, here N(0, I), on the CPU: a function of ``rng`` alone."""
        return torch.randn(n, self.latent_dim, generator=rng)

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        """Images with all that was known or made on the way; ``rng`` feeds whatever noise is added.

        In eval mode those of a generator that is not ``bounded`` are clipped to [-1, 1].
        """
        condition = Condition() if condition is None else condition
        images = self.clipped(self(latents, condition))
        return Sample(images=images, condition=condition, latents=latents)

    def remake(self, sample: Sample, rng: torch.Generator | None = None) -> Sample:
        """What this generator makes of what another made ``sample`` of: latents, condition and styles.

        Not clipped, in eval mode either: a frozen source and its copy that learns are compared as they are.
        Where both have the same weights, the images are equal, if noise is none or ``rng`` the one that
        :meth:`generate` was given, in its state of then.

        Raises:
            ValueError: for a sample without latents.
        """
        if sample.latents is None:
            raise ValueError("remake: the sample has no latents; real images cannot be made again")
        if self.bounded:
            return self.generate(sample.latents, sample.condition, rng)
        images = self(sample.latents, sample.condition)
        return Sample(images=images, condition=sample.condition, latents=sample.latents)

    def clipped(self, images: Tensor) -> Tensor:
        """Images as :meth:`generate` gives them: in [-1, 1] in eval mode, in training as they are."""
        return images if self.bounded or self.training else images.clamp(-1, 1)

    @property
    def style_dim(self) -> int:
        """Numbers in one vector of :meth:`style_latent`; those of a latent, unless set."""
        return self.__dict__.get("style_dim", self.latent_dim)

    @style_dim.setter
    def style_dim(self, value: int) -> None:
        self.__dict__["style_dim"] = value

    def style_latent(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """What says what an image shows, (N, style_dim): w of style-based generators, here the latents."""
        return latents

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Activations {layer: (N, C, h, w)} of some ``feature_layers``, on the way to :meth:`truncated`.

        Args:
            latents: (N, latent_dim).
            condition: of the N images; None = none.
            layers: which.
            truncation: in (0, 1], as :meth:`truncated` means it.
            rng: draws whatever noise the network can add afresh; None = the noise that is part of its
                weights, or none.

        Raises:
            ValueError: for a name that is not among ``feature_layers``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no feature layers (feature_layers is empty)")

    def truncated(
        self,
        latents: Tensor,
        condition: Condition | None,
        truncation: float,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images of less variety, ``truncation`` in (0, 1]: of latents times ``truncation``.

        Style-based generators act on w instead.

        ``rng`` draws whatever noise the network can add afresh; None = the noise that is part of its weights,
        or none.
        """
        return self(latents * truncation, condition)

    def images_and_features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What :meth:`truncated` and :meth:`features` give for the same noise; arguments as there.

        Here in two passes; a network that can, does it in one.
        """
        fresh = {} if rng is None else {"rng": rng}
        state = None if rng is None else rng.get_state()
        images = self.truncated(latents, condition, truncation, **fresh)
        if rng is not None and state is not None:
            rng.set_state(state)
        return images, self.features(latents, condition, layers, truncation=truncation, **fresh)

    @torch.no_grad()
    def sample(
        self, n: int, seed: int = 0, condition: Condition | None = None, truncation: float = 1.0
    ) -> Tensor:
        """(n, 3, H, W) images; image i depends on (seed, i) only, so any batch size draws the same set.

        ``truncation`` in (0, 1]: see :meth:`truncated`. A generator with ``n_conditions`` and no
        ``condition`` given draws labels uniformly.
        """
        device = next(self.parameters()).device
        rngs = [torch.Generator().manual_seed(seed * 1_000_003 + i) for i in range(n)]
        latents = torch.cat([self.sample_latents(1, rng) for rng in rngs])
        if condition is None and self.n_conditions:
            labels = torch.cat([torch.randint(self.n_conditions, (1,), generator=rng) for rng in rngs])
            condition = Condition(labels=labels)
        condition = None if condition is None else condition.to(device)
        return self.truncated(latents.to(device), condition, truncation).clamp(-1, 1)
