"""Diffusion Autoencoders (Preechakul et al. 2022), in the authors' layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from toolbox.interfaces import Condition, Generator, Sample
from toolbox.models.ddim import DDIM
from toolbox.models.diffae_unet import NoisePredictor, SemanticEncoder, Widths


class DiffAE(NoisePredictor, Generator):
    """Diffusion Autoencoder: a DDIM whose noise predictor is told what the image shows.

        z_sem = E(x0)          e = U(x_t, t, z_sem)

    A latent is z_sem and x_T in one row: style_channels numbers, then 3 H W. :meth:`invert` finds both of an
    image, :meth:`forward` renders them. The prior is z_sem ~ N(conds_mean, conds_std^2), each number by
    itself, and x_T ~ N(0, I): it stands in for the authors' diffusion model of z_sem, which is not here, so
    images of drawn latents are worse than theirs.

    The defaults are those of the authors' FFHQ-256 model.

    Args:
        image_size: pixels a side.
        channels: of the first level.
        channel_mult: of the U-Net's levels, each of half the size of the one before.
        encoder_channel_mult: of the encoder's levels.
        blocks: residual blocks a level on the way down; one more on the way up.
        attention_resolutions: sizes at which attention follows each block.
        heads: of attention.
        embed_channels: numbers in the embedded time.
        style_channels: numbers in z_sem.
        dropout: in the U-Net's blocks.
        n_train: steps of the schedule, see :class:`toolbox.models.ddim.DDIM`.
        clip: x0 is clipped in every step, as the authors do; False as in DiffusionCLIP: then images are not
            bounded.
        steps: of rendering, in eval mode.
        train_steps: of rendering, in training; None = ``steps``.
        inversion_steps: of :meth:`invert`, unless said there.
        recompute: gradients through rendering at the memory of one step: each step is computed once more on
            the way back. They are the same.

    Attributes:
        conds_mean, conds_std: (style_channels,) of z_sem over the training images; 0 and 1 where they are not
            known.

    Raises:
        ValueError: for sizes that do not fit.
    """

    conds_mean: Tensor
    conds_std: Tensor

    def __init__(
        self,
        image_size: int = 256,
        channels: int = 128,
        channel_mult: Sequence[int] = (1, 1, 2, 2, 4, 4),
        encoder_channel_mult: Sequence[int] = (1, 1, 2, 2, 4, 4, 4),
        blocks: int = 2,
        attention_resolutions: Sequence[int] = (16,),
        heads: int = 1,
        embed_channels: int = 512,
        style_channels: int = 512,
        dropout: float = 0.1,
        n_train: int = 1000,
        clip: bool = True,
        steps: int = 100,
        train_steps: int | None = None,
        inversion_steps: int = 250,
        recompute: bool = False,
    ) -> None:
        attention = tuple(attention_resolutions)
        widths = Widths(
            image_size, channels, blocks, attention, heads, style_channels, embed_channels, dropout
        )
        super().__init__(widths, channel_mult)
        self.encoder = SemanticEncoder(widths, encoder_channel_mult)
        self.register_buffer("conds_mean", torch.zeros(style_channels))
        self.register_buffer("conds_std", torch.ones(style_channels))
        self.image_size, self.style_dim = image_size, style_channels
        self.latent_dim = style_channels + 3 * image_size**2
        self.bounded = clip
        self.ddim = DDIM(n_train, clip=clip)
        self.steps, self.inversion_steps = steps, inversion_steps
        self.inverts_by = f"DDIM(n_train={n_train}, clip={clip}, heads={heads})"
        self.train_steps = steps if train_steps is None else train_steps
        self.recompute = recompute
        for count in (self.steps, self.train_steps, self.inversion_steps):
            self.ddim.chain(count)

    def encode(self, images: Tensor) -> Tensor:
        """z_sem (N, style_dim) of images (N, 3, H, W) in [-1, 1].

        Raises:
            ValueError: for images of another size.
        """
        expected = (3, self.image_size, self.image_size)
        if images.shape[1:] != expected:
            raise ValueError(
                f"images of {tuple(images.shape[1:])} cannot be encoded; they must be {expected}"
            )
        style: Tensor = self.encoder(images)
        return style

    @torch.no_grad()
    def invert(self, images: Tensor, steps: int | None = None) -> Tensor:
        """Latents (N, latent_dim) of images (N, 3, H, W) in [-1, 1]: z_sem, and x_T by DDIM the other way.

        Args:
            images: of ``image_size``.
            steps: of the chain; None = ``inversion_steps``. The more, the more exact.

        Raises:
            ValueError: for images of another size.
        """
        style = self.encode(images)
        chain = self.inversion_steps if steps is None else steps
        x = self.ddim.invert(lambda x_t, t: self.noise(x_t, t, style), images, chain)
        return self.joined(style, x)

    def forward(
        self, latents: Tensor, condition: Condition | None = None, steps: int | None = None
    ) -> Tensor:
        """Images (N, 3, H, W) of latents.

        Args:
            latents: (N, latent_dim), z_sem before x_T.
            condition: nothing is made of it.
            steps: of rendering; None = ``train_steps`` in training, else ``steps``.
        """
        style, x = self.split(latents)
        count, again = steps or self._own_steps, self.recompute and torch.is_grad_enabled()
        return self.ddim.render(lambda x_t, t: self.noise(x_t, t, style), x, count, again)

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """z_sem (N, style_dim) and x_T (N, 3, H, W) of latents (N, latent_dim)."""
        style, x = latents.split([self.style_dim, self.latent_dim - self.style_dim], dim=1)
        return style, x.unflatten(1, (3, self.image_size, self.image_size))

    def joined(self, style: Tensor, x: Tensor) -> Tensor:
        """Latents (N, latent_dim) of z_sem and x_T."""
        return torch.cat([style, x.flatten(1)], dim=1)

    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """z_sem of N(conds_mean, conds_std^2), x_T of N(0, I)."""
        style, x = self.split(super().sample_latents(n, rng))
        return self.joined(self.conds_mean.cpu() + self.conds_std.cpu() * style, x)

    def style_latent(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """z_sem, standardised: (z_sem - conds_mean) / conds_std."""
        return (latents[:, : self.style_dim] - self.conds_mean) / self.conds_std

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        """As any generator's; ``extras['steps']`` (N,) says in how many steps the images were rendered."""
        return self._rendered(latents, condition, self._own_steps, self.clipped)

    def remake(self, sample: Sample, rng: torch.Generator | None = None) -> Sample:
        """As any generator's, in as many steps as the sample's images."""
        if sample.latents is None or "steps" not in sample.extras:
            return super().remake(sample, rng)
        steps = int(sample.extras["steps"][0])
        return self._rendered(sample.latents, sample.condition, steps, lambda images: images)

    @torch.no_grad()
    def observe(self, style: Tensor, momentum: float = 0.01) -> None:
        """Let conds_mean and conds_std follow z_sem (N, style_dim) of training images, of all processes."""
        spread = (style - self.conds_mean).square().mean(0)
        self.conds_std.copy_(self.conds_std.square().lerp(spread, momentum).sqrt())
        self.conds_mean.lerp_(style.mean(0), momentum)

    def truncated(
        self,
        latents: Tensor,
        condition: Condition | None,
        truncation: float,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images of a z_sem nearer the mean, conds_mean + truncation (z_sem - conds_mean); x_T as it is."""
        style, x = self.split(latents)
        return self(self.joined(self.conds_mean + truncation * (style - self.conds_mean), x), condition)

    @property
    def _own_steps(self) -> int:
        return self.train_steps if self.training else self.steps

    def _rendered(
        self, latents: Tensor, condition: Condition | None, steps: int, finish: Callable[[Tensor], Tensor]
    ) -> Sample:
        images = finish(self(latents, condition, steps))
        extras = dict(steps=torch.full((len(latents),), steps))
        condition = Condition() if condition is None else condition
        return Sample(images=images, condition=condition, latents=latents, extras=extras)
