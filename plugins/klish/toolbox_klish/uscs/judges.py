"""GauGAN's discriminator, which looks at patches of two scales, and its encoder of styles."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator
from toolbox.models.layers import spectral_norm
from toolbox.ranges import check_whole
from toolbox_klish.uscs.generator import checked_mask
from toolbox_klish.uscs.layers import initialise, one_hot

MOST = 512  # channels of a discriminator's layer, at most
Maps = list[list[Tensor]]  # of each scale the maps of each layer, the logits of patches last


class PatchDiscriminator(nn.Module):
    """Logits of patches (Isola et al. 2017), and the maps on the way.

    conv4x4 /2, then ``layers - 1`` times conv4x4 with instance norm (/2, the last /1), each with leaky ReLU;
    last conv4x4 to one channel. Spectral norm on those with instance norm.
    """

    def __init__(self, inputs: int, channels: int, layers: int) -> None:
        super().__init__()
        width = channels
        self.add_module("model0", nn.Sequential(nn.Conv2d(inputs, width, 4, 2, padding=2), nn.LeakyReLU(0.2)))
        for number in range(1, layers):
            before, width = width, min(2 * width, MOST)
            stride = 1 if number == layers - 1 else 2
            convolution = spectral_norm(nn.Conv2d(before, width, 4, stride, padding=2, bias=False))
            block = nn.Sequential(nn.Sequential(convolution, nn.InstanceNorm2d(width)), nn.LeakyReLU(0.2))
            self.add_module(f"model{number}", block)
        self.add_module(f"model{layers}", nn.Sequential(nn.Conv2d(width, 1, 4, padding=2)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, inputs, H, W) -> the map of each layer, logits (N, 1, h, w) last."""
        maps = []
        for layer in self.children():
            x = layer(x)
            maps.append(x)
        return maps


class MultiscalePatchDiscriminator(Discriminator):
    """Patch discriminators of an image under its mask, at full and at half resolution (Wang et al. 2018).

    Args:
        n_parts: parts that a mask can have.
        image_size: height = width.
        channels: of the first layer (64 in the paper); twice as many in each next one, 512 at most.
        layers: of each scale, without the last.
        scales: how many, each of half the resolution.

    Raises:
        ValueError: for images that are too small.
    """

    def __init__(
        self, n_parts: int, image_size: int = 512, channels: int = 64, layers: int = 4, scales: int = 2
    ) -> None:
        super().__init__()
        check_whole(2, n_parts=n_parts, layers=layers)
        check_whole(1, channels=channels, scales=scales)
        least = 2 ** (layers + scales - 1)
        if image_size < least:
            raise ValueError(f"image_size={image_size!r} must be {least} or more for {scales} scales")
        self.n_parts, self.image_size, self.scales = n_parts, image_size, scales
        for number in range(scales):
            one = PatchDiscriminator(3 + n_parts, channels, layers)
            self.add_module(f"discriminator_{number}", one)
        initialise(self)

    def maps(self, images: Tensor, condition: Condition | None) -> Maps:
        """Maps of each scale, full resolution first; logits of patches last."""
        mask = checked_mask(condition, self.n_parts, self.image_size, type(self).__name__)
        x = torch.cat([one_hot(mask, self.n_parts).to(images.dtype), images], dim=1)
        found = []
        for number, scale in enumerate(self.children()):
            x = x if number == 0 else F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
            found.append(scale(x))
        return found

    def encode(self, images: Tensor) -> Tensor:
        """The images: every layer sees the mask too."""
        return images

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of images under ``condition.mask``: mean over patches, then over scales."""
        maps = self.maps(features, condition)
        return torch.stack([scale[-1].mean(dim=(1, 2, 3)) for scale in maps]).mean(dim=0)


class SpadeEncoder(nn.Module):
    """Images to mean and log-variance of a latent: the encoder of a VAE (SPADE, appendix A).

    Convolutions 3x3 /2 with spectral and instance norm down to 4x4, channels 1, 2, 4, 8, 8, ... times
    ``channels``, leaky ReLU between; a linear layer each for mu and logvar.

    Args:
        latent_dim: of the generator (256 in the paper).
        image_size: to which images are resized, bilinearly (256 in the paper); 8, 16, 32, ...
        channels: of the first layer (64 in the paper).

    Raises:
        ValueError: for another size.
    """

    def __init__(self, latent_dim: int = 256, image_size: int = 256, channels: int = 64) -> None:
        super().__init__()
        check_whole(1, latent_dim=latent_dim, channels=channels)
        check_whole(8, image_size=image_size)
        if image_size & (image_size - 1):
            raise ValueError(f"image_size={image_size!r} must be a power of 2")
        self.latent_dim, self.image_size = latent_dim, image_size
        layers = image_size.bit_length() - 3  # 4x4 in the end
        width = 3
        for number in range(layers):
            before, width = width, channels * min(2**number, 8)
            convolution = spectral_norm(nn.Conv2d(before, width, 3, 2, padding=1, bias=False))
            self.add_module(f"layer{number + 1}", nn.Sequential(convolution, nn.InstanceNorm2d(width)))
        self._layers = layers
        self.fc_mu = nn.Linear(width * 16, latent_dim)
        self.fc_var = nn.Linear(width * 16, latent_dim)
        initialise(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar, both (N, latent_dim), of images (N, 3, H, W) in [-1, 1] of any size."""
        x = images
        if tuple(x.shape[2:]) != (self.image_size, self.image_size):
            x = F.interpolate(x, (self.image_size, self.image_size), mode="bilinear", align_corners=False)
        for number in range(1, self._layers + 1):
            x = F.leaky_relu(getattr(self, f"layer{number}")(x), 0.2)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)
