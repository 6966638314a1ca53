"""GauGAN's generator: a latent and a mask to an image (SPADE, sec. 3 and appendix A)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Generator, Sample
from toolbox.ranges import check_whole
from toolbox_klish.uscs.layers import SpadeBlock, at_size, initialise, one_hot

STYLE = "style"  # entry of ``condition.extra``: images (N, 3, H, W) whose style is encoded
UPSAMPLINGS = (5, 6, 7)  # 'normal', 'more' and 'most'
_WIDTHS = {5: (16, 16, 16, 8, 4, 2, 1), 6: (16, 16, 16, 8, 4, 2, 1), 7: (16, 16, 16, 8, 4, 2, 1, 0.5)}


class SpadeGenerator(Generator):
    """A latent (N, latent_dim) and a mask (N, image_size, image_size) to images.

    A linear layer makes the first map, 2^-upsamplings of the image's side; residual blocks with SPADE follow,
    the resolution doubled between them (nearest), channels from 16 to 1 times ``channels``; leaky ReLU,
    a 3x3 convolution and tanh.

    With an encoder, latents of images whose condition has ``extra['style']`` are z = mu + exp(logvar / 2)
    latent (Kingma & Welling 2014), and :meth:`generate` has the extras 'mu' and 'logvar'. A mask and a latent
    are enough at any other time.

    Args:
        n_parts: parts that a mask can have; one-hot input of every normalisation.
        image_size: height = width, a multiple of 2^upsamplings.
        latent_dim: width of z (256 in the paper).
        channels: of the last blocks (64 in the paper).
        hidden: channels between mask and scales (128 in the paper).
        upsamplings: 5 ('normal'), 6 ('more') or 7 ('most').
        encoder: a :class:`SpadeEncoder` (``uses=dict(encoder='encoder')``); None = none.

    Raises:
        ValueError: for sizes that do not fit, or an encoder of another ``latent_dim``.
    """

    def __init__(
        self,
        n_parts: int,
        image_size: int = 512,
        latent_dim: int = 256,
        channels: int = 64,
        hidden: int = 128,
        upsamplings: int = 5,
        encoder: Any = None,
    ) -> None:
        super().__init__()
        check_whole(2, n_parts=n_parts, channels=channels)
        check_whole(1, latent_dim=latent_dim, hidden=hidden)
        if upsamplings not in UPSAMPLINGS:
            raise ValueError(f"upsamplings={upsamplings!r} must be 5 ('normal'), 6 ('more') or 7 ('most')")
        if image_size < 2**upsamplings or image_size % 2**upsamplings:
            raise ValueError(
                f"image_size={image_size!r} must be a multiple of 2^upsamplings={2**upsamplings}"
            )
        if encoder is not None and encoder.latent_dim != latent_dim:
            raise ValueError(f"the encoder's latent_dim={encoder.latent_dim} is not latent_dim={latent_dim}")
        self.n_parts, self.image_size, self.latent_dim = n_parts, image_size, latent_dim
        self.upsamplings = upsamplings
        self.start = image_size // 2**upsamplings
        self._encoder = (encoder,)  # in a tuple: borrowed networks are no submodules
        widths = [int(factor * channels) for factor in _WIDTHS[upsamplings]]
        self.fc = nn.Linear(latent_dim, widths[0] * self.start**2)
        self.head_0 = SpadeBlock(widths[0], widths[0], n_parts, hidden)
        self.G_middle_0 = SpadeBlock(widths[0], widths[1], n_parts, hidden)
        self.G_middle_1 = SpadeBlock(widths[1], widths[2], n_parts, hidden)
        for number in range(len(widths) - 3):
            block = SpadeBlock(widths[number + 2], widths[number + 3], n_parts, hidden)
            self.add_module(f"up_{number}", block)
        self.conv_img = nn.Conv2d(widths[-1], 3, 3, padding=1)
        initialise(self)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, H, W) of latents (N, latent_dim) and ``condition.mask`` (N, H, W).

        Raises:
            ValueError: without a mask, or with one of another size or with parts beyond ``n_parts``.
        """
        given = checked_mask(condition, self.n_parts, self.image_size, type(self).__name__)
        mask = one_hot(given, self.n_parts)
        x = self.fc(latents).view(len(latents), -1, self.start, self.start)
        masks: dict[int, Tensor] = {}
        for block, doubled in self._blocks():
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") if doubled else x
            size = x.shape[2]
            if size not in masks:
                masks[size] = at_size(mask, size)
            x = block(x, masks[size])
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))

    def _blocks(self) -> list[tuple[nn.Module, bool]]:
        """Blocks in order, and whether the resolution is doubled before each."""
        ups = [module for name, module in self.named_children() if name.startswith("up_")]
        middle = [(self.G_middle_0, True), (self.G_middle_1, self.upsamplings > 5)]
        return [(self.head_0, False), *middle, *((block, True) for block in ups)]

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        """Images; where the condition has images of a style, z is drawn around what the encoder finds."""
        style = None if condition is None else condition.extra.get(STYLE)
        if style is None or self._encoder[0] is None:
            return super().generate(latents, condition, rng)
        assert condition is not None
        mu, logvar = self._encoder[0](style)
        z = mu + (0.5 * logvar).exp() * latents
        rest = {name: value for name, value in condition.extra.items() if name != STYLE}
        bare = condition.replace(extra=rest)  # the images stand for z, which is now known
        extras = dict(mu=mu, logvar=logvar)
        return Sample(images=self(z, bare), condition=bare, latents=z.detach(), extras=extras)


def checked_mask(condition: Condition | None, n_parts: int, size: int, network: str) -> Tensor:
    """The mask (N, size, size) of a condition.

    Raises:
        ValueError: where there is none, or one of another size or with parts that there are not.
    """
    mask = None if condition is None else condition.mask
    if mask is None:
        raise ValueError(f"{network} reads masks and got none: give condition.mask (N, {size}, {size})")
    if mask.ndim != 3 or tuple(mask.shape[1:]) != (size, size):
        raise ValueError(f"{network}: condition.mask is {tuple(mask.shape)}, expected (N, {size}, {size})")
    if mask.device.type != "cpu" or torch.compiler.is_compiling():
        return mask  # a GPU would have to be waited for
    low, high = (int(bound) for bound in mask.aminmax())
    if low < 0 or high >= n_parts:
        raise ValueError(
            f"{network}: condition.mask has parts {low} to {high}, allowed is 0 to {n_parts - 1} "
            f"(n_parts={n_parts})"
        )
    return mask
