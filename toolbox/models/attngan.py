"""AttnGAN: an image from a sentence, refined stage by stage with attention to words (Xu et al. 2018).

State dicts of the authors' repository load as they are (``load_state_dict``, strict): parameters have its
names. ``num_batches_tracked`` may be absent from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Generator, Sample, TextCodes
from toolbox.models.biggan import check_layers
from toolbox.models.conditions import has_text, sentence_of, words_of
from toolbox.models.layers import (
    SmallMapConv2d,
    UpsampleConv2d,
    accept_parallel,
    fast_layout,
    initialise,
    near,
)
from toolbox.ranges import check_whole

MASK_MODES = ("correct", "official")


class ConditioningAugmentation(nn.Module):
    """A sentence's code as a Gaussian, of which one draw is taken (StackGAN, Zhang et al. 2017, sec. 3.2)."""

    def __init__(self, code_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(code_dim, 4 * condition_dim)

    def forward(self, sentence: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw, mean and log variance, each (N, condition_dim), of codes (N, code_dim) and N(0, I) noise."""
        mu, logvar = F.glu(self.fc(sentence), dim=1).chunk(2, dim=1)
        return mu + noise * (logvar / 2).exp(), mu, logvar


def up_block(width: int, out: int) -> nn.Sequential:
    """Twice the size, then a gated convolution."""
    first = nn.Identity()  # the doubling of published networks, which is the convolution's here
    return nn.Sequential(first, *_gated(width, out, UpsampleConv2d))


def _gated(width: int, out: int, kind: type[nn.Conv2d] = nn.Conv2d) -> list[nn.Module]:
    convolution = kind(width, 2 * out, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(2 * out), nn.GLU(dim=1)]


class ResBlock(nn.Module):
    """Two convolutions, the first gated, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.block = nn.Sequential(*_gated(width, width), last, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """x (N, width, H, W)."""
        return x + self.block(x)


class FirstStage(nn.Module):
    """Condition and noise (N, input_dim) to a map (N, channels, size, size).

    ``extent`` is that of the whole generator, see :func:`toolbox.models.layers.fast_layout`.
    """

    def __init__(self, channels: int, input_dim: int, size: int, extent: int) -> None:
        super().__init__()
        self.extent = extent
        self.doublings = int(math.log2(size // 4))
        width = channels << self.doublings
        numbers = 2 * width * 16
        self.fc = nn.Sequential(nn.Linear(input_dim, numbers, bias=False), nn.BatchNorm1d(numbers), nn.GLU(1))
        for i in range(self.doublings):
            self.add_module(f"upsample{i + 1}", up_block(width >> i, width >> (i + 1)))

    def forward(self, x: Tensor) -> Tensor:
        """x (N, input_dim)."""
        x = fast_layout(self.fc(x).unflatten(1, (-1, 4, 4)), self, self.extent)
        for i in range(self.doublings):
            x = self.get_submodule(f"upsample{i + 1}")(x)
        return x


def attend(h: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Each pixel looks at the words.

    Args:
        h: (N, C, H, W).
        keys, values: (N, L, C).
        mask: (N, L), or (N, H * W, L) bool: True where there is a word.

    Returns:
        What each pixel sees (N, C, H, W), and how much of each word (N, L, H, W).
    """
    size = h.shape[2:]
    pixels = h.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H * W, C)
    scores = pixels @ keys.transpose(1, 2)  # (N, H * W, L)
    allowed = mask[:, None] if mask.ndim == 2 else mask
    attention = scores.masked_fill(~allowed, -torch.inf).softmax(dim=2)
    seen = (attention @ values).unflatten(1, size)  # (N, H, W, C)
    return seen.permute(0, 3, 1, 2), attention.transpose(1, 2).unflatten(2, size)


def mask_of_pixels(mask: Tensor, pixels: int, mode: str) -> Tensor:
    """Which words the pixels of each image may see: (N, L), or (N, pixels, L) in the mode 'official'.

    The authors' code gives pixel q of image b the mask of image (b * pixels + q) mod N.
    """
    if mode == "correct":
        return mask
    n = len(mask)
    owner = torch.arange(n * pixels, device=mask.device) % n
    return mask[owner.view(n, pixels)]


class WordAttention(nn.Module):
    """Attention of pixels to words, brought to the width of the map."""

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.conv_context = nn.Conv2d(code_dim, channels, 1, bias=False)

    def forward(self, h: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As :func:`attend`, of words (N, code_dim, L)."""
        own = self.conv_context(words[..., None]).squeeze(3).transpose(1, 2)  # (N, L, channels)
        return attend(h, own, own, mask)


class NextStage(nn.Module):
    """A map (N, channels, H, W) and words to a map of twice the size."""

    first_block: ClassVar[type[ResBlock]] = ResBlock

    def __init__(self, channels: int, code_dim: int, residual_blocks: int) -> None:
        super().__init__()
        self.look(channels, code_dim)
        kinds = [self.first_block, *[ResBlock] * residual_blocks][:residual_blocks]
        self.residual = nn.Sequential(*[kind(2 * channels) for kind in kinds])
        self.upsample = up_block(2 * channels, channels)

    def look(self, channels: int, code_dim: int) -> None:
        """Make the layers of :meth:`with_words`."""
        self.att = WordAttention(channels, code_dim)

    def with_words(self, h: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 2 * channels, H, W) of the map and what it sees in the words; the attention (N, L, H, W)."""
        seen, attention = self.att(h, words, mask)
        return torch.cat([h, seen], dim=1), attention

    def forward(self, h: Tensor, codes: TextCodes, mask_mode: str) -> tuple[Tensor, Tensor]:
        """The larger map, and the attention (N, L, H, W)."""
        assert codes.words is not None
        mask = mask_of_pixels(codes.mask, h.shape[2] * h.shape[3], mask_mode)
        joined, attention = self.with_words(h, codes.words, mask)
        return self.upsample(self.residual(joined)), attention


class AttnGANGenerator(Generator):
    """Three images of one sentence, each twice as large as the last (Xu et al. 2018, sec. 3.1).

    A latent vector is the noise and the draw of the conditioning augmentation, in this order. The other
    images of a :meth:`generate` are in ``extras['images64']`` and so on, mean and log variance of the
    augmentation in ``extras['mu']`` and ``extras['logvar']``.

    Args:
        channels: width of every stage's map: 32 for CUB, 48 for COCO.
        residual_blocks: of each stage after the first: 2 for CUB, 3 for COCO.
        image_size: of the last image; a power of two.
        stages: number of images; the first is 2^(stages - 1) times smaller, of at least 8 pixels.
        noise_dim: numbers of noise.
        condition_dim: numbers of the augmented condition.
        code_dim: width of the text codes, for sentences and words.
        mask_mode: 'correct', or 'official': in a batch of several images, pixels then look at padding by the
            masks of other captions, as in the authors' code with which the published weights were trained.
        init: 'orthogonal' (the authors') or 'normal'.

    ``feature_layers``: the maps of each stage, by size.

    Raises:
        ValueError: for an unknown mode, or sizes that do not fit.
    """

    stage: ClassVar[type[NextStage]] = NextStage

    def __init__(
        self,
        channels: int = 32,
        residual_blocks: int = 2,
        image_size: int = 256,
        stages: int = 3,
        noise_dim: int = 100,
        condition_dim: int = 100,
        code_dim: int = 256,
        mask_mode: str = "correct",
        init: str = "orthogonal",
    ) -> None:
        super().__init__()
        check_whole(1, channels=channels, stages=stages, condition_dim=condition_dim, code_dim=code_dim)
        check_whole(0, residual_blocks=residual_blocks, noise_dim=noise_dim)
        if mask_mode not in MASK_MODES:
            raise ValueError(
                f"mask_mode={mask_mode!r} is not one of {', '.join(MASK_MODES)}{near(mask_mode, MASK_MODES)}"
            )
        self.image_size = _checked_size(image_size, 8 << (stages - 1))
        self.latent_dim = noise_dim + condition_dim
        self.noise_dim, self.condition_dim, self.code_dim = noise_dim, condition_dim, code_dim
        self.mask_mode = mask_mode
        self.sizes = tuple(image_size >> k for k in reversed(range(stages)))
        self.feature_layers = tuple(f"{size}x{size}" for size in self.sizes)
        self.feature_channels = (channels,) * stages
        self.compiled_parts = tuple(f"h_net{i + 1}" for i in range(stages))
        self.ca_net = ConditioningAugmentation(code_dim, condition_dim)
        self.h_net1 = FirstStage(channels, self.latent_dim, self.sizes[0], 2 * channels * image_size)
        for i in range(1, stages):
            self.add_module(f"h_net{i + 1}", self.stage(channels, code_dim, residual_blocks))
        for i in range(stages):
            self.add_module(f"img_net{i + 1}", ToImage(channels))
        initialise(self, init)
        _initialise_norms(self)
        accept_parallel(self)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, image_size, image_size) in [-1, 1] from latents (N, latent_dim).

        Raises:
            ValueError: for a condition without codes of words, or with codes of another width.
        """
        *_, (h, _) = self._walk(self._augmented(latents, condition)[0], condition)
        return self._image(len(self.sizes) - 1, h)

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        """All images, with mean and log variance of the augmentation; ``rng`` is unused.

        In eval mode also how much of each word each pixel looked at: ``extras['attention']``, see
        :meth:`attention`.
        """
        start, mu, logvar = self._augmented(latents, condition)
        images, looks = [], []
        for i, (h, attention) in enumerate(self._walk(start, condition)):
            images.append(self._image(i, h))
            looks += [] if attention is None else [attention]
        extras: dict[str, Any] = {f"images{image.shape[2]}": image for image in images[:-1]}
        extras |= dict(mu=mu, logvar=logvar)
        if not self.training and looks:
            extras["attention"] = looks
        return Sample(images[-1], Condition() if condition is None else condition, latents, extras=extras)

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """{layer: (N, C, h, w)} for names out of ``feature_layers``, of latents times ``truncation``.

        Raises:
            ValueError: for a name that is not among them.
        """
        check_layers(layers, self.feature_layers)
        start, *_ = self._augmented(latents * truncation, condition)
        maps = [h for h, _ in self._walk(start, condition)]
        return {layer: maps[self.feature_layers.index(layer)] for layer in layers}

    def attention(self, latents: Tensor, condition: Condition | None) -> list[Tensor]:
        """How much of each word each pixel looked at: (N, L, h, h) of the map that each later stage got."""
        start, *_ = self._augmented(latents, condition)
        maps = [attention for _, attention in self._walk(start, condition)]
        return [attention for attention in maps if attention is not None]

    def _augmented(self, latents: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor, Tensor]:
        """The first stage's input (N, condition_dim + noise_dim), condition first; mean and log variance."""
        noise, draw = latents.split([self.noise_dim, self.condition_dim], dim=1)
        sentence = sentence_of(condition, self.code_dim, type(self).__name__, "code_dim")
        drawn, mu, logvar = self.ca_net(sentence, draw)
        return torch.cat([drawn, noise], dim=1), mu, logvar

    def _walk(self, start: Tensor, condition: Condition | None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Each stage's map, and the attention that it was made with."""
        h = self.h_net1(start)
        yield h, None
        for i in range(1, len(self.sizes)):
            codes = words_of(condition, self.code_dim, type(self).__name__, "code_dim")
            h, attention = self.get_submodule(f"h_net{i + 1}")(h, codes, self.mask_mode)
            yield h, attention

    def _image(self, i: int, h: Tensor) -> Tensor:
        return self.get_submodule(f"img_net{i + 1}")(h)


class ToImage(nn.Module):
    """A map (N, channels, H, W) as RGB in [-1, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.img = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1, bias=False), nn.Tanh())

    def forward(self, h: Tensor) -> Tensor:
        """h (N, channels, H, W)."""
        return self.img(h)


class Logits(nn.Module):
    """The last map (N, width, 4, 4) to logits (N,), with a sentence or without.

    ``joint`` are the layers that see map and sentence together, if a sentence there is.
    """

    def __init__(self, width: int, joint: list[nn.Module] | None = None) -> None:
        super().__init__()
        if joint:
            self.jointConv = nn.Sequential(*joint)
        self.outlogits = nn.Sequential(nn.Conv2d(width, 1, 4, stride=4))

    def forward(self, features: Tensor, sentence: Tensor | None = None) -> Tensor:
        """features (N, width, 4, 4), sentence (N, code_dim)."""
        if sentence is not None:
            spread = sentence[:, :, None, None].expand(-1, -1, 4, 4)
            features = self.jointConv(torch.cat([features, spread.to(features)], dim=1))
        return self.outlogits(features).flatten()


class AttnGANDiscriminator(Discriminator):
    """Judges images of one size, with their sentence and without (Xu et al. 2018, sec. 3.1).

    Under a condition with text the logits are conditional; under None, or a condition without any, they are
    the unconditional head's.

    Args:
        channels: width after the first layer: 64 for CUB, 96 for COCO.
        image_size: pixels, a power of two of at least 8.
        code_dim: width of a sentence's code.
        unconditional: whether there is a head that asks for no sentence.
        init: 'orthogonal' (the authors') or 'normal'.

    Raises:
        ValueError: for another size.
    """

    def __init__(
        self,
        channels: int = 64,
        image_size: int = 64,
        code_dim: int = 256,
        unconditional: bool = True,
        init: str = "orthogonal",
    ) -> None:
        super().__init__()
        check_whole(1, channels=channels, code_dim=code_dim)
        self.image_size = _checked_size(image_size, 8)
        self.code_dim = code_dim
        self.extent = channels * image_size
        halvings = int(math.log2(image_size // 4))
        first = min(halvings, 4)
        width = channels << (first - 1)
        trunk = self.block(3, channels, 4, norm=False)
        for i in range(first - 1):
            trunk += self.block(channels << i, channels << (i + 1), 4)
        self.img_code_s16 = nn.Sequential(*trunk)
        widest = width << (halvings - first)
        for i in range(halvings - first):
            layers = self.block(width << i, width << (i + 1), 4)
            self.add_module(f"img_code_s{32 << i}", nn.Sequential(*layers))
        for i in range(halvings - first):
            layers = self.block(widest >> i, widest >> (i + 1), 3)
            self.add_module(f"img_code_s{1 << halvings}_{i + 1}", nn.Sequential(*layers))
        if unconditional:
            self.UNCOND_DNET = Logits(width)
        self.COND_DNET = Logits(width, self.block(width + code_dim, width, 3))
        initialise(self, init)
        _initialise_norms(self)
        accept_parallel(self)

    def block(self, width: int, out: int, kernel: int, norm: bool = True) -> list[nn.Module]:
        """Layers of a convolution: 4 wide halves the size, 3 wide keeps it."""
        convolution = SmallMapConv2d(width, out, kernel, stride=kernel - 2, padding=1, bias=False)
        after = [nn.BatchNorm2d(out)] if norm else []
        return [convolution, *after, nn.LeakyReLU(0.2, inplace=True)]

    def encode(self, images: Tensor) -> Tensor:
        """Features (N, width, 4, 4) of images (N, 3, image_size, image_size) in [-1, 1]."""
        if tuple(images.shape[1:]) != (3, self.image_size, self.image_size):
            raise ValueError(
                f"images must be (N, 3, {self.image_size}, {self.image_size}), got {tuple(images.shape)}"
            )
        x = fast_layout(images, self, self.extent)
        for name, layers in self.named_children():
            x = layers(x) if name.startswith("img_code") else x
        return x

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,); conditional ones where the condition has text.

        Raises:
            ValueError: for codes that are missing or of another width, or without an unconditional head.
        """
        name = type(self).__name__
        if has_text(condition):
            return self.COND_DNET(features, sentence_of(condition, self.code_dim, name, "code_dim"))
        if not hasattr(self, "UNCOND_DNET"):
            raise ValueError(f"{name} was built with unconditional=False and needs condition.codes")
        return self.UNCOND_DNET(features)


def _checked_size(image_size: int, least: int) -> int:
    check_whole(least, image_size=image_size)
    if image_size & (image_size - 1):
        raise ValueError(f"image_size={image_size} must be a power of two")
    return image_size


def _initialise_norms(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
