"""Progressively grown networks (Karras et al.: Progressive Growing of GANs, ICLR 2018), as published.

``lod`` of either network says how far it has grown (:mod:`toolbox.models.growing`); in training
ProgressiveGrowing sets it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Generator
from toolbox.models.conditions import soft_one_hot
from toolbox.models.growing import GrowingModule, faded, split_lod
from toolbox.models.layers import fast_layout, spread
from toolbox.models.style_based import channels_at, check_choice, layer_names, resolutions
from toolbox.models.style_ops import SQRT2, normalise_second_moment
from toolbox.models.stylegan2_discriminator import minibatch_std
from toolbox.models.upfirdn import filter2d, setup_filter
from toolbox.ranges import check_whole
from toolbox.tf32 import without_autocast

SLOPE = 0.2


class ScaledConv2d(nn.Module):
    """gain W / sqrt(fan-in) * x + b with W ~ N(0, 1) (equalised learning rate, section 4.1).

    A doubling is 'nearest x2, then the 3x3 convolution', a halving 'the 3x3 convolution, then a 2x2 mean';
    both are computed as one 4x4 convolution of stride 2, which is equal and faster ("fused").

    Args:
        inputs, outputs: channels.
        kernel: size.
        gain: sqrt 2 before a leaky ReLU, 1 before nothing.
        bias: with one.
        resample: 'up', 'down' or 'none'.
        padding: None = keep the size.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        gain: float = SQRT2,
        bias: bool = True,
        resample: str = "none",
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.padding = kernel // 2 if padding is None else padding
        self.scale = gain / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W')."""
        weight = self.weight * self.scale
        if self.resample == "up":
            kernel = spread(weight.flip(2, 3)).transpose(0, 1)  # (inputs, outputs, 4, 4)
            return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
        if self.resample == "down":
            return F.conv2d(x, spread(weight) / 4, self.bias, stride=2, padding=1)
        return F.conv2d(x, weight, self.bias, padding=self.padding)


class ScaledLinear(nn.Module):
    """(gain W / sqrt(inputs) * x + b) with W and b times ``lr_multiplier``, W ~ N(0, 1) / lr_multiplier.

    Args:
        inputs, outputs: widths.
        gain: sqrt 2 before a leaky ReLU, 1 before nothing.
        lr_multiplier: the layer learns so much slower.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = SQRT2, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.lr_multiplier = lr_multiplier
        self.scale = gain * lr_multiplier / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs), in float32 also where the convolutions are computed in less."""
        with without_autocast(x.device):
            return F.linear(x.to(self.weight.dtype), self.weight * self.scale, self.bias * self.lr_multiplier)


class PGGANGenerator(GrowingModule, Generator):
    """PGGAN's generator, unconditional, or with rows of the condition appended to the latents.

        h_0 = act(conv4x4(norm(z))),   h_i = act(conv(norm(h_{i-1})))
        norm = pixel norm (section 4.2), act = leaky ReLU 0.2

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes; 0 = unconditional.
        latent_dim: of z.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        lod: how far it has grown (see the module); also an attribute, for whoever trains it.

    ``feature_layers[i]`` is layer i of KLiSH's table II: '4x4.0', '4x4', '8x8.0', '8x8', ...; after bias and
    leaky ReLU, before the pixel norm. ``feature_channels`` are their widths.

    Raises:
        ValueError: naming the argument.
    """

    bounded = False
    truncates = False

    def __init__(
        self,
        image_size: int = 256,
        n_conditions: int = 0,
        latent_dim: int = 512,
        channel_base: int = 16384,
        channel_max: int = 512,
        lod: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(1, latent_dim=latent_dim)
        check_whole(0, n_conditions=n_conditions)
        self.sizes = resolutions(image_size)
        split_lod(lod, self.sizes)  # raises for a lod that it cannot have
        self.image_size = image_size
        self.n_conditions = n_conditions
        self.latent_dim = latent_dim
        self.lod = lod
        channels = [channels_at(size, channel_base, channel_max) for size in self.sizes]
        self.extent = max(width * size for width, size in zip(channels, self.sizes, strict=True))
        for k, outputs in enumerate(channels):
            if k == 0:
                first = ScaledConv2d(latent_dim + n_conditions, outputs, 4, padding=3)  # 1x1 to 4x4
            else:
                first = ScaledConv2d(channels[k - 1], outputs, resample="up")
            self.add_module(f"layer{2 * k}", first)
            self.add_module(f"layer{2 * k + 1}", ScaledConv2d(outputs, outputs))
            self.add_module(f"output{k}", ScaledConv2d(outputs, 3, 1, gain=1))
        self.feature_layers = layer_names(self.sizes)
        self.feature_channels = tuple(c for c in channels for _ in range(2))

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, size, size), nominally in [-1, 1], of latents (N, latent_dim)."""
        whole, _ = split_lod(self.lod, self.sizes)
        last = self.sizes[-1 - whole]
        return self._image(self._activations(latents, condition, {f"{last}x{last}"}))

    def _image(self, activations: Mapping[str, Tensor]) -> Tensor:
        def colours(k: int) -> Tensor:
            x = normalise_second_moment(activations[f"{self.sizes[k]}x{self.sizes[k]}"])
            return full_precision(self.get_submodule(f"output{k}")(x))

        return faded(colours, self.lod, self.sizes)

    def truncated(
        self,
        latents: Tensor,
        condition: Condition | None,
        truncation: float,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """The images as they are: latents all get one length, beside a class they would lose weight."""
        return self(latents, condition)

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """{layer: (N, C, h, w)} for names out of ``feature_layers``. Stops at the last one.

        Latents are normalised first, so that no ``truncation`` changes anything; there is no noise for an
        ``rng``.

        Raises:
            ValueError: for a name that is not among them.
        """
        for layer in layers:
            check_choice("layers", layer, self.feature_layers)
        activations = self._activations(latents, condition, set(layers))
        return {layer: activations[layer] for layer in layers}

    def images_and_features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """In one pass."""
        for layer in layers:
            check_choice("layers", layer, self.feature_layers)
        whole, _ = split_lod(self.lod, self.sizes)
        last = self.sizes[-1 - whole]
        activations = self._activations(latents, condition, {*layers, f"{last}x{last}"})
        return self._image(activations), {layer: activations[layer] for layer in layers}

    def walk(self, latents: Tensor, condition: Condition | None = None) -> Iterator[tuple[str, Tensor]]:
        """(name, activations) layer by layer."""
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"latents have shape {tuple(latents.shape)}, expected (N, {self.latent_dim})")
        x = latents
        if self.n_conditions:
            code = soft_one_hot(condition, self.n_conditions, type(self).__name__)  # (N, n_conditions)
            x = torch.cat([x, code.to(x)], dim=1)
        x = fast_layout(x[:, :, None, None], self, self.extent)  # (N, latent_dim + n_conditions, 1, 1)
        for i, name in enumerate(self.feature_layers):
            x = self.get_submodule(f"layer{i}")(normalise_second_moment(x))
            x = F.leaky_relu(x, SLOPE)
            yield name, x

    def _activations(
        self, latents: Tensor, condition: Condition | None, wanted: set[str]
    ) -> dict[str, Tensor]:
        """Those of all layers up to the last one that is wanted."""
        activations: dict[str, Tensor] = {}
        for name, x in self.walk(latents, condition):
            activations[name] = x
            if wanted <= set(activations):
                break
        return activations


class ProgressiveDiscriminator(GrowingModule, Discriminator):
    """The body of PGGAN's and of StyleGAN's discriminator; a subclass says how it is conditioned.

    Minibatch statistics couple the images of a group, in eval mode too.

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes; 0 = unconditional.
        outputs: of the last layer.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        minibatch_std_group: images of a group; 0 = all at hand.
        blur: a [1, 2, 1] filter before each halving.
        mean_first: the halving's 2x2 mean comes before bias and leaky ReLU, not after.
        lod: how far it has grown (see the module); also an attribute.
    """

    blur_filter: Tensor

    def __init__(
        self,
        image_size: int,
        n_conditions: int,
        outputs: int,
        channel_base: int,
        channel_max: int,
        minibatch_std_group: int,
        blur: bool,
        mean_first: bool,
        lod: float,
    ) -> None:
        super().__init__()
        check_whole(0, n_conditions=n_conditions, minibatch_std_group=minibatch_std_group)
        self.sizes = resolutions(image_size)
        split_lod(lod, self.sizes)  # raises for a lod that it cannot have
        self.image_size = image_size
        self.n_conditions = n_conditions
        self.lod = lod
        self.group = minibatch_std_group or None
        self.blur = blur
        self.mean_first = mean_first
        self.register_buffer("blur_filter", setup_filter([1, 2, 1]), persistent=False)
        widths = [channels_at(size, channel_base, channel_max) for size in reversed(self.sizes)]
        self.extent = max(width * size for width, size in zip(reversed(widths), self.sizes, strict=True))
        for k, width in enumerate(widths):
            self.add_module(f"input{k}", ScaledConv2d(3, width, 1))
        resample = "down" if mean_first else "none"
        for k, (width, smaller) in enumerate(pairwise(widths)):
            self.add_module(f"layer{2 * k}", ScaledConv2d(width, width))
            self.add_module(f"layer{2 * k + 1}", ScaledConv2d(width, smaller, resample=resample))
        self.head = [f"layer{2 * len(widths) - 2 + i}" for i in range(3)]
        last = widths[-1]
        layers = (
            ScaledConv2d(last + 1, last),  # with the map of minibatch statistics
            ScaledLinear(last * 4 * 4, last),
            ScaledLinear(last, outputs, gain=1),
        )
        for name, layer in zip(self.head, layers, strict=True):
            self.add_module(name, layer)

    def encode(self, images: Tensor) -> Tensor:
        """The last layer's outputs (N, outputs) of images (N, 3, size, size)."""
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"images have shape {tuple(images.shape)}, expected (N, 3, {self.image_size}, "
                f"{self.image_size}): image_size of the discriminator and of the data must agree"
            )
        whole, fade = split_lod(self.lod, self.sizes)
        image = F.avg_pool2d(images, 2**whole) if whole else images
        image = fast_layout(image, self, self.extent)
        x = self._colours(whole, image)
        for k in range(whole, len(self.sizes) - 1):
            x = self._halved(k, x)
            if fade and k == whole:
                x = torch.lerp(x, self._colours(k + 1, F.avg_pool2d(image, 2)), fade)
        return self._summary(x)

    def _colours(self, k: int, image: Tensor) -> Tensor:
        return F.leaky_relu(self.get_submodule(f"input{k}")(image), SLOPE)

    def _halved(self, k: int, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.get_submodule(f"layer{2 * k}")(x), SLOPE)
        if self.blur:
            x = filter2d(x, self.blur_filter)
        x = F.leaky_relu(self.get_submodule(f"layer{2 * k + 1}")(x), SLOPE)
        return x if self.mean_first else F.avg_pool2d(x, 2)

    def _summary(self, x: Tensor) -> Tensor:
        conv, hidden, out = (self.get_submodule(name) for name in self.head)
        with without_autocast(x.device):
            x = minibatch_std(full_precision(x), self.group)  # (N, C + 1, 4, 4)
            x = F.leaky_relu(conv(x), SLOPE)
            x = F.leaky_relu(hidden(x.flatten(1)), SLOPE)
            return out(x)  # (N, outputs)


class PGGANDiscriminator(ProgressiveDiscriminator):
    """PGGAN's discriminator. With classes it also guesses them (AC-GAN).

    :meth:`encode` gives (N, 1 + n_conditions): the real-or-fake logit, which :meth:`judge` picks, and class
    logits.

    Args:
        image_size: a power of two from 4 on.
        n_conditions: classes; 0 = unconditional.
        channel_base, channel_max: a layer at r x r pixels has min(channel_base / r, channel_max) channels.
        minibatch_std_group: images whose statistics are taken together; 4 in the published networks, 0 = all
            at hand.
        fused_scale: the 2x2 mean comes before bias and leaky ReLU, as in networks with strided 4x4
            convolutions; False in the published ones.
        lod: how far it has grown (see the module); also an attribute.

    Raises:
        ValueError: naming the argument.
    """

    def __init__(
        self,
        image_size: int = 256,
        n_conditions: int = 0,
        channel_base: int = 16384,
        channel_max: int = 512,
        minibatch_std_group: int = 4,
        fused_scale: bool = False,
        lod: float = 0.0,
    ) -> None:
        super().__init__(
            image_size,
            n_conditions,
            1 + n_conditions,
            channel_base,
            channel_max,
            minibatch_std_group,
            blur=False,
            mean_first=fused_scale,
            lod=lod,
        )

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of encoded images, whatever the condition."""
        return features[:, 0]

    def class_logits(self, features: Tensor) -> Tensor:
        """(N, n_conditions) of encoded images."""
        return features[:, 1:]


def full_precision(x: Tensor) -> Tensor:
    """float32 or float64."""
    return x if x.dtype == torch.float64 else x.float()
