"""SSA-GAN: text to image in one stage, each BatchNorm modulated by the sentence where a mask lets it.

Liao, Hu, Yang, Rosenhahn: Text to Image Generation with Semantic-Spatial Aware GAN, CVPR 2022. At 256 px and
64 channels the generator has 29,494,273 parameters, the discriminator 80,379,526. Names are those of the
authors' code, wtliao/text2image, whose state dicts load as they are.

From the small to the large: layers, the generator and its blocks, the discriminator and its blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Generator, Sample
from toolbox.models.biggan import check_layers
from toolbox.models.conditions import sentence_of
from toolbox.models.layers import LeakyReLU, SmallMapConv2d, accept_parallel, fast_layout, upsample
from toolbox.ranges import check_whole


def doublings(image_size: int, start: int, least: int) -> int:
    """How often ``start`` is doubled to give ``image_size``.

    Raises:
        ValueError: where it is not, or less often than ``least`` times.
    """
    check_whole(1, image_size=image_size)
    times = (image_size // start).bit_length() - 1
    if times < least or start << times != image_size:
        sizes = ", ".join(str(start << i) for i in range(least, least + 4))
        raise ValueError(
            f"image_size={image_size} must be {start} doubled {least} times or more: {sizes}, ..."
        )
    return times


def falling_widths(channels: int, blocks: int) -> list[int]:
    """Channels at the start and after each block: 8 x channels, then 4, 2 and 1 in the last three."""
    return [channels * min(8, 1 << (blocks - i)) for i in range(blocks + 1)]


# layers


class SentenceMLP(nn.Module):
    """A number for each channel, out of the sentence: Linear, ReLU, Linear; 0 first."""

    def __init__(self, code_dim: int, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(code_dim, code_dim)
        self.linear2 = nn.Linear(code_dim, channels)
        nn.init.zeros_(self.linear2.weight)
        nn.init.zeros_(self.linear2.bias)

    def forward(self, sentence: Tensor) -> Tensor:
        """(N, code_dim) -> (N, channels, 1, 1)."""
        return self.linear2(F.relu(self.linear1(sentence)))[:, :, None, None]


class SemanticSpatialBatchNorm(nn.Module):
    """y = BN(x) + m (gamma(s) BN(x) + beta(s)): the sentence s acts where the mask m is (eq. 4 to 6)."""

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.batch_norm2d = nn.BatchNorm2d(channels, affine=False)
        self.fc_gamma = SentenceMLP(code_dim, channels)
        self.fc_beta = SentenceMLP(code_dim, channels)

    def forward(self, x: Tensor, sentence: Tensor, mask: Tensor) -> Tensor:
        """x (N, channels, H, W), sentence (N, code_dim), mask (N, 1, H, W) in (0, 1)."""
        normal = self.batch_norm2d(x)
        changed = torch.addcmul(self.fc_beta(sentence), self.fc_gamma(sentence), normal)
        return torch.addcmul(normal, mask, changed)


def mask_head(channels: int, hidden: int) -> nn.Sequential:
    """Logits (N, 1, H, W) of the mask of feature maps (N, channels, H, W)."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, 1, 1),
    )


# generator


class GeneratorBlock(nn.Module):
    """skip(x) + gamma [norm, ReLU, conv3x3, norm, ReLU, conv3x3], gamma = 0 first; skip a conv1x1 if need be.

    All but the last block also predict the mask of the next.
    """

    def __init__(self, inputs: int, outputs: int, code_dim: int, mask_channels: int, last: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.c1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.c2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.affine0 = SemanticSpatialBatchNorm(inputs, code_dim)
        self.affine2 = SemanticSpatialBatchNorm(outputs, code_dim)
        self.c_sc = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.conv_mask = None if last else mask_head(outputs, mask_channels)

    def forward(self, x: Tensor, sentence: Tensor, mask: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        main = self.c1(F.relu(self.affine0(x, sentence, mask)))
        main = self.c2(F.relu(self.affine2(main, sentence, mask)))
        skip = x if self.c_sc is None else self.c_sc(x)
        return torch.addcmul(skip, self.gamma, main)


class SSAGANGenerator(Generator):
    """Images of a latent and a sentence; noise enters at the start alone, the sentence in every norm.

    Args:
        channels: width unit: blocks have 8 x channels, the last three 4, 2 and 1.
        image_size: 4 doubled at least twice: 16, 32, 64, ...; with a block at each size.
        latent_dim: numbers in one latent vector.
        code_dim: numbers in a sentence's code.
        mask_channels: width of the heads that predict the masks.

    ``generate`` gives the masks of all blocks as ``extras['masks']``: (N, 1, 4, 4) to (N, 1, image_size,
    image_size), in (0, 1). ``feature_layers``: '4x4', '8x8', ...: the activations after each block.

    Raises:
        ValueError: for an image size without such blocks, naming some that have.
    """

    def __init__(
        self,
        channels: int = 64,
        image_size: int = 256,
        latent_dim: int = 100,
        code_dim: int = 256,
        mask_channels: int = 100,
    ) -> None:
        super().__init__()
        check_whole(
            1,
            channels=channels,
            latent_dim=latent_dim,
            code_dim=code_dim,
            mask_channels=mask_channels,
        )
        blocks = doublings(image_size, 4, least=2) + 1
        widths = falling_widths(channels, blocks)
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.code_dim = code_dim
        self.feature_layers = tuple(f"{4 << i}x{4 << i}" for i in range(blocks))
        self.feature_channels = tuple(widths[1:])
        self.extent = max(width * (4 << i) for i, width in enumerate(widths[:-1]))  # channels x side
        self.conv_mask = mask_head(widths[0], mask_channels)
        self.fc = nn.Linear(latent_dim, widths[0] * 16)
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            block = GeneratorBlock(inputs, outputs, code_dim, mask_channels, last=i == blocks - 1)
            self.add_module(f"block{i}", block)
        last = widths[-1]
        self.conv_img = nn.Sequential(
            nn.BatchNorm2d(last), nn.LeakyReLU(0.2), nn.Conv2d(last, 3, 3, padding=1), nn.Tanh()
        )
        accept_parallel(self)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, size, size) in [-1, 1] from latents (N, latent_dim) and ``condition.codes``.

        Raises:
            ValueError: for a condition without sentence codes of ``code_dim`` numbers.
        """
        *_, (x, _) = self._walk(latents, condition)
        return self.conv_img(x)

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        """Images, and the masks as ``extras['masks']``."""
        walk = list(self._walk(latents, condition))
        images = self.conv_img(walk[-1][0])
        extras = {"masks": [mask for _, mask in walk]}
        return Sample(images, condition or Condition(), latents, extras=extras)

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """{layer: (N, C, h, w)} for names out of ``feature_layers``, of latents times ``truncation``.

        There is no noise: ``rng`` is unused.

        Raises:
            ValueError: for a name that is not among them.
        """
        check_layers(layers, self.feature_layers)
        walk = (x for x, _ in self._walk(latents * truncation, condition))
        activations = dict(zip(self.feature_layers, walk, strict=True))
        return {layer: activations[layer] for layer in layers}

    def _walk(self, latents: Tensor, condition: Condition | None) -> Iterator[tuple[Tensor, Tensor]]:
        """(activations (N, C, s, s), mask (N, 1, s, s)) of the blocks at s = 4, 8, ..., image_size."""
        sentence = sentence_of(condition, self.code_dim, type(self).__name__, "code_dim")
        x = fast_layout(self.fc(latents).unflatten(1, (-1, 4, 4)), self, self.extent)
        logits = self.conv_mask(x)
        for i in range(len(self.feature_layers)):
            block: Any = self.get_submodule(f"block{i}")
            if i:
                x = upsample(x)
                logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=True)
            mask = logits.sigmoid()  # interpolated before: logits, not masks
            x = block(x, sentence, mask)
            yield x, mask
            if block.conv_mask is not None:
                logits = block.conv_mask(x)


# discriminator


class DiscriminatorBlock(nn.Module):
    """Half the size: mean of the skip + gamma [conv4x4, LReLU, conv3x3, LReLU], gamma = 0 first; no norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.conv_r = nn.Sequential(
            SmallMapConv2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
            LeakyReLU(0.2),
            SmallMapConv2d(outputs, outputs, 3, padding=1, bias=False),
            LeakyReLU(0.2),
        )
        self.conv_s = nn.Conv2d(inputs, outputs, 1)
        self.skips = inputs == outputs
        if self.skips:  # published files have it all the same
            self.conv_s.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
        skip = F.avg_pool2d(x, 2)  # before the 1x1 convolution, with which it commutes
        return torch.addcmul(skip if self.skips else self.conv_s(skip), self.gamma, self.conv_r(x))


class SentenceHead(nn.Module):
    """Logits of feature maps (N, inputs, 4, 4) beside the sentence, at every place the same."""

    def __init__(self, inputs: int, hidden: int, code_dim: int) -> None:
        super().__init__()
        self.joint_conv = nn.Sequential(
            nn.Conv2d(inputs + code_dim, hidden, 3, padding=1, bias=False),
            LeakyReLU(0.2),
            nn.Conv2d(hidden, 1, 4, bias=False),
        )

    def forward(self, features: Tensor, sentence: Tensor) -> Tensor:
        """(N, inputs, 4, 4), (N, code_dim) -> (N,)."""
        tiled = sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.joint_conv(torch.cat([features, tiled], dim=1)).flatten()


class SSAGANDiscriminator(Discriminator):
    """Real and matching, or not: one logit of image and sentence; there is no unconditional one.

    Train it with MatchingHinge and MatchingAwarePenalty (section 3.4).

    Args:
        channels: width unit: 2, 4, ... up to 16 x channels after the blocks.
        image_size: 4 doubled at least once; each block halves it.
        code_dim: numbers in a sentence's code.
    """

    def __init__(self, channels: int = 64, image_size: int = 256, code_dim: int = 256) -> None:
        super().__init__()
        check_whole(1, channels=channels, code_dim=code_dim)
        blocks = doublings(image_size, 4, least=1)
        widths = [channels * min(1 << i, 16) for i in range(blocks + 1)]
        self.image_size = image_size
        self.code_dim = code_dim
        self.conv_img = nn.Conv2d(3, channels, 3, padding=1)
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            self.add_module(f"block{i}", DiscriminatorBlock(inputs, outputs))
        self.n_blocks = blocks
        self.extent = max(width * (image_size >> i) for i, width in enumerate(widths))  # channels x side
        self.COND_DNET = SentenceHead(widths[-1], 2 * channels, code_dim)
        accept_parallel(self)

    def encode(self, images: Tensor) -> Tensor:
        """Features (N, C, 4, 4) of images (N, 3, size, size) in [-1, 1]."""
        if tuple(images.shape[2:]) != (self.image_size, self.image_size):
            raise ValueError(
                f"{type(self).__name__} takes images of image_size={self.image_size}, got "
                f"{tuple(images.shape)}"
            )
        x = self.conv_img(fast_layout(images, self, self.extent))
        for i in range(self.n_blocks):
            x = self.get_submodule(f"block{i}")(x)
        return x

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of features and ``condition.codes``.

        Raises:
            ValueError: for a condition without sentence codes of ``code_dim`` numbers.
        """
        return self.COND_DNET(
            features, sentence_of(condition, self.code_dim, type(self).__name__, "code_dim")
        )
